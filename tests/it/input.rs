//! What a stranger sends that has two meanings, or none that can be seen: refused, with a pointer; what was taken before
//! stays readable.

use onrush::app::Role;
use onrush::database;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::installation::{Answer, Installation, OPERATOR, TestNode};

/// Refused for this member alone.
fn assert_names(answer: &Answer, pointer: &str, context: &str) {
    assert_eq!(answer.outcome(), "400 invalid_request", "{context}: {answer:?}");
    let errors = answer.body["errors"].as_array().unwrap();
    assert_eq!((errors.len(), errors[0]["pointer"].as_str()), (1, Some(pointer)), "{context}: {answer:?}");
}

async fn sends_raw(node: &TestNode, method: Method, path: &str, token: &str, body: &str) -> Answer {
    let request = node.request(method, path).bearer_auth(token).header("content-type", "application/json");
    node.send(request.body(body.to_owned())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_comes_twice_is_refused_and_pointed_at_on_every_route() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(5, json!({})).await;
    let (alice, path) = (node.token("alice"), format!("/v1/campaigns/{campaign}"));
    let twice_within = r#"{"id":"c","name":"n","stock":1,"waiting":{"active_max":1,"order":"fifo","active_max":2}}"#;
    let cases = [
        (Method::POST, "/v1/campaigns", OPERATOR, r#"{"id":"c","name":"n","stock":1,"stock":100}"#, "/stock"),
        (Method::POST, "/v1/campaigns", OPERATOR, r#"{"id":"c","name":"n","stock":1,"st\u006fck":1}"#, "/stock"),
        (Method::POST, "/v1/campaigns", OPERATOR, twice_within, "/waiting/active_max"),
        (Method::PATCH, &path, OPERATOR, r#"{"name":"a","name":"b"}"#, "/name"),
        (Method::POST, "/v1/posts", &alice, r#"{"title":"t","body":"b","title":"u"}"#, "/title"),
        (
            Method::PATCH,
            "/v1/ops/throttle",
            OPERATOR,
            r#"{"rows_per_second_max":5,"rows_per_second_max":5}"#,
            "/rows_per_second_max",
        ),
        (Method::POST, "/v1/ops/dead-letters/replay", OPERATOR, r#"{"all":true,"all":true}"#, "/all"),
        (Method::POST, &format!("{path}/claims"), &alice, r#"{"a/b":1,"a/b":1}"#, "/a~1b"),
    ];
    for (method, path, token, body, pointer) in cases {
        assert_names(&sends_raw(&node, method, path, token, body).await, pointer, body);
    }
    let many = format!("{{{}\"x\":0}}", "\"x\":0,".repeat(10_000));
    let answer = sends_raw(&node, Method::POST, "/v1/campaigns", OPERATOR, &many).await;
    assert_eq!((answer.status, answer.body["errors"].as_array().unwrap().len()), (400, 100), "no answer without end");
    let view = node.view(&campaign).await;
    assert_eq!((view.text("name"), view.number("left")), ("A campaign", 5), "nothing was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blanks_and_characters_that_control_or_turn_text_are_no_names_titles_or_ids() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let room = node.campaign(5, json!({"waiting": {"active_max": 1}})).await;
    let path = format!("/v1/campaigns/{room}");
    let everywhere =
        [" ", "\t", "\u{a0}", "\u{3000}", "\u{200b}", "\u{feff}\u{2060}", "\u{3164}", "a\u{1b}[2J", "a\u{85}b"];
    let turning = ["\u{202e}noitcua", "a\u{2066}b", "a\u{200f}", "\u{61c}a", "a\u{2028}b", "a\u{2029}b"];
    for bad in everywhere.into_iter().chain(turning) {
        let context = format!("{bad:?}");
        let post = async |title: &str, body: &str| {
            let request = node.request(Method::POST, "/v1/posts").bearer_auth(node.token("alice"));
            node.send(request.json(&json!({"title": title, "body": body}))).await
        };
        let campaign = json!({"id": "c", "name": bad, "stock": 1});
        assert_names(&node.operator_sends(Method::POST, "/v1/campaigns", &campaign).await, "/name", &context);
        assert_names(&node.operator_sends(Method::PATCH, &path, &json!({"name": bad})).await, "/name", &context);
        assert_names(&post(bad, "b").await, "/title", &context);
        assert_names(&post("t", bad).await, "/body", &context);
        let discard = json!({"ids": ["0-1"], "reason": bad});
        let discard = node.operator_sends(Method::POST, "/v1/ops/dead-letters/discard", &discard).await;
        assert_names(&discard, "/reason", &context);
        let let_in = format!("/v1/ops/waiting/{room}/admit");
        assert_names(&node.operator_sends(Method::POST, &let_in, &json!({"user_id": bad})).await, "/user_id", &context);
        let escaped: String = form_urlencoded::byte_serialize(bad.as_bytes()).collect::<String>().replace('+', "%20");
        let author = node.as_user("alice", Method::PUT, &format!("/v1/subscriptions/{escaped}")).await;
        assert_names(&author, "path/author_id", &context);
        let claims = node.as_operator(Method::GET, &format!("{path}/claims?user_id={escaped}")).await;
        assert_names(&claims, "query/user_id", &context);
        let token = user_token(&installation, bad);
        let caller = node.send(node.request(Method::GET, "/v1/feed").bearer_auth(token)).await;
        assert_eq!(caller.outcome(), "401 unauthenticated", "{context}");
    }
    let lines = json!({"title": "민지's day", "body": "One.\r\n\tTwo.\n"});
    let post = node.request(Method::POST, "/v1/posts").bearer_auth(node.token("민지 김")).json(&lines);
    let post = node.send(post).await;
    assert_eq!((post.status, &post.body["body"]), (201, &lines["body"]), "lines may end in what somebody says");
    let two_lines = json!({"id": "c", "name": "a\nb", "stock": 1});
    assert_names(&node.operator_sends(Method::POST, "/v1/campaigns", &two_lines).await, "/name", "two lines");
}

/// Signed as ours, with any `sub`.
fn user_token(installation: &Installation, sub: &str) -> String {
    let claims = json!({"sub": sub, "exp": onrush::clock::Millis::now().0 / 1000 + 600});
    let key = jsonwebtoken::EncodingKey::from_secret(installation.config.auth.hs256_secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_was_taken_before_today_s_rule_stays_readable() {
    let installation = Installation::new().await;
    let campaign = {
        let node = installation.node(Role::Serve).await;
        let campaign = node.campaign(5, json!({})).await;
        node.stop().await;
        campaign
    };
    let tables = database::open(&installation.config.postgres).unwrap();
    let old = "\u{202e}noitcua";
    sqlx::query("UPDATE campaigns SET name = $1 WHERE id = $2")
        .bind(old)
        .bind(&campaign)
        .execute(&tables)
        .await
        .unwrap();
    let node = installation.node(Role::Serve).await;
    assert_eq!(node.view(&campaign).await.text("name"), old);
    assert_eq!(node.claim(&campaign, "alice").await.outcome(), "201");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn null_is_the_same_as_nothing_where_a_member_has_a_default_and_refused_where_it_would_say_nothing() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let nulls = json!({"per_user_limit": null, "opens_at": null, "closes_at": null, "durability": null, "listed": null,
        "seats": null, "waiting": {"active_max": 5, "admit": null, "every_ms": null}});
    let view = node.view(&node.campaign(5, nulls).await).await;
    assert_eq!((&view.body["per_user_limit"], &view.body["listed"]), (&json!(1), &json!(true)), "{view:?}");
    assert_eq!(view.body["durability"], "memory");
    let waiting = json!({"admit": null, "every_ms": null, "active_max": 5, "pass_ttl_s": 600, "claim_pass_within_s": 60,
        "order": "fifo", "reserve": 0});
    assert_eq!(view.body["waiting"], waiting);
    let campaign = node.campaign(5, json!({"waiting": null, "opens_at": "2026-01-01T00:00:00Z"})).await;
    assert_eq!(node.view(&campaign).await.body["waiting"], Value::Null);
    for required in ["id", "name", "stock"] {
        let mut body = json!({"id": "c", "name": "n", "stock": 1});
        body[required] = Value::Null;
        let answer = node.operator_sends(Method::POST, "/v1/campaigns", &body).await;
        assert_names(&answer, &format!("/{required}"), required);
    }
    let patch =
        async |change: Value| node.operator_sends(Method::PATCH, &format!("/v1/campaigns/{campaign}"), &change).await;
    for member in ["name", "stock", "per_user_limit", "listed"] {
        assert_names(&patch(json!({member: null})).await, &format!("/{member}"), member);
    }
    for member in ["pass_ttl_s", "claim_pass_within_s", "order", "reserve"] {
        let body = json!({"id": "c", "name": "n", "stock": 1, "waiting": {"active_max": 5, member: null}});
        let answer = node.operator_sends(Method::POST, "/v1/campaigns", &body).await;
        assert_names(&answer, &format!("/waiting/{member}"), member);
        let change = json!({"waiting": {"active_max": 5, member: null}});
        assert_names(&patch(change).await, &format!("/waiting/{member}"), member);
    }
    assert_eq!(patch(json!({"closes_at": null, "waiting": null})).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ends_of_the_calendar_and_whole_numbers_with_a_point_are_what_the_document_says() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    for (sent, kept) in [
        ("1970-01-01T00:30:00+01:00", "1970-01-01T00:00:00.000Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ("2026-01-01T09:00:00.1234+09:00", "2026-01-01T00:00:00.123Z"),
    ] {
        let campaign = node.campaign(5, json!({"opens_at": sent})).await;
        assert_eq!(node.view(&campaign).await.text("opens_at"), kept);
    }
    let campaign = node.campaign(5, json!({"closes_at": "9999-12-31T23:59:59-05:00"})).await;
    assert_eq!(node.view(&campaign).await.text("closes_at"), "9999-12-31T23:59:59.999Z");
    for bad in ["1969-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "+10000-01-01T00:00:00Z"] {
        let body = json!({"id": "c", "name": "n", "stock": 1, "opens_at": bad});
        assert_names(&node.operator_sends(Method::POST, "/v1/campaigns", &body).await, "/opens_at", bad);
    }
    assert_eq!(node.get("/v1/campaigns?limit=2.0").await.body["items"].as_array().unwrap().len(), 2);
    for bad in ["2.5", "+2", "2.", "", "1e1", "-0"] {
        assert_names(&node.get(&format!("/v1/campaigns?limit={bad}")).await, "query/limit", bad);
    }
    let post = async |id: &str| node.as_user("alice", Method::GET, &format!("/v1/posts/{id}")).await;
    assert_eq!(post("9223372036854775807").await.outcome(), "404 not_found");
    assert_names(&post("9223372036854775808").await, "path/id", "beyond the largest");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_is_get_without_a_body() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(5, json!({})).await;
    let claim = node.claim(&campaign, "alice").await;
    let alice = node.token("alice");
    for path in [
        "/v1/campaigns".to_owned(),
        format!("/v1/campaigns/{campaign}"),
        format!("/v1/claims/{}", claim.text("claim_id")),
        format!("/v1/campaigns/{campaign}/claims/mine"),
        "/v1/campaigns/nothing".to_owned(),
        "/nowhere".to_owned(),
        "/healthz".to_owned(),
        "/openapi.json".to_owned(),
    ] {
        let ask =
            async |method| node.send(node.request(method, &path).bearer_auth(&alice).header("X-Request-Id", "1")).await;
        let (get, head) = (ask(Method::GET).await, ask(Method::HEAD).await);
        assert_eq!((head.status, &head.body), (get.status, &json!("")), "{path}");
        for name in ["content-type", "cache-control", "etag", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
    }
}

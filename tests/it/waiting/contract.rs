//! What the routes of a waiting room answer, member by member, and what they refuse.

use onrush::app::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::room::{assert_members, claim, in_ms, join, leave, look, open, pass_of, path, switch, until};
use crate::support::installation::{Answer, Installation, OPERATOR};
use crate::support::stores::eventually;

const WAITING: &[&str] = &["state", "place", "ahead", "eta_s", "poll_after_s", "ticket", "left"];
const ADMITTED: &[&str] = &["state", "pass", "expires_at", "ticket"];
const SOLD_OUT: &[&str] = &["state", "poll_after_s", "ticket"];

fn assert_stands(answer: &Answer, status: u16, state: &str, members: &[&str]) {
    assert_eq!((answer.status, answer.text("state")), (status, state), "{answer:?}");
    assert_members(answer, members);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let retry_after = answer.header("retry-after").map(|text| text.parse().unwrap());
    assert_eq!(retry_after, answer.body["poll_after_s"].as_u64(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_state_has_its_members_and_who_joins_again_keeps_the_place() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 5, json!({"active_max": 1})).await;
    let first = join(&node, &campaign, "alice").await;
    assert_stands(&first, 200, "admitted", ADMITTED);
    for again in [join(&node, &campaign, "alice").await, look(&node, &campaign, "alice").await] {
        assert_stands(&again, 200, "admitted", ADMITTED);
        assert_eq!((&again.body["pass"], &again.body["expires_at"]), (&first.body["pass"], &first.body["expires_at"]));
    }
    for (user, place, ahead) in [("bob", 2, 0), ("carol", 3, 1)] {
        for answer in [join(&node, &campaign, user).await, join(&node, &campaign, user).await] {
            assert_stands(&answer, 202, "waiting", WAITING);
            assert_eq!((answer.number("place"), answer.number("ahead")), (place, ahead), "{user}");
            assert_eq!(answer.number("left"), 5);
        }
        let looked = look(&node, &campaign, user).await;
        assert_stands(&looked, 200, "waiting", WAITING);
        assert_eq!((looked.number("place"), looked.number("ahead")), (place, ahead), "{user}");
    }

    leave(&node, &campaign, "alice").await;
    leave(&node, &campaign, "alice").await;
    assert_stands(&look(&node, &campaign, "alice").await, 200, "expired", &["state"]);
    assert_stands(&until(&node, &campaign, "bob", "admitted").await, 200, "admitted", ADMITTED);
    let back = join(&node, &campaign, "alice").await;
    assert_eq!((back.status, back.number("place"), back.number("ahead")), (202, 4, 1), "at the end, behind carol");
    leave(&node, &campaign, "carol").await;
    assert_stands(&look(&node, &campaign, "carol").await, 200, "expired", &["state"]);
    assert_eq!(join(&node, &campaign, "alice").await.number("place"), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_hears_sold_out_and_at_the_end_closed() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 1, json!({"active_max": 1})).await;
    let pass = pass_of(&node, &campaign, "alice").await;
    assert_eq!(join(&node, &campaign, "bob").await.number("place"), 2);
    assert_eq!(claim(&node, &campaign, "alice", &pass).await.outcome(), "201");
    assert_stands(&until(&node, &campaign, "bob", "sold_out").await, 200, "sold_out", SOLD_OUT);
    assert_stands(&join(&node, &campaign, "bob").await, 200, "sold_out", SOLD_OUT);
    assert_stands(&join(&node, &campaign, "carol").await, 200, "sold_out", SOLD_OUT);

    let closed = node.as_operator(Method::POST, &format!("/v1/campaigns/{campaign}/close")).await;
    assert_eq!(closed.status, 200);
    assert_eq!(join(&node, &campaign, "dave").await.outcome(), "410 closed");
    assert_eq!(join(&node, &campaign, "bob").await.outcome(), "410 closed");
    for user in ["alice", "bob"] {
        assert_stands(&look(&node, &campaign, user).await, 200, "closed", &["state"]);
    }
    assert_eq!(look(&node, &campaign, "dave").await.outcome(), "404 not_found");
    leave(&node, &campaign, "bob").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_joined_and_what_has_no_waiting_room_is_not_found() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let with_room = open(&node, 5, json!({"active_max": 1})).await;
    for at in [path(&with_room), format!("{}/events", path(&with_room))] {
        assert_eq!(node.as_user("alice", Method::GET, &at).await.outcome(), "404 not_found", "{at}");
    }
    leave(&node, &with_room, "alice").await;
    assert_eq!(look(&node, &with_room, "alice").await.outcome(), "404 not_found", "leaving is not joining");
    assert_eq!(node.get(&format!("/v1/campaigns/{with_room}/draw")).await.outcome(), "404 not_found");
    let without = node.campaign(5, json!({})).await;
    for campaign in [without.as_str(), "nothing"] {
        let at = path(campaign);
        for method in [Method::POST, Method::GET, Method::DELETE] {
            assert_eq!(node.as_user("alice", method.clone(), &at).await.outcome(), "404 not_found", "{method} {at}");
        }
        let events = format!("{at}/events");
        assert_eq!(node.as_user("alice", Method::GET, &events).await.outcome(), "404 not_found");
        assert_eq!(node.get(&format!("/v1/campaigns/{campaign}/draw")).await.outcome(), "404 not_found");
        let operators = format!("/v1/ops/waiting/{campaign}");
        assert_eq!(node.as_operator(Method::GET, &operators).await.outcome(), "404 not_found");
        for verb in ["pause", "resume"] {
            let at = format!("{operators}/{verb}");
            assert_eq!(node.as_operator(Method::POST, &at).await.outcome(), "404 not_found", "{at}");
        }
        let body = json!({"user_id": "alice"});
        let answer = node.operator_sends(Method::POST, &format!("{operators}/admit"), &body).await;
        assert_eq!(answer.outcome(), "404 not_found");
    }
    // A claim there needs no pass, and minds none.
    assert_eq!(claim(&node, &without, "alice", "x.y.z").await.outcome(), "201");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_is_joined_from_the_opening_on() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let more = json!({"opens_at": in_ms(2_000), "waiting": {"admit": 5, "every_ms": 1_000}});
    let campaign = node.campaign(5, more).await;
    let early = join(&node, &campaign, "alice").await;
    assert_eq!(early.outcome(), "409 not_open_yet");
    let wait: u64 = early.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    assert_eq!(look(&node, &campaign, "alice").await.outcome(), "404 not_found", "no place was given");
    // Whoever waited as long as they were told is let in.
    tokio::time::sleep(std::time::Duration::from_secs(wait)).await;
    let joined = join(&node, &campaign, "alice").await;
    assert_eq!((joined.status, joined.text("state")), (200, "admitted"), "{joined:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn route_and_method_come_first_then_the_caller_then_what_was_sent_then_what_exists() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 5, json!({"active_max": 1})).await;
    let (at, operators) = (path(&campaign), format!("/v1/ops/waiting/{campaign}"));
    for wrong in [format!("{at}/"), format!("{at}/nothing"), format!("{operators}/close"), "/v1/ops/waiting".into()] {
        assert_eq!(node.get(&wrong).await.outcome(), "404 not_found", "{wrong}");
    }
    let methods = [
        (Method::PUT, at.clone(), &["GET", "POST", "DELETE"][..]),
        (Method::PATCH, at.clone(), &["GET", "POST", "DELETE"]),
        (Method::POST, format!("{at}/events"), &["GET"]),
        (Method::POST, format!("/v1/campaigns/{campaign}/draw"), &["GET"]),
        (Method::POST, operators.clone(), &["GET"]),
        (Method::GET, format!("{operators}/pause"), &["POST"]),
        (Method::GET, format!("{operators}/resume"), &["POST"]),
        (Method::DELETE, format!("{operators}/admit"), &["POST"]),
    ];
    for (method, wrong, allowed) in methods {
        let answer = node.send(node.request(method, &wrong)).await;
        assert_eq!(answer.outcome(), "405 method_not_allowed", "{wrong}");
        let allow = answer.header("allow").unwrap();
        assert!(allowed.iter().all(|method| allow.contains(method)), "{wrong}: {allow}");
    }

    let long = path(&"x".repeat(65));
    let users = [
        (Method::POST, at.clone()),
        (Method::GET, at.clone()),
        (Method::DELETE, at.clone()),
        (Method::GET, format!("{at}/events")),
    ];
    for (method, at) in users {
        for query in ["", "?surprise=1"] {
            let (at, context) = (format!("{at}{query}"), format!("{method} {at}{query}"));
            let nobody = node.send(node.request(method.clone(), &at)).await;
            assert_eq!(nobody.outcome(), "401 unauthenticated", "{context}");
            assert!(nobody.header("www-authenticate").unwrap().starts_with("Bearer"), "{context}");
            assert_eq!(node.as_operator(method.clone(), &at).await.outcome(), "403 forbidden", "{context}");
        }
        let answer = node.as_user("alice", method.clone(), &format!("{at}?surprise=1")).await;
        assert_eq!(answer.outcome(), "400 invalid_request", "{method} {at}");
        assert_eq!(answer.body["errors"][0]["pointer"], "query/surprise");
    }
    for method in [Method::POST, Method::GET, Method::DELETE] {
        assert_eq!(node.send(node.request(method.clone(), &long)).await.outcome(), "401 unauthenticated");
        assert_eq!(node.as_user("alice", method, &long).await.outcome(), "400 invalid_request");
    }
    for method in [Method::POST, Method::DELETE] {
        for (body, pointer) in [("{\"surprise\":1}", "/surprise"), ("[]", ""), ("{", "")] {
            let request = node.request(method.clone(), &at).bearer_auth(node.token("alice")).body(body);
            let answer = node.send(request).await;
            assert_eq!(answer.outcome(), "400 invalid_request", "{method} {body}");
            assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{method} {body}");
        }
    }
    assert_eq!(look(&node, &campaign, "alice").await.outcome(), "404 not_found", "nothing was changed");
    let empty = node.request(Method::POST, &at).bearer_auth(node.token("alice")).body("{}");
    assert_eq!(node.send(empty).await.text("state"), "admitted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_operators_do_is_for_operators_and_says_what_was_wrong() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 5, json!({"active_max": 1})).await;
    let at = format!("/v1/ops/waiting/{campaign}");
    let routes = [(Method::GET, ""), (Method::POST, "/pause"), (Method::POST, "/resume"), (Method::POST, "/admit")];
    for (method, end) in routes {
        let at = format!("{at}{end}");
        assert_eq!(node.send(node.request(method.clone(), &at)).await.outcome(), "401 unauthenticated", "{at}");
        let by_user = node.as_user("alice", method.clone(), &format!("{at}?surprise=1")).await;
        assert_eq!(by_user.outcome(), "403 forbidden", "{at}");
        let request = node.request(method, &format!("{at}?surprise=1")).bearer_auth(OPERATOR);
        let answer = node.send(request.json(&json!({"user_id": "alice"}))).await;
        assert_eq!(answer.outcome(), "400 invalid_request", "{at}");
    }
    let bad: [(Value, &str); 6] = [
        (json!({}), "/user_id"),
        (json!({"user_id": 5}), "/user_id"),
        (json!({"user_id": ""}), "/user_id"),
        (json!({"user_id": "a\u{1}b"}), "/user_id"),
        (json!({"user_id": "x".repeat(129)}), "/user_id"),
        (json!({"user_id": "alice", "surprise": 1}), "/surprise"),
    ];
    for (body, pointer) in bad {
        let answer = node.operator_sends(Method::POST, &format!("{at}/admit"), &body).await;
        assert_eq!(answer.outcome(), "400 invalid_request", "{body}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{body}");
    }
    let text = node.request(Method::POST, &format!("{at}/admit")).bearer_auth(OPERATOR).body("alice");
    assert_eq!(node.send(text).await.outcome(), "415 unsupported_media_type");
    assert_eq!(switch(&node, &campaign, "pause").await.body["admitting"], json!(false));
    assert_eq!(look(&node, &campaign, "alice").await.outcome(), "404 not_found", "nobody was let in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_lists_the_routes_of_the_waiting_room() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let document = node.get("/openapi.json").await;
    for (path, methods) in [
        ("/v1/campaigns/{id}/waiting", &["get", "post", "delete"][..]),
        ("/v1/campaigns/{id}/waiting/events", &["get"]),
        ("/v1/campaigns/{id}/draw", &["get"]),
        ("/v1/ops/waiting/{campaign}", &["get"]),
        ("/v1/ops/waiting/{campaign}/pause", &["post"]),
        ("/v1/ops/waiting/{campaign}/resume", &["post"]),
        ("/v1/ops/waiting/{campaign}/admit", &["post"]),
        ("/.well-known/jwks.json", &["get"]),
    ] {
        for method in methods {
            assert!(document.body["paths"][path][method].is_object(), "{method} {path} is not in the document");
        }
    }
    let schemas = &document.body["components"]["schemas"];
    for name in ["WaitingTerms", "StatusView", "RoomView", "DrawView"] {
        assert!(schemas[name]["properties"].is_object(), "{name} is not described: {schemas}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_the_head_alone_picks_no_pass_up() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 5, json!({"active_max": 1, "claim_pass_within_s": 4})).await;
    join(&node, &campaign, "alice").await;
    let ticket = join(&node, &campaign, "bob").await.text("ticket").to_owned();
    leave(&node, &campaign, "alice").await;
    let figures = async || node.as_operator(Method::GET, &format!("/v1/ops/waiting/{campaign}")).await;
    eventually("bob is let in", async || figures().await.number("inside") == 1).await;
    let token = node.token("bob");
    let head = async |path: String, kind: &str| {
        let request = node.request(Method::HEAD, &path).bearer_auth(&token).header("Onrush-Ticket", &ticket);
        let answer = node.send(request.header("Cookie", format!("onrush_visitor={token}"))).await;
        assert_eq!((answer.status, &answer.body), (200, &json!("")), "{path}: {answer:?}");
        assert!(answer.header("content-type").unwrap().starts_with(kind), "{path}: {answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    };
    head(path(&campaign), "application/json").await;
    head(format!("{}/events", path(&campaign)), "text/event-stream").await;
    head(format!("{}/events?ticket={ticket}", path(&campaign)), "text/event-stream").await;
    head(format!("/rooms/{campaign}"), "text/html").await;
    head(format!("/rooms/{campaign}/state"), "application/json").await;
    assert_eq!(figures().await.number("no_shows"), 0, "all of that was in time");
    eventually("bob's turn is over: he did not come", async || figures().await.number("no_shows") == 1).await;
    assert_stands(&look(&node, &campaign, "bob").await, 200, "expired", &["state"]);
    let head = node.send(node.request(Method::HEAD, &path(&campaign))).await;
    assert_eq!(head.status, 401, "the caller is asked for as with GET");
}

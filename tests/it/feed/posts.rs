//! Posts over HTTP: who sees which when, what an edit and a deletion do, and the message that each change leaves.

use futures::future::join_all;
use onrush::config::AuthMode;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::query_as;

use super::desk::{Desk, path};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_is_wrong_names_every_member_that_is_and_nothing_is_written() {
    let desk = Desk::new().await;
    let good = json!({"title": "t", "body": "b"});
    let cases = [
        ("/title", json!({"title": ""})),
        ("/title", json!({"title": "쿠".repeat(201)})),
        ("/title", json!({"title": 5})),
        ("/title", json!({"title": null})),
        ("/title", json!({"title": "a\u{0}b"})),
        ("/body", json!({"body": ""})),
        ("/body", json!({"body": "x".repeat(20_001)})),
        ("/body", json!({"body": ["b"]})),
        ("/author_id", json!({"author_id": "bob"})),
        ("/surprise", json!({"surprise": 1})),
    ];
    let mine = desk.node.post("alice", "mine").await;
    for (pointer, change) in cases {
        let mut body = good.clone();
        body.as_object_mut().unwrap().extend(change.as_object().cloned().unwrap());
        for (method, path) in [(Method::POST, "/v1/posts"), (Method::PATCH, &path(&mine))] {
            let answer = desk.node.user_sends("alice", method, path, &body).await;
            assert_eq!(answer.outcome(), "400 invalid_request", "{path} {pointer}: {answer:?}");
            assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{answer:?}");
        }
    }
    let nothing = desk.node.user_sends("alice", Method::POST, "/v1/posts", &json!({})).await;
    let errors: Vec<&Value> = nothing.body["errors"].as_array().unwrap().iter().map(|it| &it["pointer"]).collect();
    assert_eq!(errors, ["/title", "/body"]);
    let typed = desk.node.request(Method::POST, "/v1/posts").bearer_auth(desk.node.token("alice")).body("title=t");
    assert_eq!(desk.node.send(typed).await.outcome(), "415 unsupported_media_type");
    let huge = json!({"title": "t", "body": "x".repeat(200_000)});
    let answer = desk.node.user_sends("alice", Method::POST, "/v1/posts", &huge).await;
    assert_eq!(answer.outcome(), "413 body_too_large");
    assert_eq!(desk.count("SELECT count(*) FROM posts").await, 1);

    let full = json!({"title": "쿠".repeat(200), "body": "폰".repeat(20_000)});
    let answer = desk.node.user_sends("alice", Method::POST, "/v1/posts", &full).await;
    assert_eq!((answer.outcome().as_str(), &answer.body["body"]), ("201", &full["body"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn route_and_method_come_first_then_the_caller_then_what_was_sent_then_what_exists() {
    let desk = Desk::new().await;
    let node = &desk.node;
    for (method, path, allowed) in [
        (Method::PUT, "/v1/posts/1", &["GET", "PATCH", "DELETE"][..]),
        (Method::GET, "/v1/posts", &["POST"]),
        (Method::GET, "/v1/subscriptions/alice", &["PUT", "DELETE"]),
        (Method::POST, "/v1/feed", &["GET"]),
        (Method::POST, "/v1/view", &["GET"]),
    ] {
        let answer = node.send(node.request(method, path)).await;
        assert_eq!(answer.outcome(), "405 method_not_allowed", "{path}");
        let allow = answer.header("allow").unwrap();
        assert!(allowed.iter().all(|method| allow.contains(method)), "{path}: {allow}");
    }
    for path in ["/v1/posts/", "/v1/posts/1/2", "/v1/subscriptions/", "/v1/feed/1"] {
        assert_eq!(node.get(path).await.outcome(), "404 not_found", "{path}");
    }
    for (method, path) in [
        (Method::POST, "/v1/posts"),
        (Method::PATCH, "/v1/posts/1"),
        (Method::DELETE, "/v1/posts/1"),
        (Method::PUT, "/v1/subscriptions/a"),
        (Method::DELETE, "/v1/subscriptions/a"),
        (Method::GET, "/v1/feed"),
        (Method::GET, "/v1/view"),
    ] {
        let nobody = node.send(node.request(method.clone(), path)).await;
        assert_eq!(nobody.outcome(), "401 unauthenticated", "{path}");
        assert!(nobody.header("www-authenticate").is_some());
        assert_eq!(node.as_operator(method, path).await.outcome(), "403 forbidden", "{path}");
    }
    for path in ["/v1/posts/1", "/v1/posts/x"] {
        let forged = node.send(node.request(Method::GET, path).bearer_auth("x.y.z")).await;
        assert_eq!(forged.outcome(), "401 unauthenticated", "bad credentials are none to ignore");
    }
    for bad in ["x", "-1", "99999999999999999999", "1.0", "%00", "9999999999999999999"] {
        for answer in [node.get(&path(bad)).await, node.as_user("alice", Method::DELETE, &path(bad)).await] {
            assert_eq!(answer.outcome(), "400 invalid_request", "{bad}");
            assert_eq!(answer.body["errors"][0]["pointer"], "path/id");
        }
    }
    assert_eq!(node.get("/v1/posts/1?x=1").await.outcome(), "400 invalid_request");
    assert_eq!(node.get("/v1/posts/1").await.outcome(), "404 not_found");
    let change = node.user_sends("alice", Method::PATCH, "/v1/posts/1", &json!({"title": "t"})).await;
    assert_eq!(change.outcome(), "404 not_found");
    assert_eq!(node.as_user("alice", Method::DELETE, "/v1/posts/1").await.outcome(), "404 not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_author_and_operators_see_a_post_at_once_and_others_when_it_has_passed() {
    let desk = Desk::new().await;
    let node = &desk.node;
    let body = json!({"title": "쿠폰", "body": "첫 글"});
    let made = node.user_sends("alice", Method::POST, "/v1/posts", &body).await;
    let id = made.text("post_id").to_owned();
    assert_eq!(made.header("location"), Some(path(&id).as_str()));
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let expected = json!({"post_id": id, "author_id": "alice", "title": "쿠폰", "body": "첫 글", "category": null, "tags": [],
        "inspection": "pending", "published_at": made.body["published_at"]});
    assert_eq!(made.body, expected, "these members and no others");
    assert!(onrush::clock::Millis::parse(made.text("published_at")).is_some());

    let own = node.as_user("alice", Method::GET, &path(&id)).await;
    assert_eq!((own.status, &own.body, own.header("cache-control")), (200, &expected, Some("no-store")));
    assert_eq!(node.as_operator(Method::GET, &path(&id)).await.body, expected);
    for answer in [node.get(&path(&id)).await, node.as_user("bob", Method::GET, &path(&id)).await] {
        assert_eq!((answer.outcome().as_str(), answer.header("cache-control")), ("404 not_found", Some("no-store")));
    }

    desk.pass(&id).await;
    desk.becomes(&id, 200).await;
    let passed = node.get(&path(&id)).await;
    assert_eq!((passed.text("inspection"), passed.text("category")), ("passed", "food"));
    assert_eq!(passed.body["tags"], json!(["쿠폰"]));
    assert_eq!(node.as_user("bob", Method::GET, &path(&id)).await.body, passed.body);

    desk.reject(&id).await;
    desk.becomes(&id, 404).await;
    assert_eq!(node.as_user("alice", Method::GET, &path(&id)).await.text("reason"), "rude", "its author hears why");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_gateway_readers_without_a_name_are_anybody() {
    let desk = Desk::with(|config| {
        config.auth.mode = AuthMode::TrustedHeader;
        config.auth.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let node = &desk.node;
    let named = |method, path: &str, user| node.request(method, path).header("x-user-id", user);
    let body = json!({"title": "t", "body": "b"});
    let made = node.send(named(Method::POST, "/v1/posts", "alice").json(&body)).await;
    let path = path(made.text("post_id"));
    assert_eq!(node.send(named(Method::GET, &path, "alice")).await.status, 200);
    assert_eq!(node.send(named(Method::GET, &path, "bob")).await.status, 404);
    assert_eq!(node.get(&path).await.status, 404);
    assert_eq!(node.send(named(Method::GET, &path, "")).await.outcome(), "401 unauthenticated");
    let stray = node.request(Method::GET, &path).bearer_auth("no operator's");
    assert_eq!(node.send(stray).await.outcome(), "401 unauthenticated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_a_post_already_is_not_sent_it_again_until_it_changes() {
    let desk = Desk::new().await;
    let node = &desk.node;
    let id = node.post("alice", "t").await;
    desk.pass(&id).await;
    desk.becomes(&id, 200).await;
    let public = node.get(&path(&id)).await;
    assert_eq!(public.header("cache-control"), Some("public, max-age=1"));
    assert_eq!(
        (public.header("vary"), public.header("content-type")),
        (Some("Authorization"), Some("application/json"))
    );
    let tag = public.header("etag").unwrap().to_owned();
    // By its door and, with a query that is empty, by its route.
    for path in [path(&id), format!("{}?", path(&id))] {
        let again =
            node.send(node.request(Method::GET, &path).header("if-none-match", format!("\"x\", W/{tag}"))).await;
        assert_eq!((again.status, again.header("etag"), &again.body), (304, Some(tag.as_str()), &json!("")));
        assert_eq!(again.header("vary"), Some("Authorization"));
    }
    let head = node.send(node.request(Method::HEAD, &path(&id))).await;
    assert_eq!((head.status, head.header("etag"), &head.body), (200, Some(tag.as_str()), &json!("")));

    let edit = node.user_sends("alice", Method::PATCH, &path(&id), &json!({"title": "u"})).await;
    assert_eq!(edit.status, 200);
    desk.pass(&id).await;
    desk.becomes(&id, 200).await;
    let other = node.send(node.request(Method::GET, &path(&id)).header("if-none-match", &tag)).await;
    assert_eq!((other.status, other.text("title")), (200, "u"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_has_to_be_inspected_again_and_the_same_text_is_no_edit() {
    let desk = Desk::new().await;
    let node = &desk.node;
    let id = node.post("alice", "t").await;
    desk.pass(&id).await;
    desk.becomes(&id, 200).await;
    for same in [json!({"title": "t"}), json!({"title": "t", "body": "A body."}), json!({})] {
        let answer = node.user_sends("alice", Method::PATCH, &path(&id), &same).await;
        assert_eq!((answer.status, answer.text("inspection")), (200, "passed"), "{same}");
    }
    assert_eq!(desk.count("SELECT count(*) FROM post_outbox").await, 1);
    let others = node.user_sends("bob", Method::PATCH, &path(&id), &json!({"title": "u"})).await;
    assert_eq!(others.outcome(), "404 not_found");

    let edited = node.user_sends("alice", Method::PATCH, &path(&id), &json!({"title": "u"})).await;
    assert_eq!((edited.text("title"), edited.text("body"), edited.text("inspection")), ("u", "A body.", "pending"));
    assert_eq!((&edited.body["category"], &edited.body["tags"]), (&Value::Null, &json!([])));
    assert_eq!(edited.text("post_id"), id);
    desk.becomes(&id, 404).await;
    assert_eq!(node.as_user("alice", Method::GET, &path(&id)).await.text("title"), "u");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_post_is_gone_for_its_author_too_and_leaves_no_text_behind() {
    let desk = Desk::new().await;
    let node = &desk.node;
    let id = node.post("alice", "t").await;
    desk.pass(&id).await;
    desk.becomes(&id, 200).await;
    assert_eq!(node.as_user("bob", Method::DELETE, &path(&id)).await.outcome(), "404 not_found");
    for _ in 0..2 {
        let gone = node.as_user("alice", Method::DELETE, &path(&id)).await;
        assert_eq!((gone.outcome().as_str(), gone.header("cache-control")), ("204", Some("no-store")));
    }
    desk.becomes(&id, 404).await;
    assert_eq!(node.as_user("alice", Method::GET, &path(&id)).await.outcome(), "404 not_found");
    assert_eq!(node.as_operator(Method::GET, &path(&id)).await.outcome(), "404 not_found");
    let edit = node.user_sends("alice", Method::PATCH, &path(&id), &json!({"title": "u"})).await;
    assert_eq!(edit.outcome(), "404 not_found");
    let left = "SELECT count(*) FROM posts WHERE title = '' AND body = '' AND deleted_at IS NOT NULL AND revision = 2";
    assert_eq!(desk.count(left).await, 1);
    assert_eq!(desk.count("SELECT count(*) FROM post_outbox WHERE message->>'happened' = 'deleted'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_leaves_its_message_in_the_order_of_the_changes() {
    let desk = Desk::new().await;
    let node = &desk.node;
    let id = node.post("alice", "0").await;
    let edits = (1..=12).map(|n| {
        let (client, path) = (node.client.clone(), path(&id));
        async move { client.user_sends("alice", Method::PATCH, &path, &json!({"title": format!("{n}")})).await }
    });
    assert!(join_all(edits).await.iter().all(|answer| answer.status == 200));
    assert_eq!(node.as_user("alice", Method::DELETE, &path(&id)).await.status, 204);
    let told: Vec<(i32, String, String)> = query_as(
        "SELECT (message->>'revision')::int, message->>'happened', message->>'title' FROM post_outbox ORDER BY id",
    )
    .fetch_all(&desk.database)
    .await
    .unwrap();
    assert_eq!(told.iter().map(|(revision, ..)| *revision).collect::<Vec<_>>(), (1..=14).collect::<Vec<_>>());
    assert_eq!((told[0].1.as_str(), told[1].1.as_str(), told[13].1.as_str()), ("created", "edited", "deleted"));
    assert_eq!(told[13].2, "", "what was deleted is not told again");
    let unlike: std::collections::HashSet<&String> = told[..13].iter().map(|(.., title)| title).collect();
    assert_eq!(unlike.len(), 13, "each with the text of its own revision");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_edits_at_once_neither_undoes_the_other() {
    let desk = Desk::new().await;
    let node = &desk.node;
    let id = node.post("alice", "t").await;
    for n in 0..10 {
        let (title, body) = (json!({"title": format!("title {n}")}), json!({"body": format!("body {n}")}));
        let path = path(&id);
        let edits = [&title, &body].map(|edit| node.user_sends("alice", Method::PATCH, &path, edit));
        assert!(join_all(edits).await.iter().all(|answer| answer.status == 200));
        let now = node.as_user("alice", Method::GET, &path).await;
        assert_eq!((&now.body["title"], &now.body["body"]), (&title["title"], &body["body"]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_message_cannot_be_written_has_not_happened() {
    let desk = Desk::new().await;
    let node = &desk.node;
    let id = node.post("alice", "fine").await;
    sqlx::query("ALTER TABLE post_outbox ADD CONSTRAINT only_fine CHECK (message->>'title' = 'fine') NOT VALID")
        .execute(&desk.database)
        .await
        .unwrap();
    let made = node.user_sends("alice", Method::POST, "/v1/posts", &json!({"title": "t", "body": "b"})).await;
    assert_eq!(made.outcome(), "503 unavailable");
    assert!(made.header("retry-after").is_some());
    let edit = node.user_sends("alice", Method::PATCH, &path(&id), &json!({"title": "t"})).await;
    assert_eq!(edit.outcome(), "503 unavailable");
    assert_eq!(node.as_user("alice", Method::DELETE, &path(&id)).await.outcome(), "503 unavailable");
    assert_eq!(desk.count("SELECT count(*) FROM posts WHERE title = 'fine' AND revision = 1").await, 1);
    assert_eq!(desk.count("SELECT count(*) FROM posts").await, 1);
    assert_eq!(node.as_user("alice", Method::GET, &path(&id)).await.text("title"), "fine");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_ascend_with_time_as_texts() {
    let desk = Desk::new().await;
    let mut ids = Vec::new();
    for n in 0..30 {
        ids.push(desk.node.post(if n % 2 == 0 { "alice" } else { "bob" }, "t").await);
    }
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert!(ids.iter().all(|id| id.len() == 19 && id.bytes().all(|digit| digit.is_ascii_digit())));
}

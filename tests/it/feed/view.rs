//! The front page: the parts of three routes in one answer, and what is left of it when a store is away.

use reqwest::Method;
use serde_json::{Value, json};

use super::desk::Desk;
use crate::support::private_redis::PrivateRedis;
use crate::support::stores::eventually;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_front_page_has_each_part_as_its_own_route_has_it() {
    let desk = Desk::new().await;
    let node = &desk.node;
    let (mine, _other) = (node.campaign(10, json!({})).await, node.campaign(10, json!({})).await);
    let hidden = node.campaign(10, json!({"listed": false})).await;
    for campaign in [&mine, &hidden] {
        assert_eq!(node.claim(campaign, "alice").await.status, 201);
    }
    node.subscribe("alice", "bob").await;
    desk.publish("bob", 25).await;
    let view = node.as_user("alice", Method::GET, "/v1/view").await;
    assert_eq!(view.outcome(), "200", "{view:?}");
    assert_eq!(view.body["campaigns"], node.get("/v1/campaigns").await.body);
    assert_eq!(view.body["feed"], node.as_user("alice", Method::GET, "/v1/feed").await.body);
    assert!(view.body["feed"]["next"].is_string());
    let claims = node.as_user("alice", Method::GET, &format!("/v1/campaigns/{mine}/claims/mine")).await;
    assert_eq!(view.body["claims"], claims.body, "what is not listed is not on the front page");
    assert_eq!(view.body["failed"], json!([]));

    let nothing = node.as_user("bob", Method::GET, "/v1/view").await;
    assert_eq!(nothing.body["claims"], json!({"items": []}));
    assert_eq!(nothing.body["feed"], json!({"items": [], "next": null}));
    assert_eq!(node.as_user("alice", Method::GET, "/v1/view?limit=1").await.outcome(), "400 invalid_request");
}

/// More campaigns than a page lists, and than are looked through for claims.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_front_page_has_the_claims_of_the_fifty_newest_campaigns_newest_first() {
    let desk = Desk::new().await;
    let node = &desk.node;
    let mut campaigns = Vec::new();
    for _ in 0..51 {
        campaigns.push(node.campaign(10, json!({})).await);
    }
    // The oldest is not among them; of the others neither end is missed, wherever their ids stand in the alphabet.
    for place in [0, 1, 30, 50] {
        assert_eq!(node.claim(&campaigns[place], "alice").await.status, 201);
    }
    let view = node.as_user("alice", Method::GET, "/v1/view").await.body;
    let claims = view["claims"]["items"].as_array().unwrap();
    let of: Vec<&str> = claims.iter().map(|claim| claim["campaign_id"].as_str().unwrap()).collect();
    assert_eq!(of, [&campaigns[50], &campaigns[30], &campaigns[1]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_the_front_page_already_is_not_sent_it_again_until_it_changes() {
    let desk = Desk::new().await;
    let node = &desk.node;
    let campaign = node.campaign(10, json!({})).await;
    let request = || node.request(Method::GET, "/v1/view").bearer_auth(node.token("alice"));
    let first = node.send(request()).await;
    assert_eq!(first.header("cache-control"), Some("no-store"));
    let tag = first.header("etag").unwrap();
    let again = node.send(request().header("if-none-match", tag)).await;
    assert_eq!((again.status, again.header("etag"), &again.body), (304, Some(tag), &json!("")));
    assert_eq!(node.claim(&campaign, "alice").await.status, 201);
    let changed = node.send(request().header("if-none-match", tag)).await;
    assert_eq!((changed.status, changed.body["claims"]["items"].as_array().unwrap().len()), (200, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_lists_the_routes_of_the_feed() {
    let desk = Desk::new().await;
    let document = desk.node.get("/openapi.json").await.body;
    for (path, methods) in [
        ("/v1/posts", &["post"][..]),
        ("/v1/posts/{id}", &["get", "patch", "delete"]),
        ("/v1/subscriptions/{author_id}", &["put", "delete"]),
        ("/v1/feed", &["get"]),
        ("/v1/view", &["get"]),
    ] {
        for method in methods {
            assert_eq!(document["paths"][path][method]["tags"], json!(["feed"]), "{method} {path}");
        }
    }
    let anybody = &document["paths"]["/v1/posts/{id}"]["get"]["security"];
    assert!(anybody.as_array().unwrap().contains(&json!({})), "{anybody}");
}

fn failed(view: &Value) -> Vec<&str> {
    let failed = view["failed"].as_array().unwrap();
    assert!(failed.iter().all(|it| it["code"] == "unavailable" && !it["detail"].as_str().unwrap().is_empty()));
    failed.iter().map(|it| it["part"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_redis_away_the_front_page_still_has_what_does_not_need_it() {
    let mut redis = PrivateRedis::start(&[]).await;
    let desk = Desk::with(|config| {
        config.redis.url = redis.url();
        config.redis.command_timeout_ms = 500;
    })
    .await;
    let node = &desk.node;
    node.campaign(10, json!({})).await;
    node.subscribe("alice", "bob").await;
    let posts = desk.publish("bob", 3).await;
    redis.kill();
    let mut view = Value::Null;
    eventually("Redis is missed", async || {
        let answer = node.as_user("alice", Method::GET, "/v1/view").await;
        assert_eq!(answer.outcome(), "200", "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        view = answer.body;
        failed(&view) == ["campaigns", "claims"]
    })
    .await;
    assert_eq!((&view["campaigns"], &view["claims"]), (&Value::Null, &Value::Null));
    let ids: Vec<&Value> = view["feed"]["items"].as_array().unwrap().iter().map(|item| &item["post_id"]).collect();
    assert_eq!(ids, posts.iter().rev().collect::<Vec<_>>());

    redis.start_again(&[]).await;
    // It came back empty: the campaign is listed as what it is, and that its claims are not shown is said.
    eventually("all is well again, but for the campaign that was lost", async || {
        let view = node.as_user("alice", Method::GET, "/v1/view").await.body;
        failed(&view) == ["claims"]
            && view["failed"][0]["detail"].as_str().unwrap().contains("rebuilt")
            && view["campaigns"]["items"][0]["state"] == "unavailable"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_takes_too_long_is_left_out() {
    let desk = Desk::with(|config| config.feed.view_part_ms_max = 300).await;
    let node = &desk.node;
    node.campaign(10, json!({})).await;
    node.subscribe("alice", "bob").await;
    let mut lock = desk.database.begin().await.unwrap();
    sqlx::query("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let view = node.as_user("alice", Method::GET, "/v1/view").await;
    assert_eq!((view.outcome().as_str(), &view.body["feed"]), ("200", &Value::Null));
    assert_eq!(failed(&view.body), ["feed"]);
    assert!(view.body["failed"][0]["detail"].as_str().unwrap().contains("took too long"), "{view:?}");
    assert_eq!(view.body["campaigns"]["items"].as_array().unwrap().len(), 1);
    assert_eq!(view.body["claims"], json!({"items": []}));
    lock.rollback().await.unwrap();
    let request = node.request(Method::GET, "/v1/view").bearer_auth(node.token("alice"));
    assert_eq!(node.send(request).await.body["failed"], json!([]));
}

//! Campaigns over HTTP: made, listed, changed, on several nodes.

use std::time::Duration;

use onrush::app::Role;
use reqwest::Method;
use serde_json::json;

use crate::support::installation::Installation;
use crate::support::{names, stores};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_content_again_is_the_same_campaign_whatever_was_patched_since() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let id = names::unique("c");
    let content = json!({"id": id, "name": "Welcome coupon", "stock": 100, "opens_at": "2020-01-01T09:00:00+09:00"});
    let made = node.operator_sends(Method::POST, "/v1/campaigns", &content).await;
    assert_eq!(made.outcome(), "201");
    assert_eq!(made.header("location"), Some(format!("/v1/campaigns/{id}").as_str()));
    assert_eq!(made.text("opens_at"), "2020-01-01T00:00:00.000Z");
    for (member, value) in [
        ("per_user_limit", json!(1)),
        ("state", json!("open")),
        ("left", json!(100)),
        ("claimed", json!(0)),
        ("given_back", json!(0)),
        ("durability", json!("memory")),
        ("listed", json!(true)),
        ("waiting", json!(null)),
        ("closes_at", json!(null)),
    ] {
        assert_eq!(made.body[member], value, "{member}");
    }
    let path = format!("/v1/campaigns/{id}");
    let patched = node.operator_sends(Method::PATCH, &path, &json!({"name": "Renamed", "stock": 150})).await;
    assert_eq!((patched.text("name"), patched.number("left")), ("Renamed", 150));

    // Defaults spelled out, another spelling of the same time: the same content.
    let same = json!({"id": id, "name": "Welcome coupon", "stock": 100.0, "per_user_limit": 1,
                      "opens_at": "2020-01-01T00:00:00Z", "closes_at": null, "waiting": null});
    let again = node.operator_sends(Method::POST, "/v1/campaigns", &same).await;
    assert_eq!((again.outcome().as_str(), again.text("name"), again.number("stock")), ("200", "Renamed", 150));
    let other = json!({"id": id, "name": "Renamed", "stock": 150, "opens_at": "2020-01-01T00:00:00Z"});
    assert_eq!(node.operator_sends(Method::POST, "/v1/campaigns", &other).await.outcome(), "409 already_exists");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_can_be_claimed_on_every_node_as_soon_as_it_is_made() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    for _ in 0..20 {
        let campaign = nodes[0].campaign(1, json!({})).await;
        assert_eq!(nodes[1].claim(&campaign, "alice").await.outcome(), "201");
    }
    assert_eq!(nodes[1].claim("nothing", "alice").await.outcome(), "404 not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_reaches_the_other_nodes_within_a_hundred_milliseconds() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let campaign = nodes[0].campaign(10, json!({})).await;
    nodes[1].view(&campaign).await;
    let path = format!("/v1/campaigns/{campaign}");
    nodes[0].operator_sends(Method::PATCH, &path, &json!({"name": "New", "per_user_limit": 2})).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let view = nodes[1].view(&campaign).await;
    assert_eq!((view.text("name"), view.number("per_user_limit")), ("New", 2));
    nodes[0].as_operator(Method::POST, &format!("{path}/pause")).await;
    assert_eq!(nodes[1].claim(&campaign, "alice").await.outcome(), "409 paused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_later_knows_what_was_made_before() {
    let installation = Installation::new().await;
    let first = installation.node(Role::Serve).await;
    let campaign = first.campaign(10, json!({})).await;
    let claim = first.claim(&campaign, "alice").await;
    let second = installation.node(Role::Serve).await;
    let coupon = format!("/v1/coupons/{}", claim.text("coupon_code"));
    assert_eq!(second.as_operator(Method::GET, &coupon).await.body, claim.body);
    let list = second.get("/v1/campaigns").await;
    assert_eq!(list.body["items"][0]["id"], json!(campaign));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_shrinks_only_before_the_opening_and_what_cannot_change_says_so() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let scheduled =
        node.campaign(10, json!({"opens_at": "2099-01-01T00:00:00Z", "closes_at": "2099-01-02T00:00:00Z"})).await;
    let path = format!("/v1/campaigns/{scheduled}");
    let change = async |path: &str, body| node.operator_sends(Method::PATCH, path, &body).await;
    let lowered = change(&path, json!({"stock": 4})).await;
    assert_eq!((lowered.outcome().as_str(), lowered.number("left")), ("200", 4));
    assert_eq!(change(&path, json!({"opens_at": "2099-01-03T00:00:00Z"})).await.outcome(), "400 invalid_request");
    assert_eq!(change(&path, json!({"opens_at": null, "closes_at": null})).await.text("state"), "open");

    assert_eq!(change(&path, json!({"stock": 3})).await.outcome(), "409 stock_cannot_shrink");
    assert_eq!(change(&path, json!({"opens_at": "2099-01-01T00:00:00Z"})).await.outcome(), "400 invalid_request");
    assert_eq!(change(&path, json!({"per_user_limit": 2})).await.outcome(), "200");
    assert_eq!(change(&path, json!({"per_user_limit": 1})).await.outcome(), "400 invalid_request");
    assert_eq!(change(&path, json!({})).await.number("stock"), 4);
    assert_eq!(change("/v1/campaigns/nothing", json!({"stock": 3})).await.outcome(), "404 not_found");
    let view = node.view(&scheduled).await;
    assert_eq!((view.number("stock"), view.number("left"), view.number("per_user_limit")), (4, 4, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raises_at_once_on_two_nodes_are_all_kept() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let campaign = nodes[0].campaign(1, json!({})).await;
    let path = format!("/v1/campaigns/{campaign}");
    let raises = (2..=12_u64).map(|stock| {
        let (client, path) = (nodes[usize::try_from(stock).unwrap() % 2].client.clone(), path.clone());
        tokio::spawn(async move { client.operator_sends(Method::PATCH, &path, &json!({"stock": stock})).await })
    });
    let mut highest = 1;
    for answer in futures::future::join_all(raises).await {
        let answer = answer.unwrap();
        assert!(["200", "409 stock_cannot_shrink"].contains(&answer.outcome().as_str()), "{answer:?}");
        if answer.status == 200 {
            highest = highest.max(answer.number("stock"));
        }
    }
    assert_eq!(highest, 12);
    let view = nodes[1].view(&campaign).await;
    assert_eq!((view.number("stock"), view.number("left")), (12, 12));
    nodes[0].audit_ok(&campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_is_cacheable_and_a_list_has_pages() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(node.campaign(10, json!({})).await);
    }
    let hidden = node.campaign(10, json!({"listed": false})).await;
    let view = node.view(&ids[0]).await;
    let tag = view.header("etag").unwrap().to_owned();
    assert_eq!(view.header("cache-control"), Some("public, max-age=1"));
    let path = format!("/v1/campaigns/{}", ids[0]);
    let again = node.send(node.request(Method::GET, &path).header("If-None-Match", &tag)).await;
    assert_eq!((again.status, again.body.as_str()), (304, Some("")));
    node.claim(&ids[0], "alice").await;
    let changed = node.send(node.request(Method::GET, &path).header("If-None-Match", &tag)).await;
    assert_eq!((changed.status, changed.number("left")), (200, 9));

    ids.sort();
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = node.get(&format!("/v1/campaigns?limit=2{after}")).await;
        seen.extend(page.body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page.body["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    assert!(!seen.contains(&hidden));
    assert_eq!(node.view(&hidden).await.status, 200);
}

/// A campaign that was put and is missing in Redis was lost, not forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_that_is_missing_in_redis_is_refused_and_never_made_again() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(2, json!({})).await;
    assert_eq!(node.claim(&campaign, "alice").await.outcome(), "201");
    stores::delete_campaign(&installation.config, &campaign).await;
    assert_eq!(node.claim(&campaign, "bob").await.outcome(), "503 unavailable");
    let path = format!("/v1/campaigns/{campaign}");
    assert_eq!(node.operator_sends(Method::PATCH, &path, &json!({"stock": 5})).await.outcome(), "503 unavailable");
    let later = installation.node(Role::Serve).await;
    assert_eq!(later.claim(&campaign, "bob").await.outcome(), "503 unavailable");
}

//! What an operator began is finished, and every node hears of it: whoever hangs up, and whatever fails in between.

use std::time::Duration;

use onrush::app::Role;
use onrush::database;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::hang_up::hang_up_after;
use crate::support::installation::{Client, Installation, OPERATOR};
use crate::support::names;
use crate::support::private_redis::PrivateRedis;
use crate::support::stores::{claim_rows, eventually};

/// Twice what a publisher takes at most to find a row that nobody was told of.
const TOLD_MAX: Duration = Duration::from_secs(4);

fn change(node: &Client, campaign: &str, body: &Value) -> reqwest::RequestBuilder {
    node.request(Method::PATCH, &format!("/v1/campaigns/{campaign}")).bearer_auth(OPERATOR).json(body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_caller_hangs_up_is_made_and_told_to_every_node() {
    let installation = Installation::new().await;
    let (here, there) = (installation.node(Role::Serve).await, installation.node(Role::Serve).await);
    let mut campaigns = Vec::new();
    for _ in 0..20 {
        campaigns.push(here.campaign(10, json!({})).await);
    }
    let (mut unheard, mut versions) = (0, vec![1_u64; campaigns.len()]);
    // How many hang up before they hear depends on how fast the machine is: until enough have.
    for round in 0..3_000_usize {
        if round >= 300 && unheard >= 50 {
            break;
        }
        let place = round % campaigns.len();
        let request = change(&here, &campaigns[place], &json!({"name": format!("name {round}")}));
        let heard = hang_up_after(request, Duration::from_millis(round as u64 % 13)).await;
        unheard += usize::from(!heard);
        versions[place] = round as u64;
    }
    assert!(unheard >= 50, "{unheard} callers hung up before the answer: that tests nothing");
    tokio::time::sleep(TOLD_MAX).await;
    let database = database::open(&installation.config.postgres).unwrap();
    for campaign in &campaigns {
        let name: String = sqlx::query_scalar("SELECT name FROM campaigns WHERE id = $1")
            .bind(campaign)
            .fetch_one(&database)
            .await
            .unwrap();
        for node in [&here, &there] {
            assert_eq!(node.view(campaign).await.text("name"), name, "a node was not told");
        }
    }
    let behind: i64 = sqlx::query_scalar("SELECT count(*) FROM campaigns WHERE published_version < version")
        .fetch_one(&database)
        .await
        .unwrap();
    assert_eq!(behind, 0, "changes that nobody finished");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_whose_maker_hangs_up_can_be_claimed_at_every_node_and_is_relayed() {
    let installation = Installation::new().await;
    let (here, there) = (installation.node(Role::All).await, installation.node(Role::Serve).await);
    let mut made = Vec::new();
    for round in 0..40_u64 {
        let id = names::unique("c");
        let body = json!({"id": id, "name": "A campaign", "stock": 3});
        let request = here.request(Method::POST, "/v1/campaigns").bearer_auth(OPERATOR).json(&body);
        hang_up_after(request, Duration::from_millis(round % 13)).await;
        made.push(id);
    }
    tokio::time::sleep(TOLD_MAX).await;
    for campaign in &made {
        // The request itself may not have come through; then it was never begun.
        if there.get(&format!("/v1/campaigns/{campaign}")).await.status == 404 {
            assert_eq!(here.get(&format!("/v1/campaigns/{campaign}")).await.status, 404);
            continue;
        }
        assert_eq!(there.claim(campaign, "alice").await.outcome(), "201");
        here.audit_ok(campaign).await;
        assert_eq!(claim_rows(&installation.config, campaign).await.len(), 1);
    }
}

/// While Redis refuses the announcement, the operator hears that it failed; the same request later succeeds, and tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_could_not_be_announced_is_announced_later() {
    let redis = PrivateRedis::start(&[]).await;
    let installation = Installation::with(|config| {
        config.redis.url = redis.url();
        // Only the second request, or the publisher, can have told: nobody looks by themselves.
        config.campaign.put_again_ms = 1_000;
    })
    .await;
    let (here, there) = (installation.node(Role::All).await, installation.node(Role::Serve).await);
    let campaign = here.campaign(3, json!({})).await;
    redis.cli(&["acl", "setuser", "default", "-zadd"]);
    let refused = here.send(change(&here, &campaign, &json!({"name": "new"}))).await;
    assert_eq!(refused.outcome(), "503 unavailable");
    let made = names::unique("c");
    let body = json!({"id": made, "name": "A campaign", "stock": 3});
    assert_eq!(here.operator_sends(Method::POST, "/v1/campaigns", &body).await.outcome(), "503 unavailable");
    redis.cli(&["acl", "setuser", "default", "+zadd"]);

    let again = here.send(change(&here, &campaign, &json!({"name": "new"}))).await;
    assert_eq!(again.outcome(), "200");
    eventually("the other node was told", async || there.view(&campaign).await.text("name") == "new").await;
    // Nobody repeats the other one: the publisher finds it.
    eventually("the new one can be claimed there", async || there.claim(&made, "alice").await.status == 201).await;
    here.audit_ok(&made).await;
    assert_eq!(claim_rows(&installation.config, &made).await.len(), 1);
}

/// A campaign that is being made is missing in Redis, and not lost: nobody has ever known of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn campaigns_that_are_being_made_are_not_lost_whoever_looks_at_them() {
    let redis = PrivateRedis::start(&[]).await;
    let installation = Installation::with(|config| config.redis.url = redis.url()).await;
    let (here, there) = (installation.node(Role::All).await, installation.node(Role::Serve).await);
    let mut lookers = tokio::task::JoinSet::new();
    for node in [here.client.clone(), there.client.clone()] {
        lookers.spawn(async move {
            loop {
                let listed = node.get("/v1/campaigns?limit=100").await;
                assert_eq!(listed.status, 200, "{listed:?}");
                let front = node.as_user("alice", Method::GET, "/v1/view").await;
                assert_eq!((front.status, &front.body["failed"]), (200, &json!([])), "{front:?}");
            }
        });
    }
    for _ in 0..40 {
        redis.cli(&["script", "flush"]);
        let campaign = here.campaign(2, json!({})).await;
        assert_eq!(there.claim(&campaign, "alice").await.outcome(), "201");
    }
    lookers.abort_all();
    while let Some(ended) = lookers.join_next().await {
        assert!(ended.as_ref().is_err_and(tokio::task::JoinError::is_cancelled), "one who looked: {ended:?}");
    }
    assert_eq!(here.get("/readyz").await.body["lost"], json!([]));
    let listed = here.get("/v1/campaigns?limit=100").await;
    let items = listed.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 40);
    assert!(items.iter().all(|item| item["state"] == "open"), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_lost_campaign_is_listed_as_unavailable_and_hides_no_other() {
    let installation = Installation::new().await;
    let node = installation.node(Role::All).await;
    let (whole, lost) = (node.campaign(3, json!({})).await, node.campaign(3, json!({})).await);
    assert_eq!(node.claim(&whole, "alice").await.outcome(), "201");
    crate::support::stores::set_lost(&installation.config, &lost).await;
    eventually("the loss is noticed", async || node.claim(&lost, "alice").await.status == 503).await;

    let listed = node.get("/v1/campaigns").await;
    assert_eq!(listed.status, 200, "{listed:?}");
    let item =
        |id: &str| listed.body["items"].as_array().unwrap().iter().find(|item| item["id"] == id).cloned().unwrap();
    assert_eq!((&item(&lost)["state"], &item(&lost)["left"]), (&json!("unavailable"), &json!(null)));
    assert_eq!((&item(&whole)["state"], &item(&whole)["left"]), (&json!("open"), &json!(2)));
    let front = node.as_user("alice", Method::GET, "/v1/view").await;
    assert_eq!(front.status, 200, "{front:?}");
    assert_eq!(front.body["campaigns"]["items"].as_array().unwrap().len(), 2);
    let claims = front.body["claims"]["items"].as_array().unwrap();
    assert_eq!((claims.len(), &claims[0]["campaign_id"]), (1, &json!(whole)));
    assert_eq!(front.body["failed"][0]["part"], "claims", "what is missing is named: {front:?}");
    assert_eq!(node.get(&format!("/v1/campaigns/{lost}")).await.outcome(), "503 unavailable");
}

/// There are 2^20 serials, and a campaign takes one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_post_takes_no_serial() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let body = json!({"id": "SERIAL", "name": "A campaign", "stock": 3});
    assert_eq!(node.operator_sends(Method::POST, "/v1/campaigns", &body).await.outcome(), "201");
    for _ in 0..50 {
        assert_eq!(node.operator_sends(Method::POST, "/v1/campaigns", &body).await.outcome(), "200");
        let other = json!({"id": "SERIAL", "name": "Another", "stock": 3});
        assert_eq!(node.operator_sends(Method::POST, "/v1/campaigns", &other).await.outcome(), "409 already_exists");
    }
    let next = node.campaign(3, json!({})).await;
    let database = database::open(&installation.config.postgres).unwrap();
    let serials: Vec<(String, i32)> =
        sqlx::query_as("SELECT id, serial FROM campaigns ORDER BY serial").fetch_all(&database).await.unwrap();
    assert_eq!(serials, [("SERIAL".to_owned(), 1), (next, 2)]);
}

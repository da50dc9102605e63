//! A Redis without memory left: what makes room works, and whoever tells of it; what would take more is refused.

use onrush::alarm::Watched;
use onrush::app::Role;
use onrush::ledger::Drained;
use reqwest::Method;
use serde_json::json;

use crate::alarm::{Chat, alarm, quick};
use crate::support::installation::Installation;
use crate::support::private_redis::PrivateRedis;
use crate::support::stores::{Stores, eventually, users};

/// From now on every write that would take memory is refused.
fn fill(redis: &PrivateRedis) {
    redis.cli(&["config", "set", "maxmemory", "1"]);
    assert!(redis.cli(&["set", "any", "thing"]).starts_with("OOM"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_drains_to_empty_and_the_alarm_is_told() {
    let redis = PrivateRedis::start(&[]).await;
    let chat = Chat::default();
    let url = chat.open().await;
    let stores = Stores::with(|config| {
        quick(config, url);
        config.redis.url = redis.url();
        config.relay.entries_max = 3;
    })
    .await;
    let campaign = stores.put("full", 200).await;
    for batch in 0..6 {
        stores.issue(&campaign, &users(batch * 10 + 1, batch * 10 + 10)).await;
    }
    fill(&redis);
    stores
        .execute(
            "INSERT INTO dead_letters (topic, partition, record_offset, reason, record) VALUES ('t', 0, 0, 'r', '')",
        )
        .await;
    let relay = stores.relay();
    let alarm = alarm(&stores).await;
    assert_eq!(alarm.tick().await.unwrap(), Watched::Sent(2), "the letter, and the memory");
    assert!(chat.told()[0].contains("CRITICAL: dead_letters_waiting is 1 (critical from 1)"), "{:?}", chat.told());
    assert!(chat.told()[0].contains("CRITICAL: redis_memory_percent is"), "{:?}", chat.told());
    assert_eq!(alarm.tick().await.unwrap(), Watched::Sent(0), "that it was told is kept");

    let mut drained = 0;
    while let Drained::Facts(facts) = relay.drain_once(&campaign).await {
        drained += facts;
    }
    assert_eq!(drained, 61);
    assert_eq!(stores.field(&campaign, "outbox_facts").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_come_back_and_campaigns_are_closed_and_nothing_grows() {
    let redis = PrivateRedis::start(&[]).await;
    let installation = Installation::with(|config| config.redis.url = redis.url()).await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let campaign = nodes[0].campaign(5, json!({"per_user_limit": 5})).await;
    let claims = [
        nodes[0].claim(&campaign, "alice").await,
        nodes[0].claim(&campaign, "alice").await,
        nodes[0].claim_with_key(&campaign, "alice", "k").await,
    ];
    fill(&redis);
    assert_eq!(nodes[0].claim(&campaign, "bob").await.outcome(), "503 unavailable");
    let path = format!("/v1/campaigns/{campaign}");
    let raise = nodes[0].operator_sends(Method::PATCH, &path, &json!({"stock": 6})).await;
    assert_eq!(raise.outcome(), "503 unavailable");
    let by_key = |key: &str| {
        let request = nodes[0].request(Method::DELETE, &format!("{path}/claims/by-key"));
        request.bearer_auth(nodes[0].token("alice")).header("Idempotency-Key", key)
    };
    assert_eq!(nodes[0].send(by_key("new")).await.outcome(), "503 unavailable");

    assert_eq!(nodes[0].give_back(&claims[0]).await.text("state"), "given_back");
    assert_eq!(nodes[0].send(by_key("k")).await.text("state"), "given_back");
    let coupon = format!("/v1/coupons/{}", claims[1].text("coupon_code"));
    assert_eq!(nodes[0].as_operator(Method::POST, &format!("{coupon}/redeem")).await.text("state"), "redeemed");
    let undo = nodes[0].operator_sends(Method::POST, &format!("{coupon}/unredeem"), &json!({"reason": "r"})).await;
    assert_eq!(undo.text("state"), "live");
    for (verb, state) in [("pause", "paused"), ("close", "closed")] {
        let changed = nodes[0].as_operator(Method::POST, &format!("{path}/{verb}")).await;
        assert_eq!((changed.outcome().as_str(), changed.text("state")), ("200", state));
        eventually("the other node knows", async || nodes[1].view(&campaign).await.text("state") == state).await;
    }
    redis.cli(&["config", "set", "maxmemory", "0"]);
    nodes[0].audit_ok(&campaign).await;
}

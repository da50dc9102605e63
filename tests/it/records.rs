//! What the scripts keep is what the program reads and writes, to the letter, and a rebuild writes what they had kept.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use onrush::app::Role;
use onrush::database;
use onrush::facts::{ClaimRecord, EntryHead, HolderRecord, RedemptionRecord, read_entry, write_entry};
use onrush::ids::CampaignId;
use onrush::rebuild::{Rebuilder, Rebuilt};
use onrush::redis::Redis;
use reqwest::Method;
use serde_json::json;

use crate::support::installation::{Installation, TestNode};
use crate::support::stores;

/// Claims, holders and redemptions of a campaign, as Redis has them.
struct Kept {
    claims: HashMap<String, String>,
    holders: HashMap<String, String>,
    redemptions: HashMap<String, String>,
}

impl Kept {
    async fn read(redis: &Redis, campaign: &CampaignId) -> Self {
        let keys = redis.keys().of(campaign);
        Self {
            claims: redis.all_fields(&keys.claims()).await.unwrap(),
            holders: redis.all_fields(&keys.holders()).await.unwrap(),
            redemptions: redis.all_fields(&keys.redemptions()).await.unwrap(),
        }
    }
}

/// Everything that can become of a claim, once at least.
async fn live_through_everything(node: &TestNode, campaign: &str) {
    let coupon = async |claim: &str, verb: &str, body: serde_json::Value| {
        let answer = node.operator_sends(Method::POST, &format!("/v1/coupons/{claim}/{verb}"), &body).await;
        assert_eq!(answer.outcome(), "200", "{answer:?}");
    };
    let redeem = async |claim: &str| {
        let path = format!("/v1/coupons/{claim}/redeem");
        assert_eq!(node.as_operator(Method::POST, &path).await.outcome(), "200");
    };
    node.claim_with_key(campaign, "alice", "first").await;
    let back = node.claim(campaign, "alice").await;
    let used = node.claim(campaign, "민지").await;
    let undone = node.claim(campaign, "bob, the : second!").await;
    node.claim(campaign, "alice").await;
    assert_eq!(node.give_back(&back).await.outcome(), "200");
    redeem(used.text("coupon_code")).await;
    redeem(undone.text("coupon_code")).await;
    coupon(undone.text("coupon_code"), "unredeem", json!({"reason": "by mistake: 실수"})).await;
    let raise = node.operator_sends(Method::PATCH, &format!("/v1/campaigns/{campaign}"), &json!({"stock": 12})).await;
    assert_eq!(raise.outcome(), "200", "{raise:?}");
    for user in ["alice", "nobody yet"] {
        let by_key = node.request(Method::DELETE, &format!("/v1/campaigns/{campaign}/claims/by-key"));
        let by_key = by_key.bearer_auth(node.token(user)).header("Idempotency-Key", "never");
        assert_eq!(node.send(by_key).await.status, 204);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_scripts_write_is_read_and_written_again_to_the_letter_and_a_rebuild_writes_the_same() {
    let installation = Installation::with(|config| config.kafka.delivery_timeout_ms = 1_000).await;
    let server = installation.node(Role::Serve).await;
    let campaign = server.campaign(10, json!({"per_user_limit": 3, "durability": "memory"})).await;
    live_through_everything(&server, &campaign).await;

    let redis = Arc::new(Redis::connect(&installation.config.redis).await.unwrap());
    let id: CampaignId = campaign.parse().unwrap();
    let kept = Kept::read(&redis, &id).await;
    assert_eq!((kept.claims.len(), kept.holders.len(), kept.redemptions.len()), (5, 4, 2));
    for record in kept.claims.values() {
        assert_eq!(ClaimRecord::parse(record).map(|read| read.to_string()).as_ref(), Some(record));
    }
    for record in kept.holders.values() {
        assert_eq!(HolderRecord::parse(record).map(|read| read.to_string()).as_ref(), Some(record));
    }
    for record in kept.redemptions.values() {
        assert_eq!(RedemptionRecord::parse(record).map(|read| read.to_string()).as_ref(), Some(record));
    }
    // Nobody relays yet: all facts are where the scripts wrote them.
    let entries = stores::outbox_entries(&installation.config, &campaign).await;
    assert_eq!(entries.len(), 13, "one for each decision: {entries:?}");
    for entry in entries {
        let head = EntryHead {
            v: entry["v"].parse().unwrap(),
            generation: entry["g"].parse().unwrap(),
            at: entry["at"].parse().unwrap(),
        };
        let facts = read_entry(&id, head, &entry["f"]).unwrap();
        let written = write_entry(head, &facts).map(|(name, value)| (name.to_owned(), value));
        assert_eq!(HashMap::from(written), entry);
    }

    let worker = installation.node(Role::Work).await;
    server.audit_ok(&campaign).await;
    stores::delete_campaign(&installation.config, &campaign).await;
    let tables = database::open(&installation.config.postgres).unwrap();
    let rebuilder = Rebuilder::new(Arc::clone(&redis), tables, &installation.config).unwrap();
    let rebuilt = rebuilder.rebuild(&id, Duration::from_secs(30)).await.unwrap();
    assert_eq!(rebuilt, Some(Rebuilt::Done { generation: 2, live: 4, highest: 5, lost_numbers: 0 }));
    let again = Kept::read(&redis, &id).await;
    assert_eq!((again.claims, again.holders), (kept.claims, kept.holders));
    // Which calls have used a coupon is in no fact; when it was used is.
    let used = |kept: &HashMap<String, String>| -> HashMap<String, i64> {
        let read = kept.iter().map(|(number, record)| (number.clone(), RedemptionRecord::parse(record).unwrap()));
        read.filter_map(|(number, record)| Some((number, record.used_at?))).collect()
    };
    assert_eq!((again.redemptions.len(), used(&again.redemptions)), (1, used(&kept.redemptions)));
    worker.stop().await;
    server.stop().await;
}

//! Whether all stores agree.

use std::time::Duration;

use onrush::ids::CampaignId;
use onrush::kafka::Offsets;
use onrush::ledger::{Audit, Drained, Verdict};
use onrush::redis::Script;

use super::writer::write_all;
use crate::support::stores::{Stores, fact, users};
use crate::support::topic;

const WAIT_MAX: Duration = Duration::from_secs(2);

async fn drain(stores: &Stores, campaign: &CampaignId) {
    let relay = stores.relay();
    while let Drained::Facts(_) = relay.drain_once(campaign).await {}
}

async fn audit(stores: &Stores, campaign: &CampaignId) -> Audit {
    stores.auditor().audit_settled(campaign, WAIT_MAX).await.unwrap().unwrap()
}

/// A campaign of 20 units: 20 claims, of which 2 given back, and one more for one of these. 24 facts in the outbox.
async fn busy_campaign(stores: &Stores) -> CampaignId {
    let campaign = stores.put("AUDITED", 20).await;
    stores.issue(&campaign, &users(1, 25)).await;
    stores.give_back(&campaign, 3).await;
    stores.give_back(&campaign, 5).await;
    stores.issue(&campaign, &users(30, 30)).await;
    campaign
}

async fn settled_campaign(stores: &Stores) -> CampaignId {
    let campaign = busy_campaign(stores).await;
    drain(stores, &campaign).await;
    assert_eq!(write_all(stores, 24).await, 24);
    assert_eq!(audit(stores, &campaign).await.verdict, Verdict::Ok);
    campaign
}

/// Changes Redis behind everybody's back.
async fn tamper(stores: &Stores, campaign: &CampaignId, key: String, source: &'static str) {
    let script: Script<1> = Script::new("tamper", source);
    stores.redis.call(&script, campaign, [key], Vec::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_settles_and_then_all_agree() {
    let stores = Stores::new().await;
    let campaign = busy_campaign(&stores).await;
    let auditor = stores.auditor();
    let waiting = auditor.audit(&campaign).await.unwrap().unwrap();
    assert_eq!((waiting.verdict, waiting.outbox, waiting.lag), (Verdict::Settling, 24, 0), "{waiting:?}");
    assert_eq!((waiting.live, waiting.rows, waiting.missing, waiting.gaps), (19, 0, 0, 0));

    drain(&stores, &campaign).await;
    let carried = auditor.audit(&campaign).await.unwrap().unwrap();
    assert_eq!((carried.verdict, carried.outbox, carried.lag), (Verdict::Settling, 0, 24), "{carried:?}");
    assert_eq!((carried.missing, carried.gaps), (0, 0));

    write_all(&stores, 24).await;
    let settled = auditor.audit_settled(&campaign, WAIT_MAX).await.unwrap().unwrap();
    assert_eq!(
        settled.to_string(),
        "audit AUDITED: ok: stock 20, left 1, live 19, given back 2, rows 19, on the way 0"
    );
    assert_eq!(
        serde_json::to_string(&settled).unwrap(),
        r#"{"campaign_id":"AUDITED","generation":1,"stock":20,"left":1,"live":19,"given_back":2,"outbox":0,"lag":0,"rows":19,"missing":0,"doubled":0,"oversold":0,"gaps":0,"recounted":true,"verdict":"ok"}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_the_outbox_that_came_before_its_entries_were_deleted_are_counted_once() {
    let stores = Stores::new().await;
    let campaign = busy_campaign(&stores).await;
    // Published, and not deleted.
    let Ok(onrush::ledger::Head::Published(_)) = stores.relay().publish_head(&campaign).await else { panic!() };
    write_all(&stores, 24).await;
    let audit = audit(&stores, &campaign).await;
    assert_eq!((audit.verdict, audit.outbox, audit.rows), (Verdict::Ok, 0, 19), "{audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_gone_is_missing() {
    let stores = Stores::new().await;
    let campaign = settled_campaign(&stores).await;
    stores.execute("DELETE FROM claims WHERE number = 7").await;
    let audit = audit(&stores, &campaign).await;
    assert_eq!((audit.missing, audit.gaps, audit.verdict), (1, 1, Verdict::Broken), "{audit:?}");
    assert!(audit.to_string().ends_with("missing 1, gaps 1"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_never_reached_kafka_is_missing_also_while_other_campaigns_are_busy() {
    let stores = Stores::new().await;
    let campaign = stores.put("AUDITED", 20).await;
    drain(&stores, &campaign).await;
    stores.issue(&campaign, &users(1, 1)).await;
    let outbox = stores.redis.keys().of(&campaign).outbox();
    tamper(&stores, &campaign, outbox, "--\n-- KEYS[1]\nreturn redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)").await;
    assert_eq!(stores.auditor().audit(&campaign).await.unwrap().unwrap().verdict, Verdict::Settling);
    let auditor = stores.auditor();
    let (audit, written) = tokio::join!(auditor.audit_settled(&campaign, Duration::from_secs(10)), async {
        let written = write_all(&stores, 1).await;
        // Facts of another campaign wait in Kafka for ever.
        stores.publish(&[fact("other", 2, onrush::facts::Kind::Claimed, 1)]).await;
        written
    });
    let audit = audit.unwrap().unwrap();
    assert_eq!(written, 1);
    assert_eq!((audit.missing, audit.gaps, audit.verdict), (1, 1, Verdict::Broken), "{audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_live_twice_is_doubled_and_claims_beyond_the_stock_are_oversold() {
    let stores = Stores::new().await;
    let campaign = settled_campaign(&stores).await;
    stores
        .execute(
            "INSERT INTO claims SELECT campaign_id, 2, 101, user_id, attempt, claimed_at FROM claims WHERE number = 7",
        )
        .await;
    let doubled = audit(&stores, &campaign).await;
    assert_eq!((doubled.doubled, doubled.oversold, doubled.verdict), (1, 0, Verdict::Broken), "{doubled:?}");

    stores
        .execute("INSERT INTO claims SELECT campaign_id, 2, 7, 'another', 'x', claimed_at FROM claims WHERE number = 8")
        .await;
    let oversold = audit(&stores, &campaign).await;
    assert_eq!((oversold.doubled, oversold.oversold, oversold.verdict), (2, 1, Verdict::Broken), "{oversold:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_that_disagree_with_the_claims_are_broken() {
    let stores = Stores::new().await;
    let campaign = settled_campaign(&stores).await;
    let claims = stores.redis.keys().of(&campaign).claims();
    tamper(&stores, &campaign, claims, "--\n-- KEYS[1]\nreturn redis.call('HDEL', KEYS[1], '9')").await;
    let audit = audit(&stores, &campaign).await;
    assert_eq!((audit.recounted, audit.missing, audit.verdict), (true, 0, Verdict::Broken), "{audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_went_back_in_time_or_lost_the_campaign_is_broken_and_an_unknown_campaign_is_none() {
    let stores = Stores::new().await;
    let campaign = settled_campaign(&stores).await;
    // As it was before the last claim, and in itself as sound as then.
    let (key, claims) = (stores.redis.keys().of(&campaign).campaign(), stores.redis.keys().of(&campaign).claims());
    tamper(
        &stores,
        &campaign,
        key.clone(),
        "--\n-- KEYS[1]\nredis.call('HSET', KEYS[1], 'fact_no', 23, 'next', 20, 'left', 2)",
    )
    .await;
    tamper(&stores, &campaign, claims, "--\n-- KEYS[1]\nreturn redis.call('HDEL', KEYS[1], '21')").await;
    assert_eq!(audit(&stores, &campaign).await.verdict, Verdict::Broken);
    tamper(&stores, &campaign, key, "--\n-- KEYS[1]\nreturn redis.call('DEL', KEYS[1])").await;
    let lost = audit(&stores, &campaign).await;
    assert_eq!((lost.verdict, lost.rows, lost.generation), (Verdict::Broken, 19, 1), "{lost:?}");
    assert_eq!(stores.auditor().audit(&"nobody".parse().unwrap()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn contradictions_and_dead_letters_are_broken() {
    let stores = Stores::new().await;
    let campaign = settled_campaign(&stores).await;
    let offsets = Offsets::new(&stores.config.kafka).unwrap();
    topic::put(&stores, 0, br#"{"v":1,"campaign":"AUDITED"}"#).await;
    write_all(&stores, 1).await;
    stores.copy_letters(1).await;
    assert_eq!(offsets.lag(&offsets.ends().await.unwrap()).await.unwrap(), 0);
    assert_eq!(audit(&stores, &campaign).await.verdict, Verdict::Broken);
    stores.execute("DELETE FROM dead_letters").await;
    assert_eq!(audit(&stores, &campaign).await.verdict, Verdict::Ok);
    stores.publish(&[fact("AUDITED", 2, onrush::facts::Kind::Claimed, 1)]).await;
    write_all(&stores, 1).await;
    assert_eq!(audit(&stores, &campaign).await.verdict, Verdict::Broken);
}

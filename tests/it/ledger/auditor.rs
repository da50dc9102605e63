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
        r#"{"campaign_id":"AUDITED","generation":1,"stock":20,"left":1,"live":19,"given_back":2,"outbox":0,"lag":0,"rows":19,"missing":0,"doubled":0,"oversold":0,"above_limit":0,"gaps":0,"recounted":true,"findings":[],"verdict":"ok"}"#
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
    assert!(
        audit.to_string().contains("missing 1, gaps 1; 1 live claims are neither rows nor on their way"),
        "{audit}"
    );
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

const ROW: &str = "INSERT INTO campaigns (id, first_content, name, stock, per_user_limit, durability, listed, ever_put)
    VALUES ('AUDITED', '{}', 'x', 20, 1, 'memory', true, true)";

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_an_emptied_redis_has_forgotten_is_still_audited() {
    let stores = Stores::new().await;
    let campaign = settled_campaign(&stores).await;
    stores.execute(ROW).await;
    for key in [stores.redis.keys().of(&campaign).campaign(), stores.redis.keys().directory()] {
        tamper(&stores, &campaign, key, "--\n-- KEYS[1]\nreturn redis.call('DEL', KEYS[1])").await;
    }
    assert_eq!(stores.auditor().campaigns().await.unwrap(), std::slice::from_ref(&campaign));
    let lost = audit(&stores, &campaign).await;
    assert_eq!(lost.verdict, Verdict::Broken);
    assert!(lost.findings[0].starts_with("Redis has lost it"), "{lost}");
    assert!(lost.to_string().contains("run `onrush rebuild AUDITED`"), "{lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_is_read_in_small_parts_has_the_same_figures() {
    let stores = Stores::with(|config| config.audit.rows_at_once_max = 10).await;
    let campaign = settled_campaign(&stores).await;
    let audit = audit(&stores, &campaign).await;
    assert_eq!((audit.rows, audit.missing, audit.gaps, audit.doubled), (19, 0, 0, 0), "{audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_who_hold_more_than_the_limit_are_counted() {
    let stores = Stores::with(|config| config.audit.rows_at_once_max = 10).await;
    let campaign = settled_campaign(&stores).await;
    stores.execute(ROW).await;
    assert_eq!(audit(&stores, &campaign).await.verdict, Verdict::Ok);
    sqlx::query("UPDATE claims SET user_id = 'user-1' WHERE number IN (7, 8)").execute(&stores.database).await.unwrap();
    let above = audit(&stores, &campaign).await;
    assert_eq!((above.above_limit, above.doubled, above.verdict), (2, 0, Verdict::Broken), "{above:?}");
    assert!(above.to_string().contains("users hold 2 units above the limit of each"), "{above}");
}

#[tokio::test(flavor = "multi_thread")]
async fn units_that_were_sold_twice_are_oversold_until_a_rebuild_has_settled_it() {
    let stores = Stores::new().await;
    let campaign = settled_campaign(&stores).await;
    // What a Redis that went back in time promised to two others: facts 5 and 6, numbers 4 and 5, once more.
    let again = |fact_no, number| {
        let mut fact = fact("AUDITED", fact_no, onrush::facts::Kind::Claimed, number);
        fact.claim.as_mut().unwrap().user = format!("another-{number}");
        fact
    };
    stores.publish(&[again(5, 4), again(6, 5)]).await;
    write_all(&stores, 2).await;
    let twice = audit(&stores, &campaign).await;
    assert_eq!((twice.oversold, twice.verdict), (2, Verdict::Broken), "{twice:?}");
    assert!(twice.to_string().contains("2 units were sold twice"), "{twice}");
    // Those of a generation before the present one count no more.
    sqlx::query("UPDATE contradictions SET generation = 0").execute(&stores.database).await.unwrap();
    let settled = audit(&stores, &campaign).await;
    assert_eq!((settled.oversold, settled.verdict), (0, Verdict::Ok), "{settled:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_has_discarded_is_said_and_alarms_no_more() {
    let stores = Stores::new().await;
    let campaign = settled_campaign(&stores).await;
    let record = claim_fact(&stores, 7).await;
    for sql in [
        "ALTER TABLE stock_history DISABLE TRIGGER ALL",
        "DELETE FROM stock_history WHERE number = 7",
        "DELETE FROM claims WHERE number = 7",
    ] {
        sqlx::query(sql).execute(&stores.database).await.unwrap();
    }
    sqlx::query(
        "INSERT INTO dead_letters (topic, partition, record_offset, reason, record, campaign_id, state)
         VALUES ('t', 0, 1, 'r', $1, 'AUDITED', 'discarded')",
    )
    .bind(record)
    .execute(&stores.database)
    .await
    .unwrap();
    let audit = audit(&stores, &campaign).await;
    assert_eq!((audit.missing, audit.gaps, audit.rows, audit.verdict), (0, 0, 18, Verdict::Ok), "{audit:?}");
    assert_eq!(audit.findings, ["1 facts are no rows because an operator has discarded them"]);
}

/// The fact of a recorded claim, as Kafka has it.
async fn claim_fact(stores: &Stores, number: i64) -> Vec<u8> {
    let (fact_no, user, attempt, at): (i64, String, String, i64) = sqlx::query_as(
        "SELECT fact_no, user_id, attempt, floor(extract(epoch FROM decided_at) * 1000)::bigint FROM stock_history
         WHERE number = $1 AND kind = 'claimed'",
    )
    .bind(number)
    .fetch_one(&stores.database)
    .await
    .unwrap();
    let mut fact = fact("AUDITED", fact_no.unsigned_abs(), onrush::facts::Kind::Claimed, number.unsigned_abs());
    fact.at = at;
    let claim = fact.claim.as_mut().unwrap();
    (claim.user, claim.attempt) = (user, attempt);
    fact.to_json()
}

//! The audit that runs by itself, and what it mends.

use std::sync::Arc;

use onrush::ids::CampaignId;
use onrush::ledger::{Drained, Reconciled, Reconciler, Verdict};

use super::writer::write_all;
use crate::support::stores::{Stores, users};

fn reconciler(stores: &Stores) -> Reconciler {
    let auditor = Arc::new(stores.auditor());
    Reconciler::new(auditor, stores.redis.clone(), stores.database.clone(), stores.producer.clone(), &stores.config)
}

/// 20 units; claims 1 to 9, give-back of 4, claims 10 to 12: facts 2 to 10, 11, 12 to 14. All of them are rows.
async fn settled(stores: &Stores) -> CampaignId {
    let campaign = stores.put("RECONCILED", 20).await;
    let row = "INSERT INTO campaigns (id, first_content, name, stock, per_user_limit, durability, listed, ever_put)
        VALUES ('RECONCILED', '{}', 'x', 20, 1, 'memory', true, true)";
    stores.execute(row).await;
    stores.issue(&campaign, &users(1, 9)).await;
    stores.give_back(&campaign, 4).await;
    stores.issue(&campaign, &users(10, 12)).await;
    let relay = stores.relay();
    while let Drained::Facts(_) = relay.drain_once(&campaign).await {}
    assert_eq!(write_all(stores, 14).await, 14);
    campaign
}

/// As a database does that was set back.
async fn forget(stores: &Stores, facts: &'static str, claims: &'static str) {
    for sql in ["ALTER TABLE stock_history DISABLE TRIGGER ALL", facts, claims] {
        sqlx::query(sql).execute(&stores.database).await.unwrap();
    }
}

const ALL_ROWS: &str = "SELECT string_agg(concat_ws('|', h.fact_no, h.kind, h.change, h.number, h.user_id, h.attempt,
        extract(epoch FROM h.decided_at), extract(epoch FROM c.claimed_at), extract(epoch FROM c.given_back_at)), ' '
        ORDER BY h.fact_no) FROM stock_history h LEFT JOIN claims c USING (campaign_id, generation, number)";

async fn all_rows(stores: &Stores) -> String {
    sqlx::query_scalar(ALL_ROWS).fetch_one(&stores.database).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_that_are_in_redis_and_nowhere_else_become_the_rows_that_they_were() {
    let stores = Stores::new().await;
    let campaign = settled(&stores).await;
    let before = all_rows(&stores).await;
    // Among them the first, the last, and two side by side.
    forget(
        &stores,
        "DELETE FROM stock_history WHERE number IN (1, 6, 7, 12)",
        "DELETE FROM claims WHERE number IN (1, 6, 7, 12)",
    )
    .await;
    let mut reconciler = reconciler(&stores);
    let once = reconciler.tick().await.unwrap();
    assert_eq!(once, Reconciled { broken: 1, ..Reconciled::default() }, "once is not enough");
    let twice = reconciler.tick().await.unwrap();
    assert_eq!((twice.facts_repaired, twice.alarmed), (4, 0), "{twice:?}");
    assert_eq!(write_all(&stores, 4).await, 4);
    assert_eq!(all_rows(&stores).await, before, "to the bit");
    assert_eq!(reconciler.tick().await.unwrap(), Reconciled { ok: 1, ..Reconciled::default() });
    assert_eq!(reconciler.tick().await.unwrap(), Reconciled::default(), "it has not changed since");
    assert_eq!(stores.count("SELECT count(*) FROM contradictions").await, 0);
    assert_eq!(stores.auditor().audit(&campaign).await.unwrap().unwrap().verdict, Verdict::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_anew_without_a_doubt_is_not_guessed_and_alarms() {
    for (facts, claims) in [
        // A give-back, whose time nobody knows any more, in the gap of a claim.
        ("DELETE FROM stock_history WHERE number IN (4, 10)", "DELETE FROM claims WHERE number IN (4, 10)"),
        // A fact whose row is still there.
        ("DELETE FROM stock_history WHERE number = 7", "SELECT 1"),
        ("DELETE FROM stock_history WHERE kind = 'given_back'", "UPDATE claims SET given_back_at = NULL"),
    ] {
        let stores = Stores::new().await;
        settled(&stores).await;
        forget(&stores, facts, claims).await;
        let mut reconciler = reconciler(&stores);
        assert_eq!(reconciler.tick().await.unwrap().alarmed, 0);
        let mut repaired = 0;
        // A gap that is in no doubt may be mended first.
        for _ in 0..6 {
            let round = reconciler.tick().await.unwrap();
            repaired += round.facts_repaired;
            if round.facts_repaired > 0 {
                write_all(&stores, usize::try_from(round.facts_repaired).unwrap()).await;
            }
        }
        assert_eq!(stores.count("SELECT count(*) FROM broken_audits").await, 1, "{facts}; {claims}");
        assert!(repaired <= 1, "{facts}; {claims}: {repaired}");
        assert_eq!(stores.count("SELECT count(*) FROM contradictions").await, 0, "{facts}; {claims}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_audits_and_a_campaign_that_is_in_order_again_leaves_the_list() {
    let stores = Stores::new().await;
    settled(&stores).await;
    stores.execute("INSERT INTO broken_audits (campaign_id, finding) VALUES ('RECONCILED', 'as it was before')").await;
    let (mut first, mut second) = (reconciler(&stores), reconciler(&stores));
    assert_eq!(first.tick().await.unwrap().ok, 1);
    assert_eq!(second.tick().await.unwrap(), Reconciled::default());
    assert_eq!(stores.count("SELECT count(*) FROM broken_audits").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_go_after_a_clean_audit_are_noticed_and_come_back_from_the_history() {
    let stores = Stores::with(|config| {
        config.audit.all_every_ms = 0;
        config.audit.rows_at_once_max = 10;
    })
    .await;
    settled(&stores).await;
    let before = all_rows(&stores).await;
    let mut reconciler = reconciler(&stores);
    assert_eq!(reconciler.tick().await.unwrap().ok, 1);
    // A claim's row, that of one that was given back, and half of another.
    forget(&stores, "SELECT 1", "DELETE FROM claims WHERE number IN (4, 7)").await;
    forget(&stores, "SELECT 1", "UPDATE claims SET claimed_at = NULL WHERE number = 12").await;
    let once = reconciler.tick().await.unwrap();
    assert_eq!(once, Reconciled { broken: 1, ..Reconciled::default() }, "nothing has changed in Redis");
    let twice = reconciler.tick().await.unwrap();
    // The two facts of number 4 are in two parts of the history: its row is written twice.
    assert_eq!((twice.rows_repaired, twice.facts_repaired, twice.alarmed), (4, 0, 0), "{twice:?}");
    assert_eq!(all_rows(&stores).await, before, "to the bit");
    assert_eq!(reconciler.tick().await.unwrap().ok, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_finding_of_a_broken_campaign_is_noted_beside_the_first() {
    let stores = Stores::with(|config| config.audit.all_every_ms = 0).await;
    settled(&stores).await;
    let finding = async || {
        let found: Option<String> =
            sqlx::query_scalar("SELECT wrong FROM broken_audits").fetch_optional(&stores.database).await.unwrap();
        found.unwrap_or_default()
    };
    sqlx::query("UPDATE claims SET user_id = 'user-1' WHERE number = 2").execute(&stores.database).await.unwrap();
    let mut reconciler = reconciler(&stores);
    for _ in 0..2 {
        reconciler.tick().await.unwrap();
    }
    assert_eq!(finding().await, "users hold 1 units above the limit of each");
    sqlx::query("UPDATE claims SET user_id = 'user-1' WHERE number = 3").execute(&stores.database).await.unwrap();
    for _ in 0..4 {
        reconciler.tick().await.unwrap();
    }
    assert_eq!(finding().await, "users hold 2 units above the limit of each");
}

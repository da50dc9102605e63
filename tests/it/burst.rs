//! A rush is answered at full speed, whatever the database may receive.

use std::time::{Duration, Instant};

use futures::future::join_all;
use onrush::app::Role;
use onrush::database;
use reqwest::Method;
use serde_json::json;
use sqlx::Row;

use crate::ledger::throttle::BUSIEST_SECOND;
use crate::support::installation::{Installation, TestNode};
use crate::support::stores::eventually;

const CLAIMS: usize = 5_000;

/// 5,000 users get one unit each.
async fn rush(node: &TestNode, campaign: &str) {
    let streams = (0..50).map(|stream| {
        let (client, campaign) = (node.client.clone(), campaign.to_owned());
        tokio::spawn(async move {
            for turn in 0..CLAIMS / 50 {
                let claim = client.claim(&campaign, &format!("user-{stream}-{turn}")).await;
                assert_eq!(claim.outcome(), "201");
            }
        })
    });
    join_all(streams).await.into_iter().for_each(Result::unwrap);
}

async fn count(database: &database::Database, sql: &'static str) -> i64 {
    sqlx::query(sql).fetch_one(database).await.unwrap().get(0)
}

const FACTS: &str = "SELECT count(*) FROM stock_history";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_claims_are_answered_at_once_and_arrive_at_five_hundred_a_second() {
    let installation = Installation::with(|config| config.ledger.rows_per_second_max = 500).await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Work).await];
    let database = database::open(&installation.config.postgres).unwrap();
    let campaign = nodes[0].campaign(CLAIMS as u64, json!({})).await;
    let began = Instant::now();
    rush(&nodes[0], &campaign).await;
    let (answered_after, rows_then) = (began.elapsed(), count(&database, FACTS).await);
    assert!(rows_then < 4_500, "all but {rows_then} rows had to wait for the database, and so did the answers");

    let audit = nodes[0].audit_ok(&campaign).await;
    let arrived_after = began.elapsed();
    assert_eq!(audit.number("rows"), CLAIMS as u64);
    let busiest = count(&database, BUSIEST_SECOND).await;
    println!(
        "answered after {answered_after:?} with {rows_then} rows; all rows after {arrived_after:?}; at most {busiest} a second"
    );
    assert!((400..=500).contains(&busiest), "{busiest} rows in a second");
    assert!(arrived_after > Duration::from_secs(9), "5,000 facts at 500 a second take ten seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_throttle_is_changed_through_the_api_within_a_second() {
    let installation = Installation::with(|config| config.ledger.rows_per_second_max = 100).await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Work).await];
    let database = database::open(&installation.config.postgres).unwrap();
    let campaign = nodes[0].campaign(CLAIMS as u64, json!({})).await;
    rush(&nodes[0], &campaign).await;
    eventually("some facts are rows", async || count(&database, FACTS).await >= 150).await;
    assert!(count(&database, BUSIEST_SECOND).await <= 100);

    let before = count(&database, FACTS).await;
    let raised =
        nodes[0].operator_sends(Method::PATCH, "/v1/ops/throttle", &json!({"rows_per_second_max": 4_000})).await;
    assert_eq!((raised.status, raised.number("rows_per_second_max")), (200, 4_000));
    // A second until it holds on every worker, and one to see that it does.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let written = count(&database, FACTS).await - before;
    assert!(written > 500, "{written} rows in two seconds after the limit was raised from 100 to 4,000");
    nodes[0].audit_ok(&campaign).await;
}

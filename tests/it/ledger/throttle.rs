//! How much the database receives.

use std::time::Duration;

use onrush::facts::{Fact, Kind};
use onrush::ledger::set_rows_per_second_max;
use tokio_util::sync::CancellationToken;

use crate::support::stores::{Stores, eventually, fact};

/// The most rows that were committed within a second, wherever it begins, by the database's own record.
pub(crate) const BUSIEST_SECOND: &str = "SELECT coalesce(max(rows_in_second), 0)::bigint FROM (
    SELECT sum(n) OVER (ORDER BY at RANGE BETWEEN CURRENT ROW AND interval '999.999 ms' FOLLOWING) AS rows_in_second
    FROM (SELECT pg_xact_commit_timestamp(xmin) AS at, count(*) AS n FROM stock_history GROUP BY 1) commits) seconds";

struct Workers {
    shutdown: CancellationToken,
    running: Vec<tokio::task::JoinHandle<()>>,
}

impl Workers {
    fn start(stores: &Stores, count: usize) -> Self {
        let shutdown = CancellationToken::new();
        let running = (0..count).map(|_| tokio::spawn(stores.writer().run(shutdown.clone()))).collect();
        Self { shutdown, running }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        for worker in self.running {
            worker.await.unwrap();
        }
    }
}

async fn stores_with(rows_per_second_max: u64, facts: u64) -> Stores {
    let stores = Stores::with(|config| config.ledger.rows_per_second_max = rows_per_second_max).await;
    let facts: Vec<Fact> = (1..=facts).map(|number| fact("c", number, Kind::Claimed, number)).collect();
    stores.publish(&facts).await;
    stores
}

async fn all_arrive(stores: &Stores, facts: i64) {
    eventually("all facts are rows", async || stores.count("SELECT count(*) FROM stock_history").await == facts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_together_stay_at_the_maximum_in_any_second() {
    let stores = stores_with(500, 5_000).await;
    let workers = Workers::start(&stores, 2);
    all_arrive(&stores, 5_000).await;
    workers.stop().await;
    let busiest = stores.count(BUSIEST_SECOND).await;
    let lasted = stores
        .count(
            "SELECT extract(epoch FROM max(at) - min(at))::bigint FROM
                (SELECT pg_xact_commit_timestamp(xmin) AS at FROM stock_history) commits",
        )
        .await;
    println!("busiest second: {busiest} rows; {lasted} s from the first to the last commit");
    assert!((400..=500).contains(&busiest), "{busiest} rows in a second");
    assert!((9..=30).contains(&lasted), "{lasted} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_come_and_go_stay_at_the_maximum() {
    let stores = stores_with(500, 4_000).await;
    let arrived = async |facts: i64| {
        eventually("some are rows", async || stores.count("SELECT count(*) FROM stock_history").await >= facts).await;
    };
    let first = Workers::start(&stores, 1);
    arrived(1_200).await;
    let second = Workers::start(&stores, 1);
    arrived(2_500).await;
    first.stop().await;
    all_arrive(&stores, 4_000).await;
    second.stop().await;
    let busiest = stores.count(BUSIEST_SECOND).await;
    assert!((400..=500).contains(&busiest), "{busiest} rows in a second");
    assert_eq!(stores.count("SELECT count(*) FROM contradictions").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_maximum_holds_within_a_second() {
    let stores = stores_with(60, 5_000).await;
    let workers = Workers::start(&stores, 2);
    eventually("some have arrived", async || stores.count("SELECT count(*) FROM stock_history").await > 60).await;
    assert!(stores.count(BUSIEST_SECOND).await <= 60);

    set_rows_per_second_max(&stores.database, 2_000).await.unwrap();
    sqlx::query("CREATE TABLE raised AS SELECT clock_timestamp() AS at").execute(&stores.database).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    let soon = stores
        .count(
            "SELECT count(*) FROM stock_history, raised
                WHERE pg_xact_commit_timestamp(stock_history.xmin) < raised.at + interval '1 second'",
        )
        .await;
    assert!(soon > 500, "{soon} rows a second after the maximum was raised");

    set_rows_per_second_max(&stores.database, 30).await.unwrap();
    sqlx::query("CREATE TABLE lowered AS SELECT clock_timestamp() AS at").execute(&stores.database).await.unwrap();
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    workers.stop().await;
    let late = stores
        .count("SELECT coalesce(max(n), 0)::bigint FROM (
                    SELECT count(*) OVER (ORDER BY at RANGE BETWEEN CURRENT ROW AND interval '999.999 ms' FOLLOWING) AS n
                    FROM (SELECT pg_xact_commit_timestamp(stock_history.xmin) AS at, lowered.at AS since
                          FROM stock_history, lowered) commits WHERE at > since + interval '1 second') seconds")
        .await;
    assert!((1..=30).contains(&late), "{late} rows in a second after the maximum was lowered");
    assert!(stores.count("SELECT count(*) FROM stock_history").await < 5_000, "too early to tell");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_maximum_below_the_number_of_partitions_holds_too() {
    // Each of three workers would have two thirds of a fact a second.
    let stores = stores_with(2, 12).await;
    let workers = Workers::start(&stores, 3);
    all_arrive(&stores, 12).await;
    workers.stop().await;
    let busiest = stores.count(BUSIEST_SECOND).await;
    assert!((1..=2).contains(&busiest), "{busiest} rows in a second");
}

//! How much bulk work the database receives.

use onrush::feed::{FeedConsumer, Lane, Outcome, PostId};
use onrush::kafka::{Outgoing, ensure};

use super::author::{Loops, inspected};
use crate::support::stores::{Stores, eventually};

/// The most rows that were committed within a second, wherever it begins, by the database's own record.
const BUSIEST_SECOND: &str = "SELECT coalesce(max(rows_in_second), 0)::bigint FROM (
    SELECT sum(n) OVER (ORDER BY at RANGE BETWEEN CURRENT ROW AND interval '999.999 ms' FOLLOWING) AS rows_in_second
    FROM (SELECT pg_xact_commit_timestamp(xmin) AS at, count(*) AS n FROM inbox GROUP BY 1) commits) seconds";

const BULK: [FeedConsumer; 3] =
    [FeedConsumer::Lane(Lane::Deliver), FeedConsumer::Lane(Lane::Index), FeedConsumer::DeadLettersOf(Lane::Deliver)];

/// Posts that have passed, with so many subscribers each, and their messages in Kafka.
async fn passed(stores: &Stores, posts: i64, subscribers: i64) {
    sqlx::query("INSERT INTO subscriptions SELECT 'author', 'user-' || n FROM generate_series(1, $1) n")
        .bind(subscribers)
        .execute(&stores.database)
        .await
        .unwrap();
    let insert = "INSERT INTO posts (author_id, title, body, inspection)
                  SELECT 'author', 'title', 'text', 'passed' FROM generate_series(1, $1) RETURNING post_id";
    let ids: Vec<i64> = sqlx::query_scalar(insert).bind(posts).fetch_all(&stores.database).await.unwrap();
    let topic = &stores.config.feed.inspected_topic;
    ensure(&stores.config.kafka, topic, 6).await.unwrap();
    let record = |id: &i64| {
        let message = inspected(PostId(*id), 1, Outcome::Passed);
        Outgoing { key: PostId(*id).to_string().into(), value: serde_json::to_vec(&message).unwrap(), headers: vec![] }
    };
    let records: Vec<Outgoing> = ids.iter().map(record).collect();
    assert_eq!(stores.producer.publish_records(topic, &records).await.acknowledged, ids.len());
}

async fn all_arrive(stores: &Stores, rows: i64) {
    eventually("all are delivered", async || stores.count("SELECT count(*) FROM inbox").await == rows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_together_stay_at_the_maximum_in_any_second() {
    let stores = Stores::with(|config| config.feed.bulk_per_second_max = 400).await;
    passed(&stores, 40, 50).await;
    let first = Loops::only(&stores, &BULK);
    eventually("some are delivered", async || stores.count("SELECT count(*) FROM inbox").await > 300).await;
    // One that comes later takes some of its partitions.
    let second = Loops::only(&stores, &BULK);
    all_arrive(&stores, 2_000).await;
    first.stop().await;
    second.stop().await;
    let busiest = stores.count(BUSIEST_SECOND).await;
    println!("busiest second: {busiest} rows");
    assert!((100..=400).contains(&busiest), "{busiest} rows in a second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_maximum_below_the_number_of_partitions_holds_too() {
    let stores = Stores::with(|config| config.feed.bulk_per_second_max = 3).await;
    passed(&stores, 6, 1).await;
    let nodes = [Loops::only(&stores, &BULK), Loops::only(&stores, &BULK)];
    all_arrive(&stores, 6).await;
    for node in nodes {
        node.stop().await;
    }
    let busiest = stores.count(BUSIEST_SECOND).await;
    assert!((1..=3).contains(&busiest), "{busiest} rows in a second");
}

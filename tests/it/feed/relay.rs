//! From the database to Kafka, in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use onrush::feed::{Original, PostOutbox, PostRelay, Relayed};
use onrush::kafka::Producer;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::author::{edit, write};
use crate::support::stores::{Stores, eventually};
use crate::support::topic;

fn relay(stores: &Stores) -> PostRelay {
    PostRelay::new(stores.database.clone(), stores.producer.clone(), &stores.config)
}

/// Ticks until so many are moved; other tests' transactions may hold some back for a moment.
async fn moves(relay: &mut PostRelay, count: usize) {
    let mut moved = 0;
    eventually("they are relayed", async || {
        if let Relayed::Moved(some) = relay.tick().await.unwrap() {
            moved += some;
        }
        moved >= count
    })
    .await;
    assert_eq!(moved, count);
}

async fn published(stores: &Stores, count: usize) -> Vec<Original> {
    let records = topic::read_from(stores, &stores.config.feed.original_topic, count).await;
    records.iter().map(|(_, _, value)| serde_json::from_slice(value).unwrap()).collect()
}

async fn states(stores: &Stores) -> Vec<String> {
    sqlx::query_scalar("SELECT state FROM post_outbox ORDER BY id").fetch_all(&stores.database).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_committed_first_waits_for_older_transactions_and_each_post_keeps_its_order() {
    let stores = Stores::with(|config| config.feed.partitions = 1).await;
    let mut relay = relay(&stores);
    let mut older = stores.database.begin().await.unwrap();
    let first = write(&mut *older, "author", "first").await;
    let second = write(&stores.database, "author", "second").await;
    edit(&stores.database, second, "second, changed").await;
    assert!(second > first, "ids are drawn in this order");
    for _ in 0..20 {
        assert_eq!(
            relay.tick().await.unwrap(),
            Relayed::Idle,
            "an older transaction may still put something before it"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    older.commit().await.unwrap();
    moves(&mut relay, 3).await;
    let messages: Vec<_> =
        published(&stores, 3).await.into_iter().map(|message| (message.title, message.revision)).collect();
    assert_eq!(messages, [("first".into(), 1), ("second".into(), 1), ("second, changed".into(), 2)]);
    assert_eq!(states(&stores).await, ["done", "done", "done"]);
    relay.close().await;
}

/// Pauses may be longer than they should, and never shorter: this fails where the maximum is passed, and only there.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_relayed_no_faster_than_it_may_be() {
    let stores = Stores::with(|config| {
        config.feed.relay_batch_max = 10;
        config.feed.relay_per_second_max = 20;
    })
    .await;
    for post in 0..30 {
        write(&stores.database, "author", &post.to_string()).await;
    }
    let (began, shutdown) = (Instant::now(), CancellationToken::new());
    let running = tokio::spawn(relay(&stores).run(shutdown.clone()));
    eventually("all are relayed", async || states(&stores).await.iter().all(|state| state == "done")).await;
    // At least twenty of them went before the last ten at most.
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    shutdown.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_kafka_refuses_is_set_aside_and_the_others_go_on() {
    let stores = Stores::new().await;
    write(&stores.database, "author", "before").await;
    let large = "x".repeat(2_000_000);
    sqlx::query("INSERT INTO post_outbox (post_id, message) VALUES (1, jsonb_build_object('v', 1, 'title', $1))")
        .bind(&large)
        .execute(&stores.database)
        .await
        .unwrap();
    write(&stores.database, "author", "after").await;
    let mut relay = relay(&stores);
    moves(&mut relay, 3).await;
    assert_eq!(states(&stores).await, ["done", "failed", "done"]);
    let error = "SELECT count(*) FROM post_outbox WHERE state = 'failed' AND last_error <> '' AND attempts = 1";
    assert_eq!(stores.count(error).await, 1);
    assert_eq!(PostOutbox::read(&stores.database).await.unwrap().failed, 1);
    let titles: Vec<_> = published(&stores, 2).await.into_iter().map(|message| message.title).collect();
    assert!(titles.contains(&"before".into()) && titles.contains(&"after".into()), "{titles:?}");
    relay.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_kafka_all_wait_in_their_order_and_say_why() {
    let stores = Stores::with(|config| config.feed.partitions = 1).await;
    for title in ["one", "two", "three"] {
        write(&stores.database, "author", title).await;
    }
    let mut nowhere = stores.config.kafka.clone();
    nowhere.brokers = "127.0.0.1:1".into();
    nowhere.delivery_timeout_ms = 1_000;
    let cut_off = Arc::new(Producer::new(&nowhere).unwrap());
    let mut blind = PostRelay::new(stores.database.clone(), cut_off, &stores.config);
    eventually("it was tried in vain", async || blind.tick().await.is_err()).await;
    assert_eq!(states(&stores).await, ["waiting"; 3]);
    let tried = "SELECT count(*) FROM post_outbox WHERE attempts = 1 AND last_error <> '' AND tried_at IS NOT NULL";
    assert_eq!(stores.count(tried).await, 1, "the first one stops the lane");
    blind.close().await;

    let mut relay = relay(&stores);
    moves(&mut relay, 3).await;
    let titles: Vec<_> = published(&stores, 3).await.into_iter().map(|message| message.title).collect();
    assert_eq!(titles, ["one", "two", "three"]);
    relay.close().await;
}

/// The most that one tick takes is not the most that there is.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_outbox_is_relayed_in_its_order() {
    let stores = Stores::with(|config| {
        config.feed.partitions = 1;
        config.feed.relay_batch_max = 7;
    })
    .await;
    for n in 0..30 {
        write(&stores.database, "author", &n.to_string()).await;
    }
    let mut relay = relay(&stores);
    moves(&mut relay, 30).await;
    let titles: Vec<_> = published(&stores, 30).await.into_iter().map(|message| message.title).collect();
    assert_eq!(titles, (0..30).map(|n| n.to_string()).collect::<Vec<_>>());
    relay.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_relay_is_active_and_another_goes_on_when_its_session_is_lost() {
    let stores = Stores::new().await;
    let (mut first, mut second) = (relay(&stores), relay(&stores));
    write(&stores.database, "author", "one").await;
    moves(&mut first, 1).await;
    write(&stores.database, "author", "two").await;
    assert_eq!(second.tick().await.unwrap(), Relayed::AnotherRelay);
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND
        ((classid::bigint << 32) | objid::bigint) = hashtextextended('onrush-post-relay-' || current_schema(), 0)";
    assert_eq!(stores.count(kill).await, 1);
    eventually("it has the lock", async || second.tick().await.unwrap() != Relayed::AnotherRelay).await;
    assert!(first.tick().await.is_err(), "it does not know yet that its session is lost");
    assert_eq!(first.tick().await.unwrap(), Relayed::AnotherRelay);
    eventually("the second one relayed", async || {
        second.tick().await.unwrap();
        states(&stores).await == ["done", "done"]
    })
    .await;
    second.close().await;
    eventually("given up it is anybody's", async || first.tick().await.unwrap() == Relayed::Idle).await;
    first.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_long_done_is_removed_and_nothing_else() {
    let stores = Stores::new().await;
    for (state, done) in [("done", "2 days"), ("done", "1 hour"), ("failed", "2 days"), ("waiting", "2 days")] {
        sqlx::query(
            "INSERT INTO post_outbox (post_id, message, state, created_at, done_at) VALUES
                (1, $1, $2, clock_timestamp() - $3::interval, clock_timestamp() - $3::interval)",
        )
        .bind(json!({}))
        .bind(state)
        .bind(done)
        .execute(&stores.database)
        .await
        .unwrap();
    }
    let outbox = PostOutbox::read(&stores.database).await.unwrap();
    assert_eq!((outbox.waiting, outbox.failed, outbox.oldest_waiting_s / 3_600), (1, 1, 48));
    let mut relay = relay(&stores);
    relay.tick().await.unwrap();
    assert_eq!(states(&stores).await.len(), 3);
    assert_eq!(stores.count("SELECT count(*) FROM post_outbox WHERE id = 1").await, 0);
    relay.close().await;
}

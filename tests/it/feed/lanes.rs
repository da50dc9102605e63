//! What is done with messages about posts, once, twice and late.

use std::sync::Arc;
use std::time::Duration;

use onrush::app::Role;
use onrush::config::{FeedLane, InspectorKind};
use onrush::feed::Outcome::{Passed, Withdrawn};
use onrush::feed::{FeedConsumer, Happened, Inspected, Lane, LaneContext, LaneWorker, Original, Outcome, PostId};
use onrush::kafka::ensure;
use sqlx::Row;
use upstream_dev::{Manners, Upstream};

use super::author::{
    Loops, SUBSCRIBE, caught_up, context, delete, edit, handle, inspected, original, readers, subscribe, write,
};
use crate::support::installation::Installation;
use crate::support::stores::{Stores, eventually};
use crate::support::topic;

async fn passed_post(stores: &Stores) -> PostId {
    let post = write(&stores.database, "author", "title").await;
    set(stores, post, "inspection = 'passed'").await;
    post
}

async fn set(stores: &Stores, post: PostId, what: &'static str) {
    let update = sqlx::AssertSqlSafe(format!("UPDATE posts SET {what} WHERE post_id = $1"));
    assert_eq!(sqlx::query(update).bind(post.0).execute(&stores.database).await.unwrap().rows_affected(), 1);
}

async fn inspection(stores: &Stores, post: PostId) -> String {
    let row = sqlx::query("SELECT inspection FROM posts WHERE post_id = $1").bind(post.0);
    row.fetch_one(&stores.database).await.unwrap().get(0)
}

async fn told(stores: &Stores, count: usize) -> Vec<(Outcome, i32)> {
    let records = topic::read_from(stores, &stores.config.feed.inspected_topic, count).await;
    let read = |value: &[u8]| serde_json::from_slice::<Inspected>(value).unwrap();
    records.iter().map(|(_, _, value)| read(value)).map(|message| (message.outcome, message.revision)).collect()
}

/// A node whose deliveries may begin: its partitions are known.
async fn delivering(stores: &Stores) -> (Arc<LaneContext>, Vec<LaneWorker>) {
    let context = context(stores);
    let consumers = [
        FeedConsumer::Lane(Lane::Deliver),
        FeedConsumer::Lane(Lane::Index),
        FeedConsumer::DeadLettersOf(Lane::Deliver),
    ];
    let mut workers = Vec::new();
    for consumer in consumers {
        let mut worker = LaneWorker::new(consumer, Arc::clone(&context), &stores.config);
        worker.tick().await.unwrap();
        workers.push(worker);
    }
    (context, workers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_is_in_each_due_inbox_once_and_goes_when_it_may_not_be_read() {
    let installation = Installation::with(|config| config.feed.lanes = FeedLane::ALL.to_vec()).await;
    let node = installation.node(Role::All).await;
    let stores = Stores::with(|config| *config = installation.config.clone()).await;
    for user in ["alice", "bob"] {
        subscribe(&stores, user, "author").await;
    }
    subscribe(&stores, "carol", "another").await;
    let (kept, edited, gone) = (
        write(&stores.database, "author", "kept").await,
        write(&stores.database, "author", "edited").await,
        write(&stores.database, "author", "gone").await,
    );
    for post in [kept, edited, gone] {
        eventually("it is delivered", async || readers(&stores, post).await == ["alice", "bob"]).await;
    }
    delete(&stores.database, gone).await;
    edit(&stores.database, edited, "edited, better").await;
    eventually("it is taken out", async || readers(&stores, gone).await.is_empty()).await;
    eventually("it has passed again", async || inspection(&stores, edited).await == "passed").await;
    for lane in [Lane::Fill, Lane::Inspect, Lane::Deliver, Lane::Index] {
        caught_up(&stores, lane).await;
    }
    assert_eq!(readers(&stores, edited).await, ["alice", "bob"]);
    assert_eq!(readers(&stores, kept).await, ["alice", "bob"]);
    let metrics = node.get("/metrics").await.body.as_str().unwrap().to_owned();
    for name in ["handled_total", "in_flight", "lag_records", "held_back"] {
        assert!(metrics.contains(&format!("onrush_feed_{name}{{lane=\"deliver\"}}")), "no {name} in {metrics}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_is_for_its_revision_and_is_told_again_but_not_found_again() {
    let stores = Stores::new().await;
    let context = context(&stores);
    ensure(&stores.config.kafka, &stores.config.feed.inspected_topic, 1).await.unwrap();
    let post = write(&stores.database, "author", "title").await;
    handle(&context, Lane::Inspect, &original(post, 1, Happened::Created)).await.unwrap();
    assert_eq!(inspection(&stores, post).await, "passed");
    // A second delivery: the verdict that is there is told, whatever an inspector would say now.
    set(&stores, post, "category = 'as it was found'").await;
    handle(&context, Lane::Inspect, &original(post, 1, Happened::Created)).await.unwrap();
    let kept = "SELECT count(*) FROM posts WHERE category = 'as it was found'";
    assert_eq!(stores.count(kept).await, 1);
    edit(&stores.database, post, "another").await;
    // Late, of what it was: changes nothing, says nothing.
    handle(&context, Lane::Inspect, &original(post, 1, Happened::Created)).await.unwrap();
    assert_eq!(inspection(&stores, post).await, "pending");
    handle(&context, Lane::Inspect, &original(post, 2, Happened::Edited)).await.unwrap();
    assert_eq!(inspection(&stores, post).await, "passed");
    delete(&stores.database, post).await;
    handle(&context, Lane::Inspect, &original(post, 2, Happened::Edited)).await.unwrap();
    handle(&context, Lane::Inspect, &original(post, 3, Happened::Deleted)).await.unwrap();
    let expected = [(Passed, 1), (Passed, 1), (Withdrawn, 2), (Passed, 2), (Withdrawn, 2), (Withdrawn, 3)];
    assert_eq!(told(&stores, expected.len()).await, expected);
}

/// A model costs money for each question.
#[tokio::test(flavor = "multi_thread")]
async fn a_revision_that_has_its_verdict_is_not_inspected_again() {
    let model = Upstream::start("127.0.0.1:0".parse().unwrap(), Manners::default(), "").await.unwrap();
    let stores = Stores::with(|config| {
        config.inspector.kind = InspectorKind::Chat;
        config.inspector.chat_url = format!("{}/v1/chat/completions", model.url());
        config.inspector.chat_model = "a-model".into();
    })
    .await;
    let context = context(&stores);
    ensure(&stores.config.kafka, &stores.config.feed.inspected_topic, 1).await.unwrap();
    let (good, bad) = (
        write(&stores.database, "author", "title").await,
        // The model of the tests rejects this.
        write(&stores.database, "author", "casino").await,
    );
    let casino = Original { title: "casino".into(), ..original(bad, 1, Happened::Created) };
    for _ in 0..3 {
        handle(&context, Lane::Inspect, &original(good, 1, Happened::Created)).await.unwrap();
        handle(&context, Lane::Inspect, &casino).await.unwrap();
    }
    assert_eq!((inspection(&stores, good).await, inspection(&stores, bad).await), ("passed".into(), "rejected".into()));
    assert_eq!(model.counts().calls, 2);
    edit(&stores.database, good, "another").await;
    for _ in 0..3 {
        handle(&context, Lane::Inspect, &original(good, 2, Happened::Edited)).await.unwrap();
    }
    assert_eq!(inspection(&stores, good).await, "passed");
    assert_eq!(model.counts().calls, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_rejected_is_told_to_nobody() {
    let stores = Stores::new().await;
    let context = context(&stores);
    ensure(&stores.config.kafka, &stores.config.feed.inspected_topic, 1).await.unwrap();
    let (bad, good) = (write(&stores.database, "author", "bad").await, write(&stores.database, "author", "good").await);
    set(&stores, bad, "inspection = 'rejected', reason = 'because'").await;
    for post in [bad, good] {
        handle(&context, Lane::Inspect, &original(post, 1, Happened::Created)).await.unwrap();
    }
    assert_eq!(told(&stores, 1).await, [(Passed, 1)]);
    assert_eq!(inspection(&stores, bad).await, "rejected");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_come_twice_and_late_change_no_inbox() {
    let stores = Stores::new().await;
    let (context, workers) = delivering(&stores).await;
    let post = passed_post(&stores).await;
    for user in ["alice", "bob"] {
        subscribe(&stores, user, "author").await;
    }
    sqlx::query("DELETE FROM inbox").execute(&stores.database).await.unwrap();
    let (passed, withdrawn) = (inspected(post, 1, Passed), inspected(post, 2, Withdrawn));
    handle(&context, Lane::Deliver, &passed).await.unwrap();
    handle(&context, Lane::Deliver, &passed).await.unwrap();
    assert_eq!(readers(&stores, post).await, ["alice", "bob"]);
    // The withdrawal before an edit that has passed already comes late: what passed is due.
    set(&stores, post, "revision = 2").await;
    handle(&context, Lane::Deliver, &withdrawn).await.unwrap();
    assert_eq!(readers(&stores, post).await, ["alice", "bob"]);
    set(&stores, post, "inspection = 'rejected'").await;
    handle(&context, Lane::Deliver, &withdrawn).await.unwrap();
    assert!(readers(&stores, post).await.is_empty());
    // And what passed once comes again, long after.
    handle(&context, Lane::Deliver, &passed).await.unwrap();
    assert!(readers(&stores, post).await.is_empty());
    drop(workers);
}

#[tokio::test(flavor = "multi_thread")]
async fn authors_with_very_many_subscribers_are_read_and_stay_so() {
    let stores = Stores::with(|config| config.feed.write_subscribers_max = 3).await;
    let (context, workers) = delivering(&stores).await;
    let (first, second) = (passed_post(&stores).await, passed_post(&stores).await);
    let few = "INSERT INTO subscriptions SELECT 'author', 'user-' || n FROM generate_series(1, 3) n";
    sqlx::query(few).execute(&stores.database).await.unwrap();
    handle(&context, Lane::Deliver, &inspected(first, 1, Passed)).await.unwrap();
    assert_eq!(readers(&stores, first).await.len(), 3);
    stores.execute("INSERT INTO subscriptions VALUES ('author', 'user-4')").await;
    handle(&context, Lane::Deliver, &inspected(second, 1, Passed)).await.unwrap();
    assert!(readers(&stores, second).await.is_empty());
    assert_eq!(stores.count("SELECT count(*) FROM read_authors").await, 1);
    stores.execute("DELETE FROM subscriptions WHERE user_id = 'user-4'").await;
    handle(&context, Lane::Deliver, &inspected(second, 1, Passed)).await.unwrap();
    assert!(readers(&stores, second).await.is_empty(), "it stays so");
    drop(workers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_subscribes_during_the_delivery_has_the_post_once() {
    let stores = Arc::new(
        Stores::with(|config| {
            config.feed.inbox_batch_max = 7;
            config.postgres.connections_max = 8;
        })
        .await,
    );
    let (context, workers) = delivering(&stores).await;
    let before = "INSERT INTO subscriptions SELECT 'author', 'user-' || n FROM generate_series(100, 199) n";
    sqlx::query(before).execute(&stores.database).await.unwrap();
    let post = write(&stores.database, "author", "title").await;
    let late: Vec<_> = (0..100)
        .map(|n| {
            let stores = Arc::clone(&stores);
            // Some before and some after those of whom it may be the turn.
            let user = if n % 2 == 0 { format!("a-{n}") } else { format!("z-{n}") };
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(n * 15)).await;
                subscribe(&stores, &user, "author").await;
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    set(&stores, post, "inspection = 'passed'").await;
    handle(&context, Lane::Deliver, &inspected(post, 1, Passed)).await.unwrap();
    for task in late {
        task.await.unwrap();
    }
    let users =
        "SELECT count(*) FROM subscriptions s WHERE NOT EXISTS (SELECT FROM inbox i WHERE i.user_id = s.user_id)";
    assert_eq!(stores.count(users).await, 0, "subscribers without the post");
    assert_eq!(readers(&stores, post).await.len(), 200);
    drop(workers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_waits_for_whoever_is_just_subscribing() {
    let stores = Stores::new().await;
    let (context, workers) = delivering(&stores).await;
    let post = write(&stores.database, "author", "title").await;
    let mut subscribing = stores.database.begin().await.unwrap();
    for statement in SUBSCRIBE {
        sqlx::query(statement).bind("alice").bind("author").execute(&mut *subscribing).await.unwrap();
    }
    // What they were given did not have the post yet, and nobody else sees the subscription.
    set(&stores, post, "inspection = 'passed'").await;
    let mut delivery =
        tokio::spawn(async move { handle(&context, Lane::Deliver, &inspected(post, 1, Passed)).await.unwrap() });
    let early = tokio::time::timeout(Duration::from_secs(3), &mut delivery).await;
    assert!(early.is_err(), "it was delivered past them");
    subscribing.commit().await.unwrap();
    delivery.await.unwrap();
    assert_eq!(readers(&stores, post).await, ["alice"]);
    drop(workers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_nodes_lose_and_double_nothing() {
    let stores = Stores::with(|config| config.feed.in_flight_max = 8).await;
    for user in 0..20 {
        subscribe(&stores, &format!("user-{user}"), "author").await;
    }
    let mut posts = Vec::new();
    for n in 0..60 {
        posts.push(write(&stores.database, "author", &format!("post {n}")).await);
    }
    for rows in [100, 500] {
        let killed = Loops::all(&stores);
        eventually("some are delivered", async || stores.count("SELECT count(*) FROM inbox").await >= rows).await;
        killed.kill().await;
    }
    let last = Loops::all(&stores);
    eventually("all are delivered", async || stores.count("SELECT count(*) FROM inbox").await == 1_200).await;
    for lane in Lane::ALL {
        caught_up(&stores, lane).await;
    }
    last.stop().await;
    for post in posts {
        assert_eq!(readers(&stores, post).await.len(), 20);
    }
    assert_eq!(stores.count("SELECT count(*) FROM dead_letters").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_finishes_what_it_has_begun() {
    let stores = Stores::new().await;
    subscribe(&stores, "alice", "author").await;
    let loops = Loops::all(&stores);
    // The author is locked: the delivery has begun, and waits.
    let mut lock = stores.database.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('onrush-author-' || current_schema() || 'author', 0))")
        .execute(&mut *lock)
        .await
        .unwrap();
    let post = write(&stores.database, "author", "title").await;
    let blocked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND
        ((classid::bigint << 32) | objid::bigint)
            = hashtextextended('onrush-author-' || current_schema() || 'author', 0)";
    eventually("it is under way", async || stores.count(blocked).await == 1).await;
    let mut stopping = tokio::spawn(loops.stop());
    assert!(tokio::time::timeout(Duration::from_millis(500), &mut stopping).await.is_err(), "it waits for it");
    lock.commit().await.unwrap();
    stopping.await.unwrap();
    assert_eq!(readers(&stores, post).await, ["alice"]);
    caught_up(&stores, Lane::Deliver).await;
}

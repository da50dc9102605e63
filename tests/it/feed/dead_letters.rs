//! A message that cannot be dealt with: tried again, a dead letter, tried again, an operator's.

use std::time::Duration;

use onrush::app::Role;
use onrush::config::FeedLane;
use onrush::feed::Lane;
use onrush::kafka::{Outgoing, Producer};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::author::{Loops, caught_up, readers, subscribe, write};
use crate::alarm::{Chat, quick};
use crate::support::installation::{Installation, TestNode};
use crate::support::stores::{Stores, eventually};

const LETTERS: &str = "/v1/ops/dead-letters";
const REPLAY: &str = "/v1/ops/dead-letters/replay";

async fn refuse(stores: &Stores, user: &str) {
    let add = format!("ALTER TABLE inbox ADD CONSTRAINT refused CHECK (user_id <> '{user}')");
    sqlx::query(AssertSqlSafe(add)).execute(&stores.database).await.unwrap();
}

async fn mend(stores: &Stores) {
    sqlx::query("ALTER TABLE inbox DROP CONSTRAINT refused").execute(&stores.database).await.unwrap();
}

async fn letters(node: &TestNode) -> Vec<Value> {
    let page = node.as_operator(Method::GET, LETTERS).await;
    assert_eq!(page.status, 200, "{page:?}");
    page.body["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_five_times_more_and_three_times_as_a_dead_letter_waits_for_an_operator() {
    let chat = Chat::default();
    let url = chat.open().await;
    let installation = Installation::with(|config| {
        quick(config, url);
        // A node that has just come has not looked at everything yet.
        config.alarm.pending_ms = 2_000;
        config.feed.lanes = FeedLane::ALL.to_vec();
    })
    .await;
    let stores = Stores::with(|config| *config = installation.config.clone()).await;
    let node = installation.node(Role::All).await;
    refuse(&stores, "bob").await;
    subscribe(&stores, "bob", "author").await;
    subscribe(&stores, "carol", "another").await;
    let bad = write(&stores.database, "author", "bad").await;
    let good = write(&stores.database, "another", "good").await;
    eventually("another's goes on", async || readers(&stores, good).await == ["carol"]).await;
    eventually("it is listed", async || letters(&node).await.len() == 1).await;
    let letter = letters(&node).await.remove(0);
    assert_eq!((&letter["id"], &letter["lane"]), (&json!("deliver-0-0"), &json!("deliver")));
    // The first time, five times more, and three times as a dead letter.
    assert_eq!((&letter["attempts"], &letter["state"]), (&json!(9), &json!("waiting")));
    assert_eq!(letter["origin"]["topic"], json!(installation.config.feed.inspected_topic));
    assert_eq!(letter["record"]["post_id"], json!(bad.to_string()));
    assert!(letter["reason"].as_str().unwrap().contains("refused"), "{letter}");
    eventually("the chat hears of it", async || !chat.told().is_empty()).await;
    assert_eq!(chat.told(), ["Onrush: CRITICAL: dead_letters_waiting is 1 (critical from 1)"]);
    // It holds nobody up.
    caught_up(&stores, Lane::Deliver).await;

    // Sent back too early it is a new letter.
    let replayed = node.operator_sends(Method::POST, REPLAY, &json!({"ids": ["deliver-0-0"]})).await;
    assert_eq!(replayed.body, json!({"replayed": 1}));
    eventually("it is there again", async || letters(&node).await.len() == 2).await;
    let again = letters(&node).await;
    assert_eq!((&again[0]["state"], &again[1]["id"]), (&json!("replayed"), &json!("deliver-0-1")));
    assert_eq!(again[1]["attempts"], json!(12));

    mend(&stores).await;
    assert_eq!(node.operator_sends(Method::POST, REPLAY, &json!({"all": true})).await.body, json!({"replayed": 1}));
    eventually("it is delivered", async || readers(&stores, bad).await == ["bob"]).await;
    eventually("the chat hears of that, too", async || chat.told().len() == 2).await;
    assert_eq!(letters(&node).await.len(), 2);
    assert_eq!(node.operator_sends(Method::POST, REPLAY, &json!({"all": true})).await.body, json!({"replayed": 0}));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_lanes_give_up_one_record_and_each_has_its_own_letter() {
    let stores = Stores::new().await;
    let loops = Loops::all(&stores);
    // A record of no known version: neither lane can read it.
    let topic = &stores.config.feed.original_topic;
    onrush::kafka::ensure(&stores.config.kafka, topic, 1).await.unwrap();
    let poison = Outgoing { key: b"poison".to_vec(), value: br#"{"v":99}"#.to_vec(), headers: Vec::new() };
    assert_eq!(stores.producer.publish_records(topic, &[poison]).await.acknowledged, 1);
    let both = "SELECT count(*) FROM dead_letters WHERE state = 'waiting' AND lane IN ('fill', 'inspect')";
    eventually("both have a letter", async || stores.count(both).await == 2).await;
    let ids: Vec<String> =
        sqlx::query_scalar("SELECT id FROM dead_letters ORDER BY lane").fetch_all(&stores.database).await.unwrap();
    assert!(ids[0].starts_with("fill-0-") && ids[1].starts_with("inspect-0-"), "{ids:?}");
    loops.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_fails_holds_back_its_later_messages_and_no_others() {
    let stores = Stores::with(|config| config.feed.retry_ms = 700).await;
    refuse(&stores, "bob").await;
    subscribe(&stores, "bob", "author").await;
    subscribe(&stores, "carol", "another").await;
    let loops = Loops::all(&stores);
    let bad = write(&stores.database, "author", "bad").await;
    let good = write(&stores.database, "another", "good").await;
    eventually("another's goes on", async || readers(&stores, good).await == ["carol"]).await;
    super::author::edit(&stores.database, bad, "still bad").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    mend(&stores).await;
    eventually("it is delivered at one of its tries", async || readers(&stores, bad).await == ["bob"]).await;
    caught_up(&stores, Lane::Deliver).await;
    loops.stop().await;
    assert_eq!(stores.count("SELECT count(*) FROM dead_letters").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_store_is_away_nothing_is_given_up() {
    let stores = Stores::with(|config| config.feed.retries_max = 1).await;
    subscribe(&stores, "alice", "author").await;
    sqlx::query("ALTER TABLE inbox RENAME TO away").execute(&stores.database).await.unwrap();
    let loops = Loops::all(&stores);
    let post = write(&stores.database, "author", "title").await;
    let passed = "SELECT count(*) FROM posts WHERE inspection = 'passed'";
    eventually("it has passed", async || stores.count(passed).await == 1).await;
    // Twenty times as long as two tries take, and the second that a new worker keeps still.
    tokio::time::sleep(Duration::from_secs(3)).await;
    sqlx::query("ALTER TABLE away RENAME TO inbox").execute(&stores.database).await.unwrap();
    eventually("it is delivered", async || readers(&stores, post).await == ["alice"]).await;
    loops.stop().await;
    assert_eq!(stores.count("SELECT count(*) FROM dead_letters").await, 0);
    // Nor was it a dead letter meanwhile.
    let dead = format!("{}.dead", stores.config.feed.inspected_topic);
    let offsets = onrush::kafka::Offsets::of(&stores.config.kafka, &dead, "nobody").unwrap();
    assert_eq!(offsets.lag(&offsets.ends().await.unwrap()).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_finished_before_kafka_has_it_as_a_dead_letter() {
    let mut stores = Stores::with(|config| config.feed.retries_max = 0).await;
    let topic = stores.config.feed.inspected_topic.clone();
    onrush::kafka::ensure(&stores.config.kafka, &topic, 1).await.unwrap();
    let poison = Outgoing { key: b"poison".to_vec(), value: b"\xff".to_vec(), headers: Vec::new() };
    assert_eq!(stores.producer.publish_records(&topic, &[poison]).await.acknowledged, 1);
    let mut nowhere = stores.config.kafka.clone();
    nowhere.brokers = "127.0.0.1:1".into();
    nowhere.delivery_timeout_ms = 1_000;
    let good = std::mem::replace(&mut stores.producer, std::sync::Arc::new(Producer::new(&nowhere).unwrap()));
    let cut_off = Loops::only(&stores, &[onrush::feed::FeedConsumer::Lane(Lane::Deliver)]);
    let settings = &stores.config.feed;
    let offsets = onrush::kafka::Offsets::of(&stores.config.kafka, &topic, &Lane::Deliver.group(settings)).unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(offsets.lag(&offsets.ends().await.unwrap()).await.unwrap(), 1);
    cut_off.stop().await;
    stores.producer = good;
    let loops = Loops::only(&stores, &onrush::feed::FeedConsumer::ALL);
    eventually("it is a letter", async || {
        stores.count("SELECT count(*) FROM dead_letters WHERE lane = 'deliver'").await == 1
    })
    .await;
    caught_up(&stores, Lane::Deliver).await;
    loops.stop().await;
}

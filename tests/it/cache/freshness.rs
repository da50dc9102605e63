//! A change is seen everywhere within a moment, also by those who were not told; and the switch.

use std::time::Duration;

use onrush::cache::Tier;
use onrush::redis::{Redis, Script, Value};
use onrush::script;
use tokio::time::Instant;

use super::lab::{Lab, Node, POST, Source};
use crate::support::private_redis::PrivateRedis;
use crate::support::stores::eventually;

/// Looks again and again until the node answers this version, for at most so long.
async fn seen_within(limit: Duration, node: &Node, key: &str, source: &Source, version: u64) {
    let deadline = Instant::now() + limit;
    while node.version(&POST, key, source).await != version {
        assert!(Instant::now() < deadline, "after {limit:?} still not version {version}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn until_in_memory(node: &Node, key: &str, source: &Source) {
    eventually("it is in memory", async || node.get(&POST, key, source).await.unwrap().tier == Tier::Local).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_seen_on_every_node_in_under_a_second() {
    let lab = Lab::with(|config| {
        config.cache.local_ttl_ms = 60_000;
        config.cache.silence_ms_max = 10_000;
    })
    .await;
    let nodes = [lab.node().await, lab.node().await, lab.node().await];
    let source = Source::new();
    for node in &nodes {
        until_in_memory(node, "a", &source).await;
    }
    for round in 0..10 {
        let version = source.change();
        nodes[round % 3].invalidate(&POST, "a").await.unwrap();
        assert_eq!(nodes[round % 3].version(&POST, "a", &source).await, version, "at once where it was changed");
        for node in &nodes {
            seen_within(Duration::from_secs(1), node, "a", &source, version).await;
            until_in_memory(node, "a", &source).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_deaf_believes_nothing_and_is_right() {
    let lab = Lab::new().await;
    let (node, deaf) = (lab.node().await, lab.deaf_node().await);
    let source = Source::new();
    for _ in 0..20 {
        let version = source.change();
        node.invalidate(&POST, "a").await.unwrap();
        for _ in 0..3 {
            let found = deaf.get(&POST, "a", &source).await.unwrap();
            assert_eq!(found.value.unwrap().version, version);
            assert_ne!(found.tier, Tier::Local);
        }
    }
}

/// Its connection for messages breaks, and comes back only long after the change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_goes_deaf_does_not_believe_its_memory_for_long() {
    let redis = PrivateRedis::start(&[]).await;
    let lab = Lab::with(|config| {
        config.redis.url = redis.url();
        config.redis.reconnect_ms = 10_000;
        config.cache.local_ttl_ms = 60_000;
        config.cache.silence_ms_max = 500;
    })
    .await;
    let (node, deafened) = (lab.deaf_node().await, lab.node().await);
    let source = Source::new();
    until_in_memory(&deafened, "a", &source).await;
    let killed: u64 = redis.cli(&["client", "kill", "type", "pubsub"]).parse().unwrap();
    assert!(killed >= 1);
    let version = source.change();
    node.invalidate(&POST, "a").await.unwrap();
    seen_within(Duration::from_secs(1), &deafened, "a", &source, version).await;
    assert_ne!(deafened.get(&POST, "a", &source).await.unwrap().tier, Tier::Local);
}

/// It comes back at once, but the message was said in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_deaf_for_a_moment_looks_at_everything_again() {
    static INVALIDATE: Script<4> = script!("cache/invalidate");
    let lab = Lab::with(|config| {
        config.cache.local_ttl_ms = 60_000;
        config.cache.silence_ms_max = 10_000;
    })
    .await;
    let node = lab.node().await;
    let source = Source::new();
    until_in_memory(&node, "a", &source).await;
    // Said where nobody listens: this is what it is like for a message to be lost.
    let version = source.change();
    let other = Redis::connect(&lab.config.redis).await.unwrap();
    for shard in 0..lab.config.cache.shards {
        let args: Vec<Value> = vec!["nowhere".into(), "gone".into(), "post:a".into()];
        other.call_anywhere(&INVALIDATE, other.keys().cache_shard(shard), args).await.unwrap();
    }
    assert_eq!(node.version(&POST, "a", &source).await, version - 1, "it cannot know");
    // A heartbeat of another life in between is a message that was missed, too: the node's own loop is what tells.
    let mut second_heartbeat = node.cache.heartbeat();
    assert!(second_heartbeat.tick().await.is_sent);
    seen_within(Duration::from_secs(1), &node, "a", &source, version).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_switch_sends_every_read_of_every_node_to_the_source_and_back() {
    let lab = Lab::new().await;
    let nodes = [lab.node().await, lab.node().await];
    let source = Source::new();
    for node in &nodes {
        until_in_memory(node, "a", &source).await;
    }
    nodes[0].cache.set_bypass(true).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(1);
    while !nodes.iter().all(|node| node.cache.is_bypassed()) {
        assert!(Instant::now() < deadline, "a second is over");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = source.loads();
    for node in &nodes {
        for _ in 0..10 {
            let version = source.change();
            let found = node.get(&POST, "a", &source).await.unwrap();
            assert_eq!((found.tier, found.value.unwrap().version), (Tier::Source, version));
        }
    }
    assert_eq!(source.loads(), before + 20);
    // What was changed meanwhile is not found there later.
    nodes[0].invalidate(&POST, "a").await.unwrap();
    nodes[1].cache.set_bypass(false).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(1);
    while nodes.iter().any(|node| node.cache.is_bypassed()) {
        assert!(Instant::now() < deadline, "a second is over");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for node in &nodes {
        until_in_memory(node, "a", &source).await;
        assert_eq!(node.version(&POST, "a", &source).await, source.version());
    }
    assert!(source.loads() <= before + 22);
}

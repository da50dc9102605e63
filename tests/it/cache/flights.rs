//! One miss loads once; and what is hot is loaded before anybody misses it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use onrush::cache::{Kind, Tier};
use tokio::sync::Barrier;

use super::lab::{COSTLY, Lab, PERSONAL, POST, Post, Source};
use crate::support::stores::eventually;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_readers_of_a_cold_costly_key_on_two_nodes_cause_one_load() {
    let lab = Lab::with(|config| config.cache.wait_ms_max = 60_000).await;
    let nodes = [Arc::new(lab.node().await), Arc::new(lab.node().await)];
    let source = Source::new();
    source.hold();
    let begun = Arc::new(Barrier::new(2_001));
    let readers: Vec<_> = (0..2_000)
        .map(|reader| {
            let (node, source, begun) = (Arc::clone(&nodes[reader % 2]), source.clone(), Arc::clone(&begun));
            tokio::spawn(async move {
                begun.wait().await;
                node.version(&COSTLY, "cold", &source).await
            })
        })
        .collect();
    begun.wait().await;
    source.until_loads(1).await;
    // The other node has found that somebody is at it, and waits.
    eventually("both nodes have missed", async || nodes.iter().all(|node| node.cache.stats().redis.misses >= 2)).await;
    source.open();
    assert!(join_all(readers).await.into_iter().all(|version| version.unwrap() == 1));
    assert_eq!(source.loads(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_loaded_together_does_not_expire_together_and_is_loaded_once_when_it_has() {
    const SHORT: Kind<Post> = Kind::new("short").costly().fresh_for(Duration::from_secs(3));
    let lab = Lab::with(|config| {
        config.cache.jitter_percent = 50;
        config.cache.hot_min = 1_000_000;
    })
    .await;
    let nodes = [lab.node().await, lab.node().await];
    let source = Source::new();
    let keys: Vec<String> = (0..500).map(|key| key.to_string()).collect();
    join_all(keys.iter().map(|key| nodes[0].version(&SHORT, key, &source))).await;
    assert_eq!(source.loads(), 500);

    let values = nodes[0].in_redis(lab.config.cache.shards).await;
    let number = |text: &str| text.parse::<i64>().unwrap();
    let short = || values.iter().filter(|(field, _)| field.starts_with("short:"));
    let lives: Vec<i64> = short().map(|(_, value)| number(&value[..13]) - number(&value[13..26])).collect();
    assert_eq!(lives.len(), 500);
    assert!(lives.iter().all(|life| (3_000..=4_500).contains(life)));
    for fifth in 0..5 {
        let (from, to) = (3_000 + fifth * 300, 3_300 + fifth * 300);
        let expire = lives.iter().filter(|life| (from..to).contains(*life)).count();
        assert!((50..150).contains(&expire), "{expire} of 500 expire between {from} and {to} ms");
    }

    let last = short().map(|(_, value)| number(&value[..13])).max().unwrap();
    eventually("all have expired", async || nodes[0].redis.time().await.unwrap().0 > last).await;
    let reads = keys.iter().flat_map(|key| {
        let source = &source;
        nodes.iter().flat_map(move |node| (0..4).map(move |_| node.version(&SHORT, key, source)))
    });
    join_all(reads).await;
    assert_eq!(source.loads(), 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_id_that_is_asked_ten_thousand_times_reaches_the_source_once() {
    let lab = Lab::with(|config| config.cache.absent_ttl_ms = 600_000).await;
    let node = Arc::new(lab.node().await);
    for (kind, key) in [(POST, "nothing"), (PERSONAL, "nothing")] {
        let (source, kind) = (Source::empty(), Arc::new(kind));
        let readers = (0..5_000).map(|_| {
            let (node, kind, source) = (Arc::clone(&node), Arc::clone(&kind), source.clone());
            tokio::spawn(async move { node.version(&kind, key, &source).await })
        });
        assert!(join_all(readers).await.into_iter().all(|version| version.unwrap() == 0));
        for _ in 0..5_000 {
            assert_eq!(node.version(&kind, key, &source).await, 0);
        }
        assert_eq!(source.loads(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_goes_on_although_whoever_asked_has_gone_away() {
    let lab = Lab::new().await;
    let node = Arc::new(lab.node().await);
    let source = Source::new();
    source.hold();
    let (node_too, source_too) = (Arc::clone(&node), source.clone());
    let asker = tokio::spawn(async move { node_too.version(&POST, "a", &source_too).await });
    source.until_loads(1).await;
    asker.abort();
    source.open();
    eventually("it is kept", async || {
        node.in_redis(lab.config.cache.shards).await.iter().any(|(field, _)| field == "post:a")
    })
    .await;
    assert_ne!(node.get(&POST, "a", &source).await.unwrap().tier, Tier::Source);
    assert_eq!(source.loads(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_what_is_hot_never_waits_for_a_load() {
    const BRIEF: Kind<Post> = Kind::new("brief").costly().fresh_for(Duration::from_secs(2));
    const BRIEF_OWN: Kind<Post> = Kind::new("brief_own").personal().fresh_for(Duration::from_secs(2));
    let lab = Lab::with(|config| {
        config.cache.hot_min = 5;
        config.cache.refresh_percent = 50;
        config.cache.jitter_percent = 0;
    })
    .await;
    let node = lab.node().await;
    for kind in [BRIEF, BRIEF_OWN] {
        let source = Source::new();
        assert_eq!(node.get(&kind, "hot", &source).await.unwrap().tier, Tier::Source);
        // Each load is of a life of its own: were they not begun early, these would be three times that nobody was served.
        while source.loads() < 4 {
            let found = node.get(&kind, "hot", &source).await.unwrap();
            assert_ne!(found.tier, Tier::Source);
            assert!(!found.is_stale);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let hottest = node.cache.stats().hottest;
        assert!(hottest.iter().any(|hot| hot.key.ends_with(":hot")), "{hottest:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_loads_than_may_are_under_way() {
    let lab = Lab::with(|config| config.cache.loads_in_flight_max = 3).await;
    let node = Arc::new(lab.node().await);
    let source = Source::new();
    source.hold();
    let readers: Vec<_> = (0..10)
        .map(|key| {
            let (node, source) = (Arc::clone(&node), source.clone());
            tokio::spawn(async move { node.get(&POST, &key.to_string(), &source).await.is_ok() })
        })
        .collect();
    source.until_loads(3).await;
    eventually("the others were refused", async || readers.iter().filter(|reader| reader.is_finished()).count() == 7)
        .await;
    source.open();
    let answered = join_all(readers).await.into_iter().filter(|answered| *answered.as_ref().unwrap()).count();
    assert_eq!((answered, source.loads()), (3, 3));
}

//! Redis dies, hangs and comes back: what is in memory serves on, the source is spared, and nothing that was invalidated
//! meanwhile comes back.

use std::sync::Arc;

use futures::future::{join, join_all};
use onrush::cache::{CacheError, Tier};

use super::lab::{COSTLY, ESSENTIAL, Lab, Node, PERSONAL, POST, Source};
use crate::support::private_redis::PrivateRedis;
use crate::support::stores::eventually;

const BULKHEAD_MAX: usize = 3;

async fn lab_on(redis: &PrivateRedis) -> Lab {
    Lab::with(|config| {
        config.redis.url = redis.url();
        config.redis.reconnect_ms = 20;
        // What was given up is not sent later all the same.
        config.redis.command_timeout_ms = 400;
        config.cache.redis_timeout_ms = 500;
        // What is in memory is not fresh any more at once.
        config.cache.local_ttl_ms = 50;
        config.cache.bulkhead_max = BULKHEAD_MAX;
        config.cache.bulkhead_wait_ms_max = 300;
        config.cache.jitter_percent = 0;
    })
    .await
}

/// Until what is in memory is answered, and marked. Whatever is answered before is the same.
async fn until_stale(node: &Node, key: &str, source: &Source) {
    eventually("it is answered from memory, marked stale", async || {
        let found = node.get(&POST, key, source).await.unwrap();
        assert_eq!(found.value.unwrap().version, 1);
        found.is_stale && found.tier == Tier::Local
    })
    .await;
}

/// Until all shards answer, so that what follows is not about one that has only been slow.
async fn until_all_answer(node: &Node, source: &Source) {
    eventually("all shards of Redis answer", async || {
        let reads = (0..64).map(|key| format!("probe {key}"));
        let found = join_all(reads.map(|key| async move { node.get(&PERSONAL, &key, source).await.is_ok() })).await;
        found.into_iter().all(|is_ok| is_ok) && node.cache.stats().shards_away == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_memory_serves_on_and_the_source_is_asked_by_few_for_what_is_essential() {
    let mut redis = PrivateRedis::start(&[]).await;
    let lab = lab_on(&redis).await;
    let node = Arc::new(lab.node().await);
    let (source, other, essential) = (Source::new(), Source::new(), Source::new());
    until_all_answer(&node, &other).await;
    assert_eq!(node.version(&POST, "hot", &source).await, 1);
    let (loads, other_loads) = (source.loads(), other.loads());
    redis.kill();
    until_stale(&node, "hot", &source).await;
    assert_eq!(source.loads(), loads);

    // Of what is not essential nothing is loaded, and nobody waits for a timeout of his own.
    let refused = join_all((0..1_000).map(|key| {
        let (node, other) = (Arc::clone(&node), other.clone());
        tokio::spawn(async move {
            let kind = &[POST, COSTLY, PERSONAL][key % 3];
            node.get(kind, &format!("cold {key}"), &other).await
        })
    }))
    .await;
    assert!(refused.into_iter().all(|read| matches!(read.unwrap(), Err(CacheError::Refused(_)))));
    assert_eq!(other.loads(), other_loads);

    essential.hold();
    let askers: Vec<_> = (0..40)
        .map(|key| {
            let (node, essential) = (Arc::clone(&node), essential.clone());
            tokio::spawn(async move { node.get(&ESSENTIAL, &key.to_string(), &essential).await.is_ok() })
        })
        .collect();
    eventually("those who found no place were refused", async || {
        askers.iter().filter(|asker| asker.is_finished()).count() == 40 - BULKHEAD_MAX
    })
    .await;
    assert_eq!(essential.loads(), BULKHEAD_MAX as u64);
    essential.open();
    let answered = join_all(askers).await.into_iter().filter(|answered| *answered.as_ref().unwrap()).count();
    assert_eq!(answered, BULKHEAD_MAX);
    for key in 100..140 {
        assert_eq!(node.version(&ESSENTIAL, &key.to_string(), &essential).await, 1);
    }
    assert!(essential.loading_most() <= i64::try_from(BULKHEAD_MAX).unwrap());

    redis.start_again(&[]).await;
    until_all_answer(&node, &other).await;
    source.change();
    eventually("it is fresh again", async || {
        let found = node.get(&POST, "hot", &source).await.unwrap();
        !found.is_stale && found.value.unwrap().version == 2
    })
    .await;
    node.until_it_hears().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_essential_is_not_older_than_its_time_while_redis_is_away_unless_its_source_is_too() {
    let mut redis = PrivateRedis::start(&[]).await;
    let lab = Lab::with(|config| {
        config.redis.url = redis.url();
        config.redis.command_timeout_ms = 400;
        (config.cache.ttl_ms, config.cache.local_ttl_ms, config.cache.jitter_percent) = (1_000, 50, 0);
    })
    .await;
    let node = lab.node().await;
    let source = Source::new();
    until_all_answer(&node, &Source::new()).await;
    assert_eq!(node.version(&ESSENTIAL, "hot", &source).await, 1);
    redis.kill();
    let loads = source.loads();
    source.set_broken(true);
    // Its time is over long before another minute is, and it goes on being answered.
    eventually("its source is asked in vain, and it is answered from memory", async || {
        let found = node.get(&ESSENTIAL, "hot", &source).await.unwrap();
        assert_eq!(found.value.unwrap().version, 1);
        found.is_stale && source.loads() > loads
    })
    .await;
    source.change();
    source.set_broken(false);
    eventually("what nobody could tell is seen", async || {
        node.get(&ESSENTIAL, "hot", &source).await.unwrap().value.unwrap().version == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_invalidated_while_redis_hangs_is_gone_when_it_is_back() {
    let redis = PrivateRedis::start(&[]).await;
    let lab = lab_on(&redis).await;
    let nodes = [lab.node().await, lab.node().await];
    let (source, other) = (Source::new(), Source::new());
    for node in &nodes {
        until_all_answer(node, &other).await;
        assert_eq!(node.version(&POST, "hot", &source).await, 1);
        assert_eq!(node.version(&PERSONAL, "own", &source).await, 1);
    }
    redis.freeze();
    until_stale(&nodes[1], "hot", &source).await;
    source.change();
    for (kind, key) in [(POST, "hot"), (PERSONAL, "own")] {
        let failed = nodes[0].invalidate(&kind, key).await;
        assert!(matches!(failed, Err(CacheError::Refused(_))), "{failed:?}");
    }
    // Its own memory has let it go; and it may not be asked for elsewhere.
    assert!(matches!(nodes[0].get(&POST, "hot", &source).await, Err(CacheError::Refused(_))));
    until_stale(&nodes[1], "hot", &source).await;

    redis.thaw();
    for (kind, key) in [(POST, "hot"), (PERSONAL, "own")] {
        eventually("it is answered again", async || match nodes[0].get(&kind, key, &source).await {
            Ok(found) => {
                assert_eq!((found.value.unwrap().version, found.is_stale), (2, false));
                true
            }
            Err(_) => false,
        })
        .await;
        eventually("and by the other node", async || {
            nodes[1].get(&kind, key, &source).await.is_ok_and(|found| found.value.unwrap().version == 2)
        })
        .await;
    }
}

/// Redis dies between the load and the fill of what replaces an entry, and comes back with the older one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_refresh_could_not_replace_is_gone_when_redis_is_back() {
    let log = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut redis = PrivateRedis::start(&log).await;
    let lab = lab_on(&redis).await;
    let node = Arc::new(lab.node().await);
    let (source, other) = (Source::new(), Source::new());
    until_all_answer(&node, &other).await;
    assert_eq!(node.version(&PERSONAL, "own", &source).await, 1);
    source.change();
    source.hold();
    let (node_too, source_too) = (Arc::clone(&node), source.clone());
    let refresh = tokio::spawn(async move { node_too.cache.refresh(&PERSONAL, "own", source_too.load()).await });
    source.until_loads(2).await;
    redis.kill();
    source.open();
    assert_eq!(refresh.await.unwrap().unwrap().value.unwrap().version, 2);
    redis.start_again(&log).await;
    eventually("it is answered again", async || match node.get(&PERSONAL, "own", &source).await {
        Ok(found) => {
            assert_eq!(found.value.unwrap().version, 2);
            true
        }
        Err(_) => false,
    })
    .await;
}

/// Claims may use up all that Redis has. That is not an outage: what is kept there is read, all else is loaded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_redis_out_of_memory_reads_and_invalidations_go_on() {
    let redis = PrivateRedis::start(&[]).await;
    let lab = lab_on(&redis).await;
    let nodes = [lab.node().await, lab.node().await];
    let (source, other) = (Source::new(), Source::new());
    for node in &nodes {
        until_all_answer(node, &other).await;
        assert_eq!(node.version(&PERSONAL, "kept", &source).await, 1);
    }
    redis.cli(&["config", "set", "maxmemory", "1"]);
    assert!(redis.cli(&["set", "any", "thing"]).starts_with("OOM"));

    let loads = source.loads();
    assert_eq!(nodes[1].get(&PERSONAL, "kept", &source).await.unwrap().tier, Tier::Redis);
    assert_eq!(source.loads(), loads);
    source.change();
    nodes[0].invalidate(&PERSONAL, "kept").await.unwrap();
    for kind in [PERSONAL, POST, COSTLY, ESSENTIAL] {
        for node in &nodes {
            assert_eq!(node.version(&kind, "kept", &source).await, 2);
        }
        let twice = nodes[0].cache.refresh(&kind, "kept", source.load()).await.unwrap();
        assert_eq!(twice.value.unwrap().version, 2);
    }
    // Who loads for long keeps the right to.
    let (slow, shards) = (Source::new(), lab.config.cache.shards);
    slow.hold();
    let (loaded, ()) = join(nodes[0].get(&COSTLY, "slow", &slow), async {
        slow.until_loads(1).await;
        let locks = nodes[1].locks(shards).await;
        assert_eq!(locks.len(), 1, "{locks:?}");
        eventually("the lease is renewed", async || nodes[1].locks(shards).await != locks).await;
        slow.open();
    })
    .await;
    assert_eq!(loaded.unwrap().value.unwrap().version, 1);
    for node in &nodes {
        assert_eq!(node.cache.stats().shards_away, 0);
        assert!(!node.in_redis(shards).await.into_iter().any(|(field, _)| field.ends_with("kept")));
    }

    redis.cli(&["config", "set", "maxmemory", "0"]);
    assert_eq!(nodes[0].version(&PERSONAL, "kept", &source).await, 2);
    assert_eq!(nodes[1].get(&PERSONAL, "kept", &source).await.unwrap().tier, Tier::Redis);
}

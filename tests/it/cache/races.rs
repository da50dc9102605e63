//! Loads and changes at the same moment, and loaders that die, are slow or are overtaken.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use onrush::cache::{CacheError, Tier};

use super::lab::{COSTLY, Lab, Node, POST, Post, Source};
use crate::support::stores::eventually;

/// Asks in a task of its own.
fn ask(node: &Arc<Node>, key: &'static str, source: &Source) -> tokio::task::JoinHandle<u64> {
    let (node, source) = (Arc::clone(node), source.clone());
    tokio::spawn(async move { node.version(&COSTLY, key, &source).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_began_before_an_invalidation_never_puts_the_old_value_back() {
    let lab = Lab::new().await;
    let nodes = [Arc::new(lab.node().await), Arc::new(lab.node().await)];
    for (key, changed_on) in [("here", 0), ("there", 1)] {
        let source = Source::new();
        source.hold();
        let asker = ask(&nodes[0], key, &source);
        source.until_loads(1).await;
        source.change();
        nodes[changed_on].invalidate(&COSTLY, key).await.unwrap();
        // Who asks now does not join the load that knows only the old value.
        let after = ask(&nodes[changed_on], key, &source);
        source.until_loads(2).await;
        source.open();
        assert_eq!(asker.await.unwrap(), 1, "it had asked before");
        assert_eq!(after.await.unwrap(), 2);
        let kept = nodes[0].in_redis(lab.config.cache.shards).await;
        let (_, value) = kept.iter().find(|(field, _)| *field == format!("costly:{key}")).unwrap();
        assert!(value.contains("\"version\":2"), "{value}");
        for _ in 0..20 {
            assert_eq!(nodes[changed_on].version(&COSTLY, key, &source).await, 2);
        }
        eventually("the other node serves it too", async || {
            nodes[1 - changed_on].version(&COSTLY, key, &source).await == 2
        })
        .await;
    }
}

/// The old load ends when nobody has loaded the new value yet: there is nothing in its way but the lost permit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_it_where_nobody_asks_again() {
    let lab = Lab::new().await;
    let nodes = [Arc::new(lab.node().await), Arc::new(lab.node().await)];
    for (key, changed_on) in [("here", 0), ("there", 1)] {
        let source = Source::new();
        source.hold();
        let asker = ask(&nodes[0], key, &source);
        source.until_loads(1).await;
        source.change();
        nodes[changed_on].invalidate(&COSTLY, key).await.unwrap();
        source.open();
        assert_eq!(asker.await.unwrap(), 1);
        let kept = nodes[0].in_redis(lab.config.cache.shards).await;
        assert!(kept.iter().all(|(field, _)| *field != format!("costly:{key}")), "{kept:?}");
        assert_eq!(nodes[0].version(&COSTLY, key, &source).await, 2);
        assert_eq!(nodes[1].version(&COSTLY, key, &source).await, 2);
    }
}

/// Of what is cheap to load, a second node loads too, without the permit: its own memory is all that it may write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_into_the_memory_of_a_node_that_loads_beside_another() {
    let lab = Lab::with(|config| config.cache.local_ttl_ms = 60_000).await;
    let nodes = [Arc::new(lab.node().await), Arc::new(lab.node().await)];
    let source = Source::new();
    source.hold();
    let mut askers = Vec::new();
    for (node, loads) in [(&nodes[1], 1), (&nodes[0], 2)] {
        let (node, source_too) = (Arc::clone(node), source.clone());
        askers.push(tokio::spawn(async move { node.version(&POST, "a", &source_too).await }));
        source.until_loads(loads).await;
    }
    source.change();
    nodes[0].invalidate(&POST, "a").await.unwrap();
    source.open();
    for asker in askers {
        assert_eq!(asker.await.unwrap(), 1, "it had asked before");
    }
    assert_eq!(nodes[0].version(&POST, "a", &source).await, 2);
    eventually("the other node serves it too", async || nodes[1].version(&POST, "a", &source).await == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_replaces_what_is_kept_everywhere_and_what_is_being_loaded() {
    let lab = Lab::new().await;
    let nodes = [Arc::new(lab.node().await), Arc::new(lab.node().await)];
    let source = Source::new();
    source.hold();
    let asker = ask(&nodes[0], "a", &source);
    source.until_loads(1).await;
    let newer = Source::new();
    newer.change();
    let refreshed = nodes[1].cache.refresh(&COSTLY, "a", newer.load()).await.unwrap();
    assert_eq!((refreshed.tier, refreshed.value.unwrap().version), (Tier::Source, 2));
    source.open();
    assert_eq!(asker.await.unwrap(), 1, "it had asked before");
    for node in &nodes {
        assert_eq!(node.version(&COSTLY, "a", &newer).await, 2);
    }
    newer.change();
    nodes[0].cache.refresh(&COSTLY, "a", newer.load()).await.unwrap();
    assert_eq!(nodes[0].version(&COSTLY, "a", &newer).await, 3);
    eventually("the other node has it too", async || nodes[1].version(&COSTLY, "a", &newer).await == 3).await;
    assert_eq!((source.loads(), newer.loads()), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loader_that_is_slower_than_its_lease_renews_it_and_stays_the_only_one() {
    let lab = Lab::with(|config| {
        config.cache.lease_ms = 600;
        config.cache.wait_ms_max = 60_000;
    })
    .await;
    let nodes = [Arc::new(lab.node().await), Arc::new(lab.node().await)];
    let source = Source::new();
    source.hold();
    let askers = [ask(&nodes[0], "slow", &source), ask(&nodes[1], "slow", &source)];
    source.until_loads(1).await;
    // What is awaited is that nothing happens in the time of four leases.
    tokio::time::sleep(Duration::from_millis(2_400)).await;
    assert_eq!(source.loads(), 1);
    source.open();
    for asker in askers {
        assert_eq!(asker.await.unwrap(), 1);
    }
    assert_eq!(source.loads(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loader_that_dies_is_replaced_when_its_lease_has_ended() {
    let lab = Arc::new(Lab::with(|config| config.cache.lease_ms = 400).await);
    let survivor = lab.node().await;
    let (lost, source) = (Source::new(), Source::new());
    lost.hold();
    let (lab_too, lost_too) = (Arc::clone(&lab), lost.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let asked = tokio::task::spawn_blocking(move || {
        let node = runtime.block_on(lab_too.node());
        let load = lost_too.load();
        runtime.spawn(async move { node.cache.get(&COSTLY, "a", load).await });
        runtime
    });
    let runtime = asked.await.unwrap();
    lost.until_loads(1).await;
    runtime.shutdown_background();
    assert_eq!(survivor.version(&COSTLY, "a", &source).await, 1);
    assert_eq!(source.loads(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loader_whose_lease_was_taken_over_writes_nothing() {
    let lab = Arc::new(Lab::with(|config| config.cache.lease_ms = 200).await);
    let other = lab.node().await;
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (wake, asleep) = mpsc::channel::<()>();
    let lab_too = Arc::clone(&lab);
    // A node whose only thread stands still renews nothing.
    let sleeper = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let node = lab_too.node().await;
            let load = || async move {
                begun.send(()).unwrap();
                asleep.recv().unwrap();
                Ok::<_, CacheError>(Some(Post { version: 1, text: String::new() }))
            };
            let found = node.cache.get(&COSTLY, "a", load).await.unwrap();
            // Its own memory has not kept it either.
            let newer = Source::new();
            newer.change();
            (found.value.unwrap().version, node.version(&COSTLY, "a", &newer).await, newer.loads())
        })
    });
    has_begun.await.unwrap();
    let newer = Source::new();
    newer.change();
    assert_eq!(other.version(&COSTLY, "a", &newer).await, 2);
    wake.send(()).unwrap();
    let (answered, later, loads) = tokio::task::spawn_blocking(move || sleeper.join().unwrap()).await.unwrap();
    assert_eq!((answered, later, loads), (1, 2, 0));
    assert_eq!(other.version(&COSTLY, "a", &newer).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_too_long_for_another_node_is_refused() {
    let lab = Lab::with(|config| config.cache.wait_ms_max = 300).await;
    let nodes = [Arc::new(lab.node().await), Arc::new(lab.node().await)];
    let source = Source::new();
    source.hold();
    let asker = ask(&nodes[0], "a", &source);
    source.until_loads(1).await;
    let refused = nodes[1].get(&COSTLY, "a", &source).await.unwrap_err();
    assert!(matches!(refused, CacheError::Refused(_)), "{refused}");
    source.open();
    assert_eq!((asker.await.unwrap(), source.loads()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_fails_is_answered_for_by_what_was_kept() {
    const BRIEF: onrush::cache::Kind<Post> = onrush::cache::Kind::new("brief").fresh_for(Duration::from_millis(100));
    let lab = Lab::new().await;
    let node = lab.node().await;
    let source = Source::new();
    source.set_broken(true);
    let failed = node.get(&BRIEF, "a", &source).await.unwrap_err();
    assert!(matches!(&failed, CacheError::Source(text) if text == "the source is broken"), "{failed}");
    source.set_broken(false);
    assert_eq!(node.version(&BRIEF, "a", &source).await, 1);
    source.set_broken(true);
    source.change();
    eventually("it is over and answered all the same", async || {
        let found = node.get(&BRIEF, "a", &source).await.unwrap();
        assert_eq!(found.value.unwrap().version, 1);
        found.is_stale
    })
    .await;
    source.set_broken(false);
    eventually("the source is asked again", async || node.version(&BRIEF, "a", &source).await == 2).await;
    // A failure is not kept, nor does it hold others up.
    source.set_broken(true);
    assert!(node.get(&POST, "b", &source).await.is_err());
    source.set_broken(false);
    assert_eq!(node.version(&POST, "b", &source).await, 2);
}

//! The cache on a Redis Cluster: its shards on all primaries, and one that dies.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use super::lab::{COSTLY, Lab, POST, Source};
use crate::support::private_redis::PrivateCluster;
use crate::support::stores::eventually;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_on_all_primaries_serve_invalidate_and_outlive_one_of_them() {
    let mut cluster = PrivateCluster::start().await;
    let lab = Lab::with(|config| {
        config.redis.url = cluster.url();
        config.cache.redis_timeout_ms = 1_000;
    })
    .await;
    let nodes = [Arc::new(lab.node().await), Arc::new(lab.node().await)];
    let source = Source::new();
    let keys: Vec<String> = (0..100).map(|key| key.to_string()).collect();
    join_all(keys.iter().map(|key| nodes[0].version(&COSTLY, key, &source))).await;
    join_all(keys.iter().map(|key| nodes[1].version(&COSTLY, key, &source))).await;
    assert_eq!(source.loads(), 100);
    source.change();
    nodes[0].cache.invalidate(&COSTLY, &keys).await.unwrap();
    for node in &nodes {
        eventually("all of it is seen", async || {
            let seen = join_all(keys.iter().map(|key| node.version(&COSTLY, key, &source))).await;
            seen.into_iter().all(|version| version == 2)
        })
        .await;
    }

    let [values, ..] = nodes[0].redis.keys().cache_shard(0);
    cluster.primary_of(&values).kill();
    let fresh = Source::new();
    let mut round = 0;
    eventually("all shards serve again", async || {
        round += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let reads = (0..40).map(|key| format!("{round}/{key}"));
        let found = join_all(reads.map(|key| {
            let (node, fresh) = (Arc::clone(&nodes[0]), fresh.clone());
            async move { node.get(&POST, &key, &fresh).await.is_ok() }
        }));
        found.await.into_iter().all(|is_ok| is_ok)
    })
    .await;
}

//! Neither tier takes more room than it may, whatever comes.

use futures::StreamExt;
use futures::stream;
use onrush::cache::{CacheError, Tier};

use super::lab::{Lab, PERSONAL, POST, Post, Source};
use crate::support::stores::eventually;

/// What `lua/cache/fill.lua` counts for an entry besides its field, twice, and its value.
const ENTRY_BYTES: usize = 160;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_no_more_bytes_than_it_may_under_a_flood_and_counts_what_is_there() {
    let lab = Lab::with(|config| {
        config.cache.shards = 2;
        config.cache.redis_bytes_max = 1 << 20;
        // As text, so that it can be read here.
        config.cache.compress_bytes_min = 1 << 20;
    })
    .await;
    let node = lab.node().await;
    let half_max = (1 << 20) / 2;
    let check = async |is_full: bool| {
        for shard in 0..2 {
            let [values, _, _, meta] = node.redis.keys().cache_shard(shard);
            let values = node.redis.all_fields(&values).await.unwrap();
            let meta = node.redis.all_fields(&meta).await.unwrap();
            let counted: usize = meta["bytes"].parse().unwrap();
            let there: usize = values.iter().map(|(field, value)| 2 * field.len() + value.len() + ENTRY_BYTES).sum();
            assert_eq!((counted, meta["entries"].clone()), (there, values.len().to_string()));
            assert!(counted <= half_max, "{counted}");
            assert!(!is_full || counted > half_max - 10_000, "{counted}");
        }
    };
    for flood in 0..4 {
        stream::iter(0..600)
            .for_each_concurrent(64, |key| {
                let node = &node;
                async move {
                    // Of many sizes, and some that were there before.
                    let source = Source::of(&"x".repeat(key * 7 % 3_000));
                    let key = format!("{flood}/{}", key * 3 / 2);
                    node.get(&PERSONAL, &key, &source).await.unwrap();
                    if key.ends_with("00") {
                        node.invalidate(&PERSONAL, &key).await.unwrap();
                    }
                }
            })
            .await;
        check(flood > 1).await;
    }
    assert!(node.cache.stats().redis.evictions > 500);
    eventually("the stats tell", async || {
        let stats = node.cache.stats().redis;
        (900_000..=1 << 20).contains(&stats.bytes) && stats.entries > 100
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_is_swept_away_by_those_that_come() {
    const BRIEF: onrush::cache::Kind<Post> = onrush::cache::Kind::new("brief")
        .personal()
        .fresh_for(std::time::Duration::from_millis(100))
        .stale_for(std::time::Duration::ZERO);
    let lab = Lab::with(|config| config.cache.shards = 1).await;
    let node = lab.node().await;
    let source = Source::new();
    for key in 0..100 {
        node.get(&BRIEF, &key.to_string(), &source).await.unwrap();
    }
    let mut later = 0;
    eventually("only the later ones are there", async || {
        later += 1;
        node.get(&PERSONAL, &later.to_string(), &source).await.unwrap();
        !node.in_redis(1).await.iter().any(|(field, _)| field.starts_with("brief:"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_keeps_no_more_bytes_than_it_may() {
    let lab = Lab::with(|config| config.cache.local_bytes_max = 1 << 20).await;
    let node = lab.node().await;
    for key in 0..2_000 {
        node.get(&POST, &key.to_string(), &Source::of(&"x".repeat(2_000))).await.unwrap();
        if key % 100 == 0 {
            assert!(node.cache.stats().local.bytes <= 1 << 20);
        }
    }
    let stats = node.cache.stats().local;
    assert!((900_000..=1 << 20).contains(&stats.bytes), "{stats:?}");
    assert!((300..=460).contains(&stats.entries), "{stats:?}");
    assert!(stats.evictions >= 2_000 - stats.entries, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_large_is_compressed_and_what_is_too_large_is_not_kept() {
    let lab = Lab::with(|config| {
        config.cache.shards = 1;
        config.cache.value_bytes_max = 100_000;
    })
    .await;
    let node = lab.node().await;
    let large = Source::of(&"선착순 쿠폰 ".repeat(4_000));
    assert_eq!(node.version(&PERSONAL, "large", &large).await, 1);
    let found = node.get(&PERSONAL, "large", &large).await.unwrap();
    assert_eq!((found.tier, found.value.unwrap().text.len()), (Tier::Redis, 68_000));
    let [_, _, _, meta] = node.redis.keys().cache_shard(0);
    let bytes: usize = node.redis.all_fields(&meta).await.unwrap()["bytes"].parse().unwrap();
    assert!(bytes < 10_000, "{bytes}");

    let too_large = Source::of(&"x".repeat(100_000));
    for kind in [PERSONAL, POST] {
        let before = too_large.loads();
        for _ in 0..3 {
            assert_eq!(node.get(&kind, "too large", &too_large).await.unwrap().tier, Tier::Source);
        }
        assert_eq!(too_large.loads(), before + 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_could_be_mistaken_for_two_is_read_and_not_kept() {
    let lab = Lab::new().await;
    let node = lab.node().await;
    let source = Source::new();
    for _ in 0..3 {
        assert_eq!(node.get(&POST, "a\u{1f}post:b", &source).await.unwrap().tier, Tier::Source);
    }
    assert_eq!(source.loads(), 3);
    source.set_broken(true);
    assert!(matches!(node.get(&POST, "a\u{1f}post:b", &source).await, Err(CacheError::Source(_))));
}

//! Nodes that have nothing but a cache, and sources that count and can be held.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use onrush::cache::{Cache, CacheError, Found, Kind, Tier};
use onrush::config::Config;
use onrush::redis::Redis;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::support::stores::eventually;
use crate::support::{leftovers, names};

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Post {
    pub(crate) version: u64,
    pub(crate) text: String,
}

pub(crate) const POST: Kind<Post> = Kind::new("post");
pub(crate) const COSTLY: Kind<Post> = Kind::new("costly").costly();
pub(crate) const ESSENTIAL: Kind<Post> = Kind::new("essential").essential();
pub(crate) const PERSONAL: Kind<Post> = Kind::new("personal").personal();

/// One Redis, with a prefix of this test's own.
pub(crate) struct Lab {
    pub(crate) config: Config,
}

impl Lab {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With settings of its own. Redis has plenty of time, since other tests keep the machine busy.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = names::config();
        leftovers::sweep(&config).await;
        config.cache.redis_timeout_ms = 10_000;
        config.cache.heartbeat_ms = 50;
        change(&mut config);
        Self { config }
    }

    pub(crate) async fn node(&self) -> Node {
        let node = self.node_with(|redis| redis).await;
        node.until_it_hears().await;
        node
    }

    /// One that never hears what others say.
    pub(crate) async fn deaf_node(&self) -> Node {
        self.node_with(Redis::without_messages).await
    }

    async fn node_with(&self, change: impl FnOnce(Redis) -> Redis) -> Node {
        let redis = Arc::new(change(Redis::connect(&self.config.redis).await.unwrap()));
        let cache = Cache::new(Arc::clone(&redis), &self.config.cache);
        let stop = CancellationToken::new();
        tokio::spawn(cache.heartbeat().run(stop.clone()));
        Node { cache, redis, stop }
    }
}

/// A node. Dropped, its heartbeat stops.
pub(crate) struct Node {
    pub(crate) cache: Cache,
    pub(crate) redis: Arc<Redis>,
    stop: CancellationToken,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Node {
    /// Until it trusts its memory.
    pub(crate) async fn until_it_hears(&self) {
        let (source, key) = (Source::new(), names::unique("probe"));
        eventually("the node trusts what it has in memory", async || {
            self.get(&POST, &key, &source).await.is_ok_and(|found| found.tier == Tier::Local)
        })
        .await;
    }

    pub(crate) async fn get(&self, kind: &Kind<Post>, key: &str, source: &Source) -> Result<Found<Post>, CacheError> {
        self.cache.get(kind, key, source.load()).await
    }

    /// The version that it answers.
    pub(crate) async fn version(&self, kind: &Kind<Post>, key: &str, source: &Source) -> u64 {
        self.get(kind, key, source).await.unwrap().value.map_or(0, |post| post.version)
    }

    pub(crate) async fn invalidate(&self, kind: &Kind<Post>, key: &str) -> Result<(), CacheError> {
        self.cache.invalidate(kind, &[key.to_owned()]).await
    }

    /// What Redis has of all shards: fields and values.
    pub(crate) async fn in_redis(&self, shards: u32) -> Vec<(String, String)> {
        self.of_parts(shards, |[values, ..]| values).await
    }

    /// Who has the right to load what: fields, and until when with whom.
    pub(crate) async fn locks(&self, shards: u32) -> Vec<(String, String)> {
        self.of_parts(shards, |[_, locks, ..]| locks).await
    }

    async fn of_parts(&self, shards: u32, which: impl Fn([String; 4]) -> String) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for shard in 0..shards {
            let key = which(self.redis.keys().cache_shard(shard));
            all.extend(self.redis.all_fields(&key).await.unwrap());
        }
        all
    }
}

/// What is cached: one value with a version; 0: there is no such thing.
#[derive(Clone)]
pub(crate) struct Source {
    version: Arc<AtomicU64>,
    loads: Arc<AtomicU64>,
    loading: Arc<AtomicI64>,
    loading_most: Arc<AtomicI64>,
    is_broken: Arc<watch::Sender<bool>>,
    is_open: Arc<watch::Sender<bool>>,
    text: Arc<str>,
}

type Loading = Pin<Box<dyn Future<Output = Result<Option<Post>, String>> + Send>>;

impl Source {
    /// Its first version is 1.
    pub(crate) fn new() -> Self {
        Self::of("a text")
    }

    pub(crate) fn of(text: &str) -> Self {
        Self {
            version: Arc::new(AtomicU64::new(1)),
            loads: Arc::default(),
            loading: Arc::default(),
            loading_most: Arc::default(),
            is_broken: Arc::new(watch::Sender::new(false)),
            is_open: Arc::new(watch::Sender::new(true)),
            text: text.into(),
        }
    }

    pub(crate) fn empty() -> Self {
        let source = Self::new();
        source.version.store(0, Ordering::SeqCst);
        source
    }

    /// Its value as of now, told only once the source is open. Counted.
    pub(crate) fn load(&self) -> impl FnOnce() -> Loading + Send + 'static {
        let source = self.clone();
        move || {
            Box::pin(async move {
                source.loads.fetch_add(1, Ordering::SeqCst);
                let loading = source.loading.fetch_add(1, Ordering::SeqCst) + 1;
                source.loading_most.fetch_max(loading, Ordering::SeqCst);
                let version = source.version.load(Ordering::SeqCst);
                source.is_open.subscribe().wait_for(|is_open| *is_open).await.unwrap();
                source.loading.fetch_sub(1, Ordering::SeqCst);
                if *source.is_broken.borrow() {
                    return Err("the source is broken".to_owned());
                }
                Ok((version > 0).then(|| Post { version, text: source.text.to_string() }))
            })
        }
    }

    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }

    /// The most that ever were loading at a time.
    pub(crate) fn loading_most(&self) -> i64 {
        self.loading_most.load(Ordering::SeqCst)
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    pub(crate) fn change(&self) -> u64 {
        self.version.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Loads begin, and do not end before it is opened.
    pub(crate) fn hold(&self) {
        self.is_open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.is_open.send_replace(true);
    }

    pub(crate) fn set_broken(&self, is_broken: bool) {
        self.is_broken.send_replace(is_broken);
    }

    /// Until so many loads have begun.
    pub(crate) async fn until_loads(&self, count: u64) {
        eventually("the loads have begun", async || self.loads() >= count).await;
    }
}

//! What happens in the cache, counted: for operators at once, for the metrics with each heartbeat.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::Counter;
use serde::Serialize;

/// Counts, and tells the metrics what is new.
pub(super) struct Counted {
    count: AtomicU64,
    told: AtomicU64,
    counter: Counter,
}

impl Counted {
    fn new(counter: Counter) -> Self {
        Self { count: AtomicU64::new(0), told: AtomicU64::new(0), counter }
    }

    pub(super) fn one(&self) {
        self.add(1);
    }

    pub(super) fn add(&self, more: u64) {
        self.count.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn tell(&self) {
        let count = self.count();
        self.counter.increment(count.saturating_sub(self.told.swap(count, Ordering::Relaxed)));
    }
}

/// One tier's.
pub(super) struct TierCounters {
    pub(super) hits: Counted,
    pub(super) misses: Counted,
    pub(super) stale: Counted,
    pub(super) evictions: Counted,
}

impl TierCounters {
    fn new(tier: &'static str) -> Self {
        Self {
            hits: Counted::new(metrics::counter!("onrush_cache_hits_total", "tier" => tier)),
            misses: Counted::new(metrics::counter!("onrush_cache_misses_total", "tier" => tier)),
            stale: Counted::new(metrics::counter!("onrush_cache_stale_total", "tier" => tier)),
            evictions: Counted::new(metrics::counter!("onrush_cache_evictions_total", "tier" => tier)),
        }
    }

    fn all(&self) -> [&Counted; 4] {
        [&self.hits, &self.misses, &self.stale, &self.evictions]
    }
}

/// A node's.
pub(super) struct Counters {
    pub(super) local: TierCounters,
    pub(super) redis: TierCounters,
    pub(super) loads: Counted,
    pub(super) load_failures: Counted,
    /// Loads whose permit was gone when they were done.
    pub(super) fills_refused: Counted,
    /// Entries that were too large to be kept.
    pub(super) too_large: Counted,
    /// Entries that Redis had no memory for, whoever has used it up.
    pub(super) no_memory: Counted,
    /// Moments up to which messages may have been missed.
    pub(super) gaps: Counted,
    /// Times that a shard of Redis began to count as away.
    pub(super) away: Counted,
    /// Invalidations that no more could be remembered while Redis was away.
    pub(super) forgotten: Counted,
    pub(super) refused_away: Counted,
    pub(super) refused_bulkhead: Counted,
    pub(super) refused_loads: Counted,
    pub(super) refused_wait: Counted,
}

impl Counters {
    pub(super) fn new() -> Self {
        let refused =
            |reason: &'static str| Counted::new(metrics::counter!("onrush_cache_refused_total", "reason" => reason));
        Self {
            local: TierCounters::new("local"),
            redis: TierCounters::new("redis"),
            loads: Counted::new(metrics::counter!("onrush_cache_loads_total", "tier" => "source")),
            load_failures: Counted::new(metrics::counter!("onrush_cache_load_failures_total", "tier" => "source")),
            fills_refused: Counted::new(metrics::counter!("onrush_cache_fills_refused_total")),
            too_large: Counted::new(metrics::counter!("onrush_cache_too_large_total")),
            no_memory: Counted::new(metrics::counter!("onrush_cache_no_memory_total")),
            gaps: Counted::new(metrics::counter!("onrush_cache_gaps_total")),
            away: Counted::new(metrics::counter!("onrush_cache_away_total")),
            forgotten: Counted::new(metrics::counter!("onrush_cache_invalidations_forgotten_total")),
            refused_away: refused("away"),
            refused_bulkhead: refused("bulkhead"),
            refused_loads: refused("loads"),
            refused_wait: refused("wait"),
        }
    }

    /// Tells the metrics.
    pub(super) fn tell(&self) {
        let others = [
            &self.loads,
            &self.load_failures,
            &self.fills_refused,
            &self.too_large,
            &self.no_memory,
            &self.gaps,
            &self.away,
            &self.forgotten,
            &self.refused_away,
            &self.refused_bulkhead,
            &self.refused_loads,
            &self.refused_wait,
        ];
        self.local.all().into_iter().chain(self.redis.all()).chain(others).for_each(Counted::tell);
    }
}

/// How a tier stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TierStats {
    /// Answers that came from it, since this node has started.
    pub hits: u64,
    /// Times that it did not have what was asked for, since this node has started.
    pub misses: u64,
    /// Answers that were marked stale, since this node has started.
    pub stale: u64,
    /// Entries that went to make room for others: in the process since this node has started, in Redis by its fills.
    pub evictions: u64,
    /// Bytes that it takes, about.
    pub bytes: u64,
    /// Entries in it.
    pub entries: u64,
}

/// How the cache stands, as one node sees it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CacheStats {
    /// The process.
    pub local: TierStats,
    /// Redis; bytes and entries are those of all nodes.
    pub redis: TierStats,
    /// Loads from the sources, since this node has started.
    pub loads: u64,
    /// Parts of Redis that count as away.
    pub shards_away: u64,
    /// What is asked for most, most first.
    pub hottest: Vec<HotKey>,
}

/// One entry that is asked for often.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct HotKey {
    /// Its kind and key.
    #[schema(example = "post:42")]
    pub key: String,
    /// About how often it was asked for lately.
    #[schema(example = 1200)]
    pub asked: u32,
}

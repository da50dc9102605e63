//! Has somebody looked this up already? Two tiers, the process before Redis, in front of the source of each kind of thing.
//!
//! - One miss loads once: in the process always, across nodes where the kind is costly.
//! - What was loaded before an invalidation is never written after it, in neither tier.
//! - A node that may have missed invalidations does not trust its memory.
//! - With Redis away the process' entries serve on, marked stale; only essential kinds may go to their source, a few at a
//!   time.
//!
//! The way of a question: memory (`memory`, if `liveness` holds), then Redis (`shard`, where reads travel together in a
//! `batcher`), then the source (`load`).

mod batcher;
mod bounded;
mod envelope;
mod found;
mod heartbeat;
mod kind;
mod liveness;
mod load;
mod memory;
mod message;
mod names;
mod node;
mod question;
mod reads;
mod recent;
mod shard;
mod sketch;
mod stats;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::join_all;

use crate::clock;
use crate::config;
use crate::redis::{Redis, RedisError};
pub use bounded::Bounded;
pub use envelope::{Packing, Unpacked};
pub use found::{CacheError, Found, Tier};
pub use heartbeat::{Heartbeat, HeartbeatTick};
pub use kind::{Entry, Kind};
use load::LoadReason;
use names::Id;
use node::Node;
use question::{Answer, Anything, Load, Loaded, Question};
pub use recent::Recent;
use shard::Mode;
pub use stats::{CacheStats, HotKey, TierStats};

/// The one cache of a node. Clones are the same one.
#[derive(Clone)]
pub struct Cache {
    node: Arc<Node>,
}

impl Cache {
    /// Nothing is in memory yet, and nothing in it is trusted before its heartbeat is heard: see [`Cache::heartbeat`].
    #[must_use]
    pub fn new(redis: Arc<Redis>, settings: &config::Cache) -> Self {
        Self { node: Arc::new(Node::new(redis, settings)) }
    }

    /// The loop that this cache needs: one, for as long as it is used.
    #[must_use]
    pub fn heartbeat(&self) -> Heartbeat {
        Heartbeat::new(Arc::clone(&self.node))
    }

    /// The entry, from where it is soonest found; otherwise from its source, which answers `None` if there is no such
    /// thing. A load goes on although whoever asked has gone away; while the cache is bypassed each asker loads by itself.
    /// A key with control characters is never kept.
    pub async fn get<T, E, Load>(
        &self,
        kind: &Kind<T>,
        key: &str,
        load: impl FnOnce() -> Load + Send + 'static,
    ) -> Result<Found<T>, CacheError>
    where
        T: Entry,
        E: std::fmt::Display,
        Load: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        let node = &self.node;
        let id = node.names.id(kind.name, key);
        let asked = node.sketch.add(id);
        if kind.is_everyones && !node.is_bypassed() {
            let now_us = clock::uptime_us();
            if let Some(held) = node.fresh(id, now_us)
                && let Some(found) = found(held.value.clone(), false, Tier::Local)
            {
                node.counters.local.hits.one();
                if node.is_turn(&held, asked, now_us) {
                    let (question, load) = self.question(kind, key, id, load);
                    node.sketch.note(id, question.field.clone());
                    tokio::spawn(Arc::clone(node).look_again(question, load));
                }
                return Ok(found);
            }
            node.counters.local.misses.one();
        }
        // Apart, since it is large: who finds it in memory would carry it along each time.
        let (question, load) = self.question(kind, key, id, load);
        let Answer { value, is_stale, tier } = Box::pin(node.ask(question, load, asked)).await?;
        found(value, is_stale, tier).ok_or(CacheError::Refused("two kinds of entries have one name"))
    }

    /// Loads the entry anew, whatever is kept, and keeps that; other nodes forget what they have.
    pub async fn refresh<T, E, Load>(
        &self,
        kind: &Kind<T>,
        key: &str,
        load: impl FnOnce() -> Load + Send + 'static,
    ) -> Result<Found<T>, CacheError>
    where
        T: Entry,
        E: std::fmt::Display,
        Load: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        let node = Arc::clone(&self.node);
        let id = node.names.id(kind.name, key);
        let (question, load) = self.question(kind, key, id, load);
        let Ok(permit) = Arc::clone(&node.loads).try_acquire_owned() else {
            node.counters.refused_loads.one();
            return Err(CacheError::Refused("too many loads are under way"));
        };
        let loading = tokio::spawn(async move {
            // What others are loading may be older than what is loaded from now on.
            node.memory.forget(question.id);
            let seen = node.memory.counter(question.id);
            let outcome = node.fetch(question, load, LoadReason { mode: Mode::Steal, seen, is_change: true }).await;
            drop(permit);
            outcome
        });
        let given_up = |_| CacheError::Source("the load was given up".into());
        let Answer { value, is_stale, tier } = loading.await.map_err(given_up)??;
        found(value, is_stale, tier).ok_or(CacheError::Refused("two kinds of entries have one name"))
    }

    /// What is kept of these is not so any more: call it after the change is committed. No node serves it afterwards (others
    /// within a moment), and no load that began before puts it back. Fails if Redis is away: then entries may be served
    /// until they expire, and the caller has to see to it that this is called again (this node tells Redis when it is
    /// back, if it lives that long).
    pub async fn invalidate<T>(&self, kind: &Kind<T>, keys: &[String]) -> Result<(), CacheError> {
        let node = &self.node;
        let forget = || keys.iter().for_each(|key| node.memory.forget(node.names.id(kind.name, key)));
        // Before, so that it is gone even where Redis is away; after, since it may have been read from there meanwhile.
        forget();
        let mut by_shard: Vec<Vec<String>> = vec![Vec::new(); node.shards.len()];
        for key in keys {
            let field = names::field(kind.name, key);
            by_shard[names::shard_of(&field, node.shards.len())].push(field);
        }
        let telling = node.shards.iter().zip(by_shard).filter(|(_, fields)| !fields.is_empty());
        let told = join_all(telling.map(|(shard, fields)| shard.invalidate(fields))).await;
        forget();
        let all: Result<Vec<()>, _> = told.into_iter().collect();
        all.map(drop).map_err(|_away| CacheError::Refused("the cache in Redis is away"))
    }

    /// Has every read of every node go to its source, or through the cache again, within a heartbeat.
    pub async fn set_bypass(&self, is_bypassed: bool) -> Result<(), RedisError> {
        let value = if is_bypassed { "1" } else { "0" };
        let key = self.node.redis.keys().cache_switch();
        self.node.redis.set_fields(&key, vec![("bypass".to_owned(), value.to_owned())]).await?;
        self.node.is_bypassed.store(is_bypassed, Ordering::Relaxed);
        Ok(())
    }

    /// Whether this node's reads go to their sources.
    #[must_use]
    pub fn is_bypassed(&self) -> bool {
        self.node.is_bypassed()
    }

    /// How the cache stands.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let node = &self.node;
        let stats = |tier: &stats::TierCounters, bytes, entries| TierStats {
            hits: tier.hits.count(),
            misses: tier.misses.count(),
            stale: tier.stale.count(),
            evictions: tier.evictions.count(),
            bytes,
            entries,
        };
        let (bytes, entries) = node.memory.size();
        let [redis_bytes, redis_entries] = node.redis_size.each_ref().map(|size| size.load(Ordering::Relaxed));
        let hottest = node.sketch.hottest().into_iter().map(|(key, asked)| HotKey { key, asked }).collect();
        CacheStats {
            local: stats(&node.counters.local, bytes, entries),
            redis: stats(&node.counters.redis, redis_bytes, redis_entries),
            loads: node.counters.loads.count(),
            shards_away: node.shards.iter().filter(|shard| shard.is_away()).count() as u64,
            hottest,
        }
    }

    fn question<T, E, Loading>(
        &self,
        kind: &Kind<T>,
        key: &str,
        id: Id,
        load: impl FnOnce() -> Loading + Send + 'static,
    ) -> (Question, Load)
    where
        T: Entry,
        E: std::fmt::Display,
        Loading: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        let load: Load = Box::new(|| {
            let loading = load();
            Box::pin(async move {
                let Some(value) = loading.await.map_err(|error| error.to_string())? else { return Ok(None) };
                let json = serde_json::to_vec(&value).map_err(|error| error.to_string())?;
                Ok(Some(Loaded { value: Arc::new(value), json }))
            })
        });
        let question = Question {
            terms: kind.terms(&self.node.settings),
            id,
            field: names::field(kind.name, key),
            decode: |json| Some(Arc::new(serde_json::from_slice::<T>(json).ok()?) as Anything),
        };
        (question, load)
    }
}

/// The answer with its type. `None`: it is of another one.
fn found<T: Entry>(value: Option<Anything>, is_stale: bool, tier: Tier) -> Option<Found<T>> {
    let value = value.map(Arc::downcast::<T>).transpose().ok()?;
    Some(Found { value, is_stale, tier })
}

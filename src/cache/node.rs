//! One node's cache: where an answer is looked for, in which order, and what is put into memory on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use metrics::Histogram;
use tokio::sync::Semaphore;

use super::envelope::{Kept, Packing};
use super::found::{CacheError, Tier};
use super::kind::Terms;
use super::liveness::Liveness;
use super::memory::{Held, Memory};
use super::message;
use super::names::{self, Id, Names};
use super::question::{Answer, Anything, Load, Outcome, Question};
use super::shard::{Mode, Shard};
use super::sketch::Sketch;
use super::stats::Counters;
use crate::clock;
use crate::config;
use crate::redis::Redis;

/// How long nobody else looks a hot entry up again whose turn somebody has taken.
const TURN_US: u64 = 1_000_000;

/// What all clones of a cache share.
pub(super) struct Node {
    /// Tells what this node says from what others do.
    pub(super) name: Arc<str>,
    pub(super) redis: Arc<Redis>,
    pub(super) settings: config::Cache,
    pub(super) names: Names,
    pub(super) sketch: Sketch,
    pub(super) memory: Arc<Memory>,
    pub(super) liveness: Liveness,
    pub(super) shards: Box<[Arc<Shard>]>,
    pub(super) packing: Packing,
    pub(super) counters: Arc<Counters>,
    pub(super) load_seconds: Histogram,
    pub(super) loads: Arc<Semaphore>,
    pub(super) bulkhead: Semaphore,
    pub(super) is_bypassed: AtomicBool,
    /// Bytes and entries in Redis, when they were last read.
    pub(super) redis_size: [AtomicU64; 2],
}

impl Node {
    pub(super) fn new(redis: Arc<Redis>, settings: &config::Cache) -> Self {
        let (counters, name) = (Arc::new(Counters::new()), Arc::from(format!("{:016x}", rand::random::<u64>())));
        Self {
            names: Names::default(),
            sketch: Sketch::new(),
            memory: Memory::new(settings.local_bytes_max, &counters),
            liveness: Liveness::new(settings),
            shards: (0..settings.shards)
                .map(|number| Shard::new(&redis, number, settings, (&name, &counters)))
                .collect(),
            packing: Packing::new(settings),
            counters,
            load_seconds: metrics::histogram!("onrush_cache_load_seconds"),
            loads: Arc::new(Semaphore::new(settings.loads_in_flight_max)),
            bulkhead: Semaphore::new(settings.bulkhead_max),
            is_bypassed: AtomicBool::new(false),
            redis_size: [AtomicU64::new(0), AtomicU64::new(0)],
            settings: settings.clone(),
            name,
            redis,
        }
    }

    pub(super) fn shard(&self, field: &str) -> &Arc<Shard> {
        &self.shards[names::shard_of(field, self.shards.len())]
    }

    pub(super) fn is_bypassed(&self) -> bool {
        self.is_bypassed.load(Ordering::Relaxed)
    }

    /// What is in memory, is fresh and can be trusted.
    pub(super) fn fresh(&self, id: Id, now_us: u64) -> Option<Arc<Held>> {
        let held = self.memory.get(id)?;
        (now_us < held.fresh_until_us && self.liveness.holds(held.asked_us, now_us)).then_some(held)
    }

    pub(super) fn is_hot(&self, asked: u32) -> bool {
        asked >= self.settings.hot_min
    }

    /// Whether a hot entry is to be looked up again now, by the caller.
    pub(super) fn is_turn(&self, held: &Held, asked: u32, now_us: u64) -> bool {
        self.is_hot(asked) && held.take_turn(now_us, TURN_US)
    }

    /// Looks an entry up again that is in memory and hot, and loads it if its time in Redis is nearly over.
    pub(super) async fn look_again(self: Arc<Self>, question: Question, load: Load) {
        let (seen, asked_us) = (self.memory.counter(question.id), clock::uptime_us());
        let Ok(found) = self.shard(&question.field).look_up(question.id, &question.field).await else { return };
        let made_at_ms = found.as_ref().map_or(0, |kept| kept.made_at_ms);
        match found.filter(|kept| kept.fresh_ms() > 0 && !kept.is_over(self.settings.refresh_percent)) {
            Some(kept) => drop(self.take(&question, &kept, seen, asked_us)),
            None => self.load_in_background(question, load, made_at_ms),
        }
    }

    /// Memory has nothing to say: Redis, then the source.
    #[tracing::instrument(level = "debug", skip_all, fields(field = question.field))]
    pub(super) async fn ask(self: &Arc<Self>, question: Question, load: Load, asked: u32) -> Outcome {
        if self.is_bypassed() || question.field.contains(message::SEPARATOR) {
            return self.ask_straight(load).await;
        }
        if asked == self.settings.hot_min {
            self.sketch.note(question.id, question.field.clone());
        }
        let (seen, asked_us) = (self.memory.counter(question.id), clock::uptime_us());
        let Ok(found) = self.shard(&question.field).look_up(question.id, &question.field).await else {
            return self.ask_without_redis(question, load).await;
        };
        // Somebody who asked at the same moment may have put it in.
        let now_us = clock::uptime_us();
        if question.terms.is_everyones
            && let Some(held) = self.fresh(question.id, now_us).filter(|held| held.asked_us >= asked_us)
        {
            self.counters.redis.hits.one();
            return Ok(Answer { value: held.value.clone(), is_stale: false, tier: Tier::Redis });
        }
        let Some(kept) = found.filter(|kept| kept.fresh_ms() > 0) else {
            self.counters.redis.misses.one();
            return self.single_flight(question, load, Mode::Miss).await;
        };
        match self.take(&question, &kept, seen, asked_us) {
            Some(answer) => {
                self.look_after(question, load, &kept, asked);
                Ok(answer)
            }
            None => self.single_flight(question, load, Mode::Miss).await,
        }
    }

    /// Of what is hot and nearly over in Redis a new one is loaded in the background.
    fn look_after(self: &Arc<Self>, question: Question, load: Load, kept: &Kept, asked: u32) {
        if self.is_hot(asked) && kept.is_over(self.settings.refresh_percent) {
            self.load_in_background(question, load, kept.made_at_ms);
        }
    }

    /// What is in memory, trusted or not; or from the source, if that may be asked. What is essential is looked up anew once
    /// its time is over: an invalidation that was missed meanwhile has no effect for longer than that. If that fails, too,
    /// what is in memory is better than nothing.
    async fn ask_without_redis(self: &Arc<Self>, question: Question, load: Load) -> Outcome {
        let (now_us, terms) = (clock::uptime_us(), question.terms);
        let held = if terms.is_everyones { self.memory.get(question.id) } else { None };
        let held = held.filter(|held| now_us < held.kept_until_us);
        let is_young = |held: &Arc<Held>| {
            let beyond_us = if held.value.is_some() { terms.stale_ms * 1_000 } else { 0 };
            now_us + beyond_us < held.kept_until_us
        };
        let as_it_is = |held: Arc<Held>| {
            self.counters.local.stale.one();
            Answer { value: held.value.clone(), is_stale: true, tier: Tier::Local }
        };
        match (held, terms.is_essential) {
            (Some(held), false) => Ok(as_it_is(held)),
            (Some(held), true) if is_young(&held) => Ok(as_it_is(held)),
            (held, true) => {
                let loaded = self.single_flight(question, load, Mode::Miss).await;
                loaded.or_else(|error| held.map(as_it_is).ok_or(error))
            }
            (None, false) => {
                self.counters.refused_away.one();
                Err(CacheError::Refused("the cache in Redis is away"))
            }
        }
    }

    /// Past the cache: nothing is looked up, shared or kept, since it is what is suspected. Only the number of loads has
    /// its limit.
    async fn ask_straight(&self, load: Load) -> Outcome {
        let Ok(_permit) = self.loads.try_acquire() else {
            self.counters.refused_loads.one();
            return Err(CacheError::Refused("too many loads are under way"));
        };
        let loaded = self.ask_source(load).await.map_err(CacheError::Source)?;
        Ok(Answer { value: loaded.map(|loaded| loaded.value), is_stale: false, tier: Tier::Source })
    }

    /// How long an entry is fresh, and how long it is kept beyond that, in ms. "There is no such thing" is not.
    pub(super) fn times(&self, terms: &Terms, is_there: bool) -> (u64, u64) {
        if is_there {
            (self.jittered(terms.ttl_ms), terms.stale_ms)
        } else {
            (self.jittered(terms.ttl_ms.min(self.settings.absent_ttl_ms)), 0)
        }
    }

    /// So much, and a little more, at random, so that what came together does not go together.
    fn jittered(&self, ms: u64) -> u64 {
        let more_max = ms.saturating_mul(self.settings.jitter_percent) / 100;
        ms + rand::random_range(0..=more_max)
    }

    /// Puts what everybody may read into memory.
    pub(super) fn keep(
        &self,
        question: &Question,
        value: Option<Anything>,
        json_bytes: usize,
        fresh_ms: u64,
        seen: u64,
        asked_us: u64,
    ) {
        if !question.terms.is_everyones {
            return;
        }
        let here_ms = self.jittered(self.settings.local_ttl_ms).min(fresh_ms);
        let stale_ms = if value.is_some() { question.terms.stale_ms } else { 0 };
        let held = Held {
            value,
            json_bytes,
            asked_us,
            fresh_until_us: asked_us + here_ms * 1_000,
            kept_until_us: asked_us + (fresh_ms + stale_ms) * 1_000,
            due_us: AtomicU64::new(asked_us + here_ms * 10 * self.settings.refresh_percent),
        };
        self.memory.keep(question.id, seen, held);
    }
}

//! How does an entry come from its source? Asked by one, kept by whoever holds the permit, told to all who wait.
//!
//! - The right to write is a lock in Redis, taken before the load begins: an invalidation, or somebody who takes the lock
//!   over, ends it.
//! - Of costly kinds the others wait for whoever has the lock: until it is told that the entry is there, or the lease ends,
//!   and `wait_ms_max` in all. Of the others they load too, and keep nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::envelope::{Kept, Unpacked};
use super::found::{CacheError, Tier};
use super::memory::{Begun, Join};
use super::message;
use super::node::Node;
use super::question::{Answer, Anything, Load, Loaded, Outcome, Question};
use super::shard::{Entered, Fill, Mode};
use crate::clock;

/// The way in which a load was begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct LoadReason {
    pub(super) mode: Mode,
    /// The memory's counter before it began.
    pub(super) seen: u64,
    /// Other nodes are to forget what they have.
    pub(super) is_change: bool,
}

impl Node {
    /// Joins the load of this entry that is under way, or begins one, which goes on although the asker has gone away.
    pub(super) async fn single_flight(self: &Arc<Self>, question: Question, load: Load, mode: Mode) -> Outcome {
        let permit = Arc::clone(&self.loads).try_acquire_owned().ok();
        let mut outcome = match (self.memory.join(question.id, permit.is_some()), permit) {
            (Join::Joined(outcome), _) => outcome,
            (Join::Begun(begun), Some(permit)) => {
                let outcome = begun.tell.subscribe();
                tokio::spawn(Arc::clone(self).load_once(question, load, (mode, begun, permit)));
                outcome
            }
            (Join::Begun(_) | Join::Refused, _) => {
                self.counters.refused_loads.one();
                return Err(CacheError::Refused("too many loads are under way"));
            }
        };
        let told = outcome.wait_for(Option::is_some).await.ok().and_then(|told| told.clone());
        told.unwrap_or_else(|| Err(CacheError::Source("the load was given up".into())))
    }

    async fn load_once(
        self: Arc<Self>,
        question: Question,
        load: Load,
        (mode, begun, permit): (Mode, Begun, OwnedSemaphorePermit),
    ) {
        let reason = LoadReason { mode, seen: begun.seen, is_change: false };
        let outcome = self.fetch(question, load, reason).await;
        let tell = begun.tell.clone();
        // Whoever comes from now on finds it in a tier.
        drop(begun);
        tell.send_replace(Some(outcome));
        drop(permit);
    }

    /// Looks after a hot entry before its time is over, unless somebody is at it. `load` is only used if it is due in Redis.
    pub(super) fn load_in_background(self: &Arc<Self>, question: Question, load: Load, made_at_ms: i64) {
        let Ok(permit) = Arc::clone(&self.loads).try_acquire_owned() else { return };
        if let Join::Begun(begun) = self.memory.join(question.id, true) {
            let mode = Mode::Refresh { made_at_ms };
            tokio::spawn(Arc::clone(self).load_once(question, load, (mode, begun, permit)));
        }
    }

    /// Loads it, if nobody else has meanwhile.
    #[tracing::instrument(level = "debug", skip_all, fields(field = question.field))]
    pub(super) async fn fetch(self: &Arc<Self>, question: Question, load: Load, mut reason: LoadReason) -> Outcome {
        let shard = self.shard(&question.field);
        let owner = format!("{:016x}", rand::random::<u64>());
        let wait_until = Instant::now() + Duration::from_millis(self.settings.wait_ms_max);
        loop {
            if shard.is_away() {
                return self.fetch_without_redis(&question, load, reason).await;
            }
            // Before it is asked, so that nothing is missed that is said in between.
            let waiting = question.terms.is_costly.then(|| self.memory.wait(question.id));
            let asked_us = clock::uptime_us();
            let (kept, ends_in) = match shard.enter(reason.mode, &question.field, &owner).await {
                Err(_away) => return self.fetch_without_redis(&question, load, reason).await,
                Ok(Entered::Load(kept)) => return self.load_with_permit(&question, load, reason, (&owner, kept)).await,
                Ok(Entered::Found(kept)) => {
                    if let Some(answer) = self.take(&question, &kept, reason.seen, asked_us) {
                        return Ok(answer);
                    }
                    // Another program's: written anew.
                    reason.mode = Mode::Steal;
                    continue;
                }
                Ok(Entered::Busy { kept, ends_in }) => (kept, ends_in),
            };
            if let Some(answer) = kept.as_ref().filter(|kept| kept.fresh_ms() > 0).and_then(|kept| {
                // Somebody else looks after it already.
                self.take(&question, kept, reason.seen, asked_us)
            }) {
                return Ok(answer);
            }
            reason.mode = Mode::Miss;
            let Some(waiting) = waiting else { return self.load_without_permit(&question, load, reason, kept).await };
            let left = wait_until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self.stale(&question, kept).ok_or_else(|| {
                    self.counters.refused_wait.one();
                    CacheError::Refused("another node has been loading this for too long")
                });
            }
            let _looks_in_any_case = tokio::time::timeout(ends_in.min(left), waiting.woken()).await;
        }
    }

    /// What Redis has, put into memory. `None`: it is another program's.
    pub(super) fn take(&self, question: &Question, kept: &Kept, seen: u64, asked_us: u64) -> Option<Answer> {
        let (value, json_bytes) = self.decode(question, kept)?;
        self.counters.redis.hits.one();
        self.keep(question, value.clone(), json_bytes, kept.fresh_ms(), seen, asked_us);
        Some(Answer { value, is_stale: false, tier: Tier::Redis })
    }

    fn decode(&self, question: &Question, kept: &Kept) -> Option<(Option<Anything>, usize)> {
        match self.packing.unpack(kept.payload())? {
            Unpacked::Absent => Some((None, 0)),
            Unpacked::Json(json) => Some((Some((question.decode)(&json)?), json.len())),
        }
    }

    /// What Redis had kept for when nothing better can be said.
    fn stale(&self, question: &Question, kept: Option<Kept>) -> Option<Answer> {
        let kept = kept.filter(|kept| kept.is_of_use(question.terms.stale_ms))?;
        let (value, _) = self.decode(question, &kept)?;
        self.counters.redis.stale.one();
        Some(Answer { value, is_stale: true, tier: Tier::Redis })
    }

    async fn load_with_permit(
        &self,
        question: &Question,
        load: Load,
        reason: LoadReason,
        (owner, kept): (&str, Option<Kept>),
    ) -> Outcome {
        let (shard, asked_us) = (self.shard(&question.field), clock::uptime_us());
        let loaded = tokio::select! {
            loaded = self.ask_source(load) => loaded,
            () = shard.keep_entered(&question.field, owner) => unreachable!("it is kept for as long as it is wanted"),
        };
        let waits = question.terms.is_costly;
        let wake = || if waits { message::filled(&question.field) } else { String::new() };
        let payload = match &loaded {
            Ok(loaded) => self.packing.pack(loaded.as_ref().map(|loaded| &loaded.json[..])),
            Err(_) => None,
        };
        let Some(payload) = payload else {
            shard.release(&question.field, owner, wake()).await;
            return loaded
                .map(|loaded| self.too_large(loaded))
                .or_else(|error| self.stale(question, kept).ok_or(CacheError::Source(error)));
        };
        let loaded = loaded.map_err(CacheError::Source)?;
        let (fresh_ms, stale_ms) = self.times(&question.terms, loaded.is_some());
        let message =
            if reason.is_change { message::gone(&self.name, std::slice::from_ref(&question.field)) } else { wake() };
        let fill = Fill { field: &question.field, owner, payload, fresh_ms, stale_ms, message };
        // Where it is not known whether Redis has it, memory may: an invalidation would be heard, or nothing trusted.
        let is_ours = match shard.fill(fill).await {
            Ok(is_ours) => is_ours,
            Err(_away) => {
                self.take_back(question, reason).await;
                true
            }
        };
        if reason.is_change {
            // Somebody may have found the older one in Redis meanwhile.
            self.memory.forget(question.id);
        }
        Ok(self.answer(question, loaded, is_ours.then_some((fresh_ms, reason.seen, asked_us))))
    }

    /// For kinds that are cheap to load: somebody else keeps it.
    async fn load_without_permit(
        &self,
        question: &Question,
        load: Load,
        reason: LoadReason,
        kept: Option<Kept>,
    ) -> Outcome {
        let asked_us = clock::uptime_us();
        match self.ask_source(load).await {
            Ok(loaded) => {
                let (fresh_ms, _) = self.times(&question.terms, loaded.is_some());
                Ok(self.answer(question, loaded, Some((fresh_ms, reason.seen, asked_us))))
            }
            Err(error) => self.stale(question, kept).ok_or(CacheError::Source(error)),
        }
    }

    /// Memory has nothing, and Redis is away: only what is essential, and a few at a time.
    async fn fetch_without_redis(&self, question: &Question, load: Load, reason: LoadReason) -> Outcome {
        self.take_back(question, reason).await;
        if !question.terms.is_essential {
            self.counters.refused_away.one();
            return Err(CacheError::Refused("the cache in Redis is away"));
        }
        let wait_max = Duration::from_millis(self.settings.bulkhead_wait_ms_max);
        let Ok(Ok(_turn)) = tokio::time::timeout(wait_max, self.bulkhead.acquire()).await else {
            self.counters.refused_bulkhead.one();
            return Err(CacheError::Refused("the cache in Redis is away, and too many have to be loaded without it"));
        };
        self.load_without_permit(question, load, reason, None).await
    }

    /// What was to be replaced in Redis must not be found there when it is back.
    async fn take_back(&self, question: &Question, reason: LoadReason) {
        if reason.is_change {
            let _remembered = self.shard(&question.field).invalidate(vec![question.field.clone()]).await;
        }
    }

    /// The source, timed.
    pub(super) async fn ask_source(&self, load: Load) -> Result<Option<Loaded>, String> {
        self.counters.loads.one();
        let began = Instant::now();
        let loaded = load().await;
        self.load_seconds.record(began.elapsed().as_secs_f64());
        if let Err(error) = &loaded {
            self.counters.load_failures.one();
            tracing::debug!(error, "a source failed");
        }
        loaded
    }

    fn too_large(&self, loaded: Option<Loaded>) -> Answer {
        self.counters.too_large.one();
        Answer { value: loaded.map(|loaded| loaded.value), is_stale: false, tier: Tier::Source }
    }

    /// What was loaded, put into memory where it may be: fresh for so long, as of so.
    fn answer(&self, question: &Question, loaded: Option<Loaded>, keep: Option<(u64, u64, u64)>) -> Answer {
        let json_bytes = loaded.as_ref().map_or(0, |loaded| loaded.json.len());
        let value = loaded.map(|loaded| loaded.value);
        if let Some((fresh_ms, seen, asked_us)) = keep.filter(|_| json_bytes <= self.settings.value_bytes_max) {
            self.keep(question, value.clone(), json_bytes, fresh_ms, seen, asked_us);
        }
        Answer { value, is_stale: false, tier: Tier::Source }
    }
}

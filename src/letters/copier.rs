//! From the ledger's topic of dead letters to their table: a topic can neither be paged by id nor told what was replayed.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::letter::Headers;
use super::{LettersError, rows};
use crate::config::{self, Config};
use crate::database::Database;
use crate::kafka::{Consumer, ensure_dead_letters_topic};

/// How often a copier that has nothing to do counts what waits.
const COUNT_EVERY: Duration = Duration::from_secs(2);

/// Copies the ledger's dead letters. One a node; several share the partitions.
pub struct Copier {
    database: Database,
    kafka: config::Kafka,
    copy_max: usize,
    retry: Duration,
    consumer: Option<Consumer>,
}

impl Copier {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(database: Database, config: &Config) -> Self {
        Self {
            database,
            kafka: config.kafka.clone(),
            copy_max: config.dead_letters.copy_max,
            retry: Duration::from_millis(config.ledger.retry_ms),
            consumer: None,
        }
    }

    /// Copies until it is told to stop, and leaves the group then.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            match self.tick().await {
                Ok(0) => {
                    self.show_waiting().await;
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = self.arrival() => {}
                        () = sleep(COUNT_EVERY) => {}
                    }
                }
                Ok(_) => self.show_waiting().await,
                Err(error) => {
                    tracing::warn!(%error, "dead letters stay in Kafka for now");
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = sleep(self.retry) => {}
                    }
                }
            }
        }
        self.close().await;
    }

    /// Copies what has arrived, and lets its offsets be committed. Answers how many records that were.
    pub async fn tick(&mut self) -> Result<usize, LettersError> {
        let consumer = if let Some(consumer) = &self.consumer {
            consumer
        } else {
            ensure_dead_letters_topic(&self.kafka).await?;
            self.consumer.insert(Consumer::join_dead_letters(&self.kafka, self.copy_max)?)
        };
        let Some(taken) = consumer.take(self.copy_max) else { return Ok(0) };
        let topic = self.kafka.dead_letters_topic();
        // The ledger is no lane, whatever somebody has put there.
        let headers = |record| Headers { lane: None, ..Headers::read(&topic, record) };
        let letters: Vec<_> = taken.records().iter().map(|record| (headers(record), record)).collect();
        rows::keep(&self.database, &topic, &letters).await?;
        let count = taken.records().len();
        taken.written();
        Ok(count)
    }

    /// Commits what was copied and leaves the group.
    pub async fn close(mut self) {
        if let Some(consumer) = self.consumer.take() {
            consumer.close().await;
        }
    }

    async fn arrival(&self) {
        match &self.consumer {
            Some(consumer) => consumer.arrival().await,
            None => std::future::pending().await,
        }
    }

    async fn show_waiting(&self) {
        match count_waiting(&self.database).await {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and exact up to 2^53")]
            Ok(waiting) => metrics::gauge!("onrush_ledger_dead_letters_waiting").set(waiting as f64),
            Err(error) => tracing::debug!(%error, "counting dead letters"),
        }
    }
}

/// How many wait for an operator.
async fn count_waiting(database: &Database) -> Result<u64, sqlx::Error> {
    let waiting: i64 =
        sqlx::query_scalar("SELECT count(*) FROM dead_letters WHERE state = 'waiting'").fetch_one(database).await?;
    Ok(waiting.unsigned_abs())
}

//! From the ledger's topic of dead letters to their table: a topic can neither be paged by id nor told what was replayed.
//!
//! Before that each of them is tried again `dead_retries_max` times: after a pause it goes back to the topic of facts, and so
//! through the writer like every fact, throttled, with nobody behind it. It says how often that was.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::record::Headers;
use super::{DeadLettersError, rows};
use crate::config::{self, Config};
use crate::database::Database;
use crate::kafka::{Consumer, Outgoing, Producer, Record, Taken, ensure_dead_letters_topic};

/// How often a copier that has nothing to do counts what waits.
const COUNT_EVERY: Duration = Duration::from_secs(2);

/// Copies the ledger's dead letters. One a node; several share the partitions.
pub struct Ingester {
    database: Database,
    producer: Arc<Producer>,
    kafka: config::Kafka,
    settings: config::DeadLetters,
    retry: Duration,
    consumer: Option<Consumer>,
}

impl Ingester {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(database: Database, producer: Arc<Producer>, config: &Config) -> Self {
        Self {
            database,
            producer,
            kafka: config.kafka.clone(),
            settings: config.dead_letters.clone(),
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

    /// Copies what has arrived or sends it back to be tried again, and lets its offsets be committed. Answers how many records
    /// that were.
    pub async fn tick(&mut self) -> Result<usize, DeadLettersError> {
        let consumer = if let Some(consumer) = &self.consumer {
            consumer
        } else {
            ensure_dead_letters_topic(&self.kafka).await?;
            self.consumer.insert(Consumer::join_dead_letters(&self.kafka, self.settings.copy_max)?)
        };
        let Some(mut taken) = consumer.take(self.settings.copy_max) else { return Ok(0) };
        let topic = self.kafka.dead_letters_topic();
        // The ledger is no lane, whatever somebody has put there.
        let headers = |record| Headers { lane: None, ..Headers::read(&topic, record) };
        let is_final = |record: &Record| !self.is_tried_again(record);
        let letters: Vec<_> =
            taken.records().iter().filter(|it| is_final(it)).map(|record| (headers(record), record)).collect();
        rows::keep(&self.database, &topic, &letters).await?;
        self.try_again(&mut taken).await?;
        let count = taken.dealt_with();
        taken.written();
        Ok(count)
    }

    fn is_tried_again(&self, record: &Record) -> bool {
        Headers::ours(record).is_some_and(|headers| headers.dead_tries < self.settings.dead_retries_max)
    }

    /// Sends those back to the topic of facts that have had their pause, and holds the others until then.
    async fn try_again(&self, taken: &mut Taken) -> Result<(), DeadLettersError> {
        let (mut due, mut early) = (Vec::new(), Vec::new());
        for (place, record) in taken.records().iter().enumerate().filter(|(_, record)| self.is_tried_again(record)) {
            if record.tries == 0 { early.push(place) } else { due.extend(once_more(record)) }
        }
        for place in early {
            taken.hold(place, Duration::from_millis(self.settings.dead_retry_ms));
        }
        let published = self.producer.publish_records(&self.kafka.facts_topic, &due).await;
        metrics::counter!("onrush_ledger_dead_letters_retried_total").increment(published.acknowledged as u64);
        published.failure.map_or(Ok(()), |failure| Err(failure.into()))
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

/// The fact as it was, with what is known of it as a dead letter.
fn once_more(record: &Record) -> Option<Outgoing> {
    let headers = Headers::ours(record)?;
    let headers = Headers { lane: None, dead_tries: headers.dead_tries + 1, ..headers };
    Some(headers.outgoing(record.key.clone(), record.value.clone()))
}

/// How many wait for an operator.
async fn count_waiting(database: &Database) -> Result<u64, sqlx::Error> {
    let waiting: i64 =
        sqlx::query_scalar("SELECT count(*) FROM dead_letters WHERE state = 'waiting'").fetch_one(database).await?;
    Ok(waiting.unsigned_abs())
}

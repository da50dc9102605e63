//! From Kafka to the database.
//!
//! One batch at a time: take records, write them in one statement, and only then let their offsets be committed. What
//! could not be written is taken again, in its place. A record that is refused for itself is held back and tried again,
//! while its neighbours are rows already, and goes to the topic of dead letters at last; only then is anything committed
//! past it. A thread of the consumer keeps polling whatever is awaited here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::error::LedgerError;
use super::fold::FactAt;
use super::rows::{self, unfit};
use super::throttle_setting::read_or_seed;
use crate::config::{self, Config};
use crate::database::Database;
use crate::dead_letters::{Refused, is_retried, set_aside};
use crate::facts::Fact;
use crate::kafka::{Consumer, Offsets, Producer, Record, Taken, ensure_dead_letters_topic, ensure_topic};
use crate::throttle::{Allowance, Throttle, Turn};

/// How often the lag is asked for.
const LAG_EVERY: Duration = Duration::from_secs(2);
/// Begins the locks by which workers take turns.
const TURNS: &str = "onrush-throttle-";
/// How soon a worker looks again for its turn.
const TURN_AGAIN: Duration = Duration::from_millis(50);

/// Writes facts down. One a node.
pub struct Writer {
    database: Database,
    producer: Arc<Producer>,
    kafka: config::Kafka,
    settings: config::Ledger,
    dead_letters: config::DeadLetters,
    throttle: Throttle,
    /// The maximum, once the database has said it.
    rows_per_second_max: watch::Sender<Option<u64>>,
    consumer: Option<Consumer>,
    contradicted: Arc<Notify>,
}

/// What a tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tick {
    /// So many records are dealt with, for good. None, where all that was taken is held back.
    Wrote(usize),
    /// Nothing has arrived that may be written.
    Idle,
    /// Nothing may be written before this moment.
    Throttled(Instant),
    /// A store is away. Nothing is lost: the same records come again.
    Failed,
}

/// What the first half of a tick did.
pub enum Step {
    /// These are rows or dead letters now, or held back; their offsets are not committed yet.
    InDatabase(Taken),
    /// Nothing has arrived that may be written.
    Idle,
    /// Nothing may be written before this moment.
    Throttled(Instant),
}

impl Writer {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(database: Database, producer: Arc<Producer>, config: &Config) -> Self {
        Self {
            database,
            producer,
            kafka: config.kafka.clone(),
            settings: config.ledger.clone(),
            dead_letters: config.dead_letters.clone(),
            throttle: Throttle::new(0),
            rows_per_second_max: watch::Sender::new(None),
            consumer: None,
            contradicted: Arc::default(),
        }
    }

    /// With this one notified whenever a contradiction was recorded.
    #[must_use]
    pub fn notifying(mut self, contradicted: Arc<Notify>) -> Self {
        self.contradicted = contradicted;
        self
    }

    /// Notified whenever a contradiction was recorded.
    #[must_use]
    pub fn contradicted(&self) -> Arc<Notify> {
        Arc::clone(&self.contradicted)
    }

    /// Writes until it is told to stop. Then, in this order: the batch that is under way is finished, its offsets are
    /// committed, and the group is left, so that others take over at once.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut helpers = JoinSet::new();
        helpers.spawn(reread(
            self.database.clone(),
            self.settings.clone(),
            self.rows_per_second_max.clone(),
            shutdown.clone(),
        ));
        helpers.spawn(watch_lag(self.kafka.clone(), shutdown.clone()));
        let mut max_changes = self.rows_per_second_max.subscribe();
        while !shutdown.is_cancelled() {
            let began = Instant::now();
            let tick = self.tick().await;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                // It must not go on with half of what it needs.
                Some(ended) = helpers.join_next() => panic!("a task of the ledger's writer ended: {ended:?}"),
                _ = max_changes.changed() => {}
                () = self.pause_after(tick, began) => {}
            }
        }
        self.close().await;
        while helpers.join_next().await.is_some() {}
    }

    /// Writes one batch, if there is one and the throttle lets it, and lets its offsets be committed.
    pub async fn tick(&mut self) -> Tick {
        match self.write_batch().await {
            Ok(Step::InDatabase(records)) => {
                let count = records.dealt_with();
                records.written();
                Tick::Wrote(count)
            }
            Ok(Step::Idle) => Tick::Idle,
            Ok(Step::Throttled(until)) => Tick::Throttled(until),
            Err(error) => {
                metrics::counter!("onrush_ledger_failures_total").increment(1);
                tracing::warn!(%error, "the ledger waits, and tries again");
                Tick::Failed
            }
        }
    }

    /// The first half of a tick. A worker that dies after it gets the same records again, and no row changes.
    pub async fn write_batch(&mut self) -> Result<Step, LedgerError> {
        self.prepare().await?;
        let Some(consumer) = &self.consumer else { return Ok(Step::Idle) };
        let buffered = consumer.buffered().min(self.settings.batch_max) as u64;
        let facts_max = match self.throttle.allowance(buffered, self.parts(), Instant::now()) {
            Allowance::Now(facts_max) => facts_max,
            Allowance::Until(moment) => return Ok(Step::Throttled(moment)),
            Allowance::Nothing => return Ok(Step::Idle),
        };
        let turn = match self.throttle.units() {
            None => None,
            Some(units) => match Turn::take(&self.database, TURNS, facts_max, units).await? {
                None => return Ok(Step::Throttled(Instant::now() + TURN_AGAIN)),
                taken => taken,
            },
        };
        let facts_max = turn.as_ref().map_or(facts_max, |turn| turn.units);
        let Some(mut taken) = consumer.take(usize::try_from(facts_max).unwrap_or(usize::MAX)) else {
            return Ok(Step::Idle);
        };
        let outcome = self.write(&mut taken).await;
        // Also what failed: it may have been committed all the same. A raw entry is one record and may be many facts.
        let facts = outcome.as_ref().map_or(0, |facts| *facts);
        self.throttle.count(taken.records().len().max(facts) as u64, Instant::now());
        if let Some(turn) = turn {
            turn.end();
        }
        outcome.map(|_| Step::InDatabase(taken))
    }

    /// Commits what was written and leaves the group.
    pub async fn close(mut self) {
        if let Some(consumer) = self.consumer.take() {
            consumer.close().await;
        }
    }

    /// Joins the group if that is not done, and learns what this worker may write.
    async fn prepare(&mut self) -> Result<(), LedgerError> {
        if self.rows_per_second_max.borrow().is_none() {
            let value = read_or_seed(&self.database, self.settings.rows_per_second_max).await?;
            self.rows_per_second_max.send_replace(Some(value));
        }
        let consumer = if let Some(consumer) = &self.consumer {
            consumer
        } else {
            ensure_topic(&self.kafka).await?;
            ensure_dead_letters_topic(&self.kafka).await?;
            self.consumer.insert(Consumer::join(&self.kafka, self.settings.buffer_facts_max)?)
        };
        let assignment = consumer.assignment();
        self.throttle.set_share(assignment.mine, assignment.all, assignment.gained_at);
        self.throttle.set_max(self.rows_per_second_max.borrow().unwrap_or(0));
        Ok(())
    }

    /// Batches that a second has time for.
    fn parts(&self) -> u64 {
        1_000 / self.settings.batch_every_ms
    }

    async fn pause_after(&self, tick: Tick, began: Instant) {
        match (tick, &self.consumer) {
            (Tick::Wrote(_), Some(consumer)) => {
                let next = began + Duration::from_millis(self.settings.batch_every_ms);
                while consumer.buffered() < self.settings.batch_max && Instant::now() < next {
                    tokio::select! {
                        () = consumer.arrival() => {}
                        () = sleep_until(next) => {}
                    }
                }
            }
            (Tick::Idle, Some(consumer)) => consumer.arrival().await,
            (Tick::Throttled(until), _) => sleep_until(until).await,
            (Tick::Failed | Tick::Idle | Tick::Wrote(_), _) => {
                sleep(Duration::from_millis(self.settings.retry_ms)).await;
            }
        }
    }

    /// All of these become rows or dead letters, or are held back. Answers how many facts they are.
    async fn write(&self, taken: &mut Taken) -> Result<usize, LedgerError> {
        let began = Instant::now();
        let records = taken.records();
        let (mut facts, mut refused) = (Vec::with_capacity(records.len()), Vec::new());
        for (place, record) in records.iter().enumerate() {
            match decode(record) {
                Ok(found) => facts.extend(found.into_iter().map(|fact| FactAt { place, fact })),
                Err(reason) => refused.push(Refused { place, reason }),
            }
        }
        let count = facts.len();
        let written = rows::write(&self.database, facts).await?;
        refused.extend(written.refused.into_iter().map(|(FactAt { place, .. }, reason)| Refused { place, reason }));
        metrics::counter!("onrush_ledger_facts_written_total").increment(written.new);
        metrics::counter!("onrush_ledger_doubles_total").increment(written.doubles);
        metrics::counter!("onrush_ledger_contradictions_total").increment(written.contradictions);
        metrics::histogram!("onrush_ledger_batch_seconds").record(began.elapsed());
        if written.contradictions > 0 {
            self.contradicted.notify_one();
        }
        // Several facts of one raw entry are one record.
        refused.sort_by_key(|refused| refused.place);
        refused.dedup_by_key(|refused| refused.place);
        self.set_aside_or_hold(taken, refused).await;
        Ok(count)
    }

    /// What was tried often enough goes to the topic of dead letters, the rest is tried again later. So is what Kafka
    /// does not take: until it has, nothing is committed past it.
    async fn set_aside_or_hold(&self, taken: &mut Taken, refused: Vec<Refused>) {
        let records = taken.records();
        let is_final = |refused: &Refused| {
            let record = &records[refused.place];
            record.tries >= self.dead_letters.retries_max || is_retried(record)
        };
        let (letters, mut again): (Vec<_>, Vec<_>) = refused.into_iter().partition(is_final);
        let topics = (self.kafka.facts_topic.as_str(), &*self.kafka.dead_letters_topic());
        let acknowledged = set_aside(&self.producer, topics, None, records, &letters).await;
        metrics::counter!("onrush_ledger_dead_letters_total").increment(acknowledged as u64);
        again.extend(letters.into_iter().skip(acknowledged));
        for Refused { place, reason } in again {
            let Record { partition, offset, tries, .. } = taken.records()[place];
            tracing::debug!(partition, offset, tries, reason, "a record is held back");
            let doubled = tries.min(self.dead_letters.retries_max);
            taken.hold(place, Duration::from_millis(self.dead_letters.retry_ms << doubled));
        }
    }
}

fn decode(record: &Record) -> Result<Vec<Fact>, String> {
    let facts = Fact::all_from_json(&record.value).map_err(|error| error.to_string())?;
    facts.iter().find_map(unfit).map_or(Ok(facts), |reason| Err(reason.to_owned()))
}

async fn sleep_until(moment: Instant) {
    tokio::time::sleep_until(moment.into()).await;
}

/// Keeps the maximum up to date, also while the writer is throttled or waits for the database.
async fn reread(
    database: Database,
    settings: config::Ledger,
    max: watch::Sender<Option<u64>>,
    shutdown: CancellationToken,
) {
    while !shutdown.is_cancelled() {
        match read_or_seed(&database, settings.rows_per_second_max).await {
            Ok(value) => {
                max.send_if_modified(|max| max.replace(value) != Some(value));
            }
            // The writer itself says so aloud.
            Err(error) => tracing::debug!(%error, "reading rows_per_second_max"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sleep(Duration::from_millis(settings.throttle_reread_ms)) => {}
        }
    }
}

/// Shows how many records the ledger is behind, of all workers together.
async fn watch_lag(kafka: config::Kafka, shutdown: CancellationToken) {
    let offsets = match Offsets::new(&kafka) {
        Ok(offsets) => offsets,
        Err(error) => return tracing::error!(%error, "the ledger's lag is not watched"),
    };
    let lag = async || offsets.lag(&offsets.ends().await?).await;
    while !shutdown.is_cancelled() {
        match lag().await {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and exact up to 2^53")]
            Ok(records) => {
                metrics::gauge!("onrush_ledger_lag_records").set(records as f64);
            }
            Err(error) => tracing::debug!(%error, "asking for the ledger's lag"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sleep(LAG_EVERY) => {}
        }
    }
}

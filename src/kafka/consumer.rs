//! From records to whoever writes them down.
//!
//! A thread of its own polls without a pause, whatever the writer waits for: so rebalances are answered, and the group
//! does not throw a worker out that is throttled or without a database. (The library's stream consumer polls only
//! while its stream is awaited, and runs rebalances inside that: a revocation could not wait for a transaction there
//! without blocking a thread that the transaction may need.)
//!
//! - The buffer is bounded: beyond it the partitions are paused, newly assigned ones too, and resumed below its half.
//! - A revocation waits until nothing is being written, commits what was, and drops the rest.
//! - A record that shall be tried again later is held back: later ones are dealt with, but nothing is committed past it.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::sync::Notify;

use super::membership::{Assignment, Membership};
use super::poller::{Context, Poller};
use super::record::Record;
use super::shared::Shared;
use super::{KafkaError, client};
use crate::config;

/// Far below the shortest session that can be configured.
const HEARTBEAT_MS: u64 = 500;
/// What the library fetches ahead, beyond our buffer: records of all partitions, and KiB.
const FETCHED_RECORDS_MAX: usize = 10_000;
const FETCHED_KIB_MAX: usize = 16_384;

/// A member of a group.
pub struct Consumer {
    pub(super) shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Consumer {
    /// Joins the group of the ledger's writers, now or as soon as Kafka can be reached. The topic must be there.
    pub fn join(config: &config::Kafka, buffer_max: usize) -> Result<Self, KafkaError> {
        Self::join_group(config, Membership::ledger(&config.facts_topic, &config.ledger_group, buffer_max))
    }

    /// Joins the group of those who copy dead letters.
    pub fn join_dead_letters(config: &config::Kafka, buffer_max: usize) -> Result<Self, KafkaError> {
        let group = format!("{}-dead", config.ledger_group);
        Self::join_group(config, Membership::ledger(&config.dead_letters_topic(), &group, buffer_max))
    }

    /// Joins any group.
    pub(super) fn join_group(config: &config::Kafka, member: Membership) -> Result<Self, KafkaError> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            arrived: Notify::new(),
            idle: Condvar::new(),
            revoking: Notify::new(),
            member,
        });
        let (topic, group) = (&shared.member.topic, &shared.member.group);
        let consumer: BaseConsumer<Context> = client(config)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            // What is not moved goes on being written while the rest is.
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", config.session_timeout_ms.to_string())
            // A heartbeat's answer is what tells of a rebalance: it takes so long at least.
            .set("heartbeat.interval.ms", HEARTBEAT_MS.to_string())
            .set("queued.min.messages", FETCHED_RECORDS_MAX.to_string())
            .set("queued.max.messages.kbytes", FETCHED_KIB_MAX.to_string())
            .set("fetch.wait.max.ms", "100")
            .create_with_context(Context { shared: Arc::clone(&shared) })?;
        consumer.subscribe(&[topic.as_str()])?;
        let timeout = Duration::from_millis(config.request_timeout_ms);
        let poller = Poller::new(consumer, Arc::clone(&shared), timeout);
        let name = format!("{}-poll", shared.member.name);
        let thread = std::thread::Builder::new().name(name).spawn(move || poller.run());
        let thread = thread.map_err(|error| KafkaError::Topic {
            topic: shared.member.topic.clone(),
            reason: format!("no thread to poll it with: {error}"),
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// This worker's part of the topic.
    #[must_use]
    pub fn assignment(&self) -> Assignment {
        self.shared.assignment()
    }

    /// Records that wait to be taken.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.shared.state().ready(Instant::now())
    }

    /// Waits until more records have arrived since this was last awaited, or perhaps have.
    pub async fn arrival(&self) {
        self.shared.arrived.notified().await;
    }

    /// Takes records that are due again and then the oldest, at most so many, to write them down. `None` if there are
    /// none, or the last ones are still being written.
    #[must_use]
    pub fn take(&self, records_max: usize) -> Option<Taken> {
        let mut state = self.shared.state();
        let now = Instant::now();
        if state.ready(now).min(records_max) == 0 || state.writing {
            return None;
        }
        state.writing = true;
        let mut records = state.take_due(now, records_max);
        let count = state.buffer.len().min(records_max - records.len());
        records.extend(state.buffer.drain(..count));
        Some(Taken { records, again: BTreeMap::new(), shared: Arc::clone(&self.shared) })
    }

    /// Commits what was written, leaves the group and waits for both.
    pub async fn close(mut self) {
        self.shared.state().stopping = true;
        let Some(thread) = self.thread.take() else { return };
        if tokio::task::spawn_blocking(move || thread.join()).await.is_ok_and(|joined| joined.is_err()) {
            tracing::error!("the thread that polls Kafka panicked");
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.state().stopping = true;
    }
}

/// Records that are being written. While they are, none of their partitions changes hands. Dropped without a word, they
/// are waiting again.
pub struct Taken {
    records: Vec<Record>,
    /// Places of records that are tried again, and when.
    again: BTreeMap<usize, Instant>,
    shared: Arc<Shared>,
}

impl Taken {
    /// What was held back first, then the rest in the order of arrival: each partition's in its own.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The record at this place is to be tried again after so long, and nothing is committed past it until then.
    pub fn hold(&mut self, place: usize, pause: Duration) {
        self.again.insert(place, Instant::now() + pause);
    }

    /// How many of them are not tried again.
    #[must_use]
    pub fn dealt_with(&self) -> usize {
        self.records.len() - self.again.len()
    }

    /// All of them but those that are held back are dealt with for good: their offsets may be committed.
    pub fn written(mut self) {
        let records = std::mem::take(&mut self.records);
        let mut state = self.shared.state();
        for (place, mut record) in records.into_iter().enumerate() {
            if !state.assigned.contains(&record.partition) {
                continue;
            }
            let next = state.dealt_with.entry(record.partition).or_insert(record.offset + 1);
            *next = (*next).max(record.offset + 1);
            if let Some(due) = self.again.get(&place) {
                record.tries += 1;
                state.hold(*due, record);
            } else {
                state.open.remove(&(record.partition, record.offset));
            }
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        for record in self.records.drain(..).rev() {
            if !state.assigned.contains(&record.partition) {
                continue;
            }
            if state.open.contains(&(record.partition, record.offset)) {
                state.hold(Instant::now(), record);
            } else {
                state.buffer.push_front(record);
            }
        }
        state.writing = false;
        drop(state);
        self.shared.idle.notify_all();
        self.shared.arrived.notify_one();
    }
}

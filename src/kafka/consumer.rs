//! From records to whoever writes them down.
//!
//! A thread of its own polls without a pause, whatever the writer waits for: so rebalances are answered, and the group
//! does not throw a worker out that is throttled or without a database. (The library's stream consumer polls only
//! while its stream is awaited, and runs rebalances inside that: a revocation could not wait for a transaction there
//! without blocking a thread that the transaction may need.)
//!
//! - The buffer is bounded: beyond it the partitions are paused, newly assigned ones too, and resumed below its half.
//! - A revocation waits until nothing is being written, commits what was, and drops the rest.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::sync::Notify;

use super::poller::{Context, Poller};
use super::{KafkaError, client};
use crate::config;

/// Far below the shortest session that can be configured.
const HEARTBEAT_MS: u64 = 500;
/// What the library fetches ahead, beyond our buffer: records of all partitions, and KiB.
const FETCHED_RECORDS_MAX: usize = 10_000;
const FETCHED_KIB_MAX: usize = 16_384;

/// A record, and where it stands in the topic.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// What it was put into a partition by.
    pub key: Vec<u8>,
    /// What it says.
    pub value: Vec<u8>,
}

/// Which part of the topic is this worker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// Partitions that this worker has.
    pub mine: u64,
    /// Partitions that the topic has; 0 while that is not known.
    pub all: u64,
    /// When this worker was last given one.
    pub gained_at: Instant,
}

/// A member of the ledger's group.
pub struct Consumer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) arrived: Notify,
    pub(super) idle: Condvar,
    pub(super) topic: String,
    pub(super) buffer_max: usize,
}

pub(super) struct State {
    pub(super) buffer: VecDeque<Record>,
    pub(super) assigned: BTreeSet<i32>,
    pub(super) all_partitions: u64,
    pub(super) gained_at: Instant,
    /// Partitions were assigned that are not paused, whatever the others are.
    pub(super) unpaused: bool,
    pub(super) writing: bool,
    /// The next offset of each partition of which something was written since the last commit.
    pub(super) uncommitted: BTreeMap<i32, i64>,
    pub(super) stopping: bool,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves no half-made state: every change is one statement or checked again by its reader.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Consumer {
    /// Joins the group, now or as soon as Kafka can be reached. The topic must be there.
    pub fn join(config: &config::Kafka, buffer_max: usize) -> Result<Self, KafkaError> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                buffer: VecDeque::new(),
                assigned: BTreeSet::new(),
                all_partitions: 0,
                gained_at: Instant::now(),
                unpaused: false,
                writing: false,
                uncommitted: BTreeMap::new(),
                stopping: false,
            }),
            arrived: Notify::new(),
            idle: Condvar::new(),
            topic: config.facts_topic.clone(),
            buffer_max,
        });
        let consumer: BaseConsumer<Context> = client(config)
            .set("group.id", &config.ledger_group)
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
        consumer.subscribe(&[&config.facts_topic])?;
        let timeout = Duration::from_millis(config.request_timeout_ms);
        let poller = Poller::new(consumer, Arc::clone(&shared), timeout);
        let thread = std::thread::Builder::new().name("ledger-poll".into()).spawn(move || poller.run());
        let thread = thread.map_err(|error| KafkaError::Topic {
            topic: config.facts_topic.clone(),
            reason: format!("no thread to poll it with: {error}"),
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// This worker's part of the topic.
    #[must_use]
    pub fn assignment(&self) -> Assignment {
        let state = self.shared.state();
        Assignment { mine: state.assigned.len() as u64, all: state.all_partitions, gained_at: state.gained_at }
    }

    /// Records that wait to be taken.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.shared.state().buffer.len()
    }

    /// Waits until more records have arrived since this was last awaited, or perhaps have.
    pub async fn arrival(&self) {
        self.shared.arrived.notified().await;
    }

    /// Takes the oldest records, at most so many, to write them down. `None` if there are none, or the last ones are
    /// still being written.
    #[must_use]
    pub fn take(&self, records_max: usize) -> Option<Taken> {
        let mut state = self.shared.state();
        let count = state.buffer.len().min(records_max);
        if count == 0 || state.writing {
            return None;
        }
        state.writing = true;
        let records = state.buffer.drain(..count).collect();
        Some(Taken { records, shared: Arc::clone(&self.shared) })
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
    shared: Arc<Shared>,
}

impl Taken {
    /// In the order of arrival: each partition's in its own.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// All of them are in the database: their offsets may be committed.
    pub fn written(mut self) {
        let records = std::mem::take(&mut self.records);
        let mut state = self.shared.state();
        for record in records {
            if state.assigned.contains(&record.partition) {
                state.uncommitted.insert(record.partition, record.offset + 1);
            }
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        for record in self.records.drain(..).rev() {
            if state.assigned.contains(&record.partition) {
                state.buffer.push_front(record);
            }
        }
        state.writing = false;
        drop(state);
        self.shared.idle.notify_all();
        self.shared.arrived.notify_one();
    }
}

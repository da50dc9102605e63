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

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
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
/// A write ends long before, by its own limits. A revocation that waited for ever would stop the whole group.
const REVOKE_WAIT_MAX: Duration = Duration::from_mins(1);
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
    /// What was said about it, by name.
    pub headers: Vec<(String, Vec<u8>)>,
    /// How often it was held back since this worker read it.
    pub tries: u32,
}

/// A record that is tried again at its time.
pub(super) struct Held {
    pub(super) due: Instant,
    /// What orders it, where records are worked on one by one.
    pub(super) key: Vec<u8>,
    pub(super) record: Record,
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

/// Which group reads which topic.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The topic. It must be there.
    pub topic: String,
    /// The group.
    pub group: String,
    /// What the thread is called that polls.
    pub name: &'static str,
    /// Records in memory at most.
    pub buffer_max: usize,
    /// Offsets are committed so often at most; zero: whenever there are new ones.
    pub commit_every: Duration,
    /// A revocation waits so long at most for what is in work.
    pub revoke_wait_max: Duration,
    /// Counts polls that failed.
    pub poll_failures: metrics::Counter,
    /// How far behind it is, is asked so often; `None`: never.
    pub lag_every: Option<Duration>,
}

/// A member of a group.
pub struct Consumer {
    pub(super) shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) arrived: Notify,
    pub(super) idle: Condvar,
    /// Partitions are being taken away.
    pub(super) revoking: Notify,
    pub(super) member: Membership,
}

pub(super) struct State {
    pub(super) buffer: VecDeque<Record>,
    pub(super) held: Vec<Held>,
    /// What orders the records that are in work or held back: others with the same wait. See `parallel`.
    pub(super) busy_keys: HashSet<Vec<u8>>,
    /// Records in work, one by one, of each partition.
    pub(super) in_flight: BTreeMap<i32, usize>,
    /// Partitions that are being taken away: nothing more of them is begun.
    pub(super) leaving: BTreeSet<i32>,
    /// Partition and offset of what was held back and is not dealt with, wherever the record is just now.
    pub(super) open: BTreeSet<(i32, i64)>,
    pub(super) assigned: BTreeSet<i32>,
    pub(super) all_partitions: u64,
    pub(super) gained_at: Instant,
    /// Partitions were assigned that are not paused, whatever the others are.
    pub(super) unpaused: bool,
    pub(super) writing: bool,
    /// The offset after the last one that was dealt with, of each partition of which not all of it is committed.
    pub(super) dealt_with: BTreeMap<i32, i64>,
    /// What was committed last.
    pub(super) committed: BTreeMap<i32, i64>,
    pub(super) stopping: bool,
    /// Records of this worker's partitions that are not dealt with, when that was last asked.
    pub(super) lag: Option<u64>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            buffer: VecDeque::new(),
            held: Vec::new(),
            busy_keys: HashSet::new(),
            in_flight: BTreeMap::new(),
            leaving: BTreeSet::new(),
            open: BTreeSet::new(),
            assigned: BTreeSet::new(),
            all_partitions: 0,
            gained_at: Instant::now(),
            unpaused: false,
            writing: false,
            dealt_with: BTreeMap::new(),
            committed: BTreeMap::new(),
            stopping: false,
            lag: None,
        }
    }
}

impl State {
    /// What may be committed and is not: up to the first record that is held back.
    pub(super) fn committable(&self) -> BTreeMap<i32, i64> {
        let up_to = |(partition, next): (&i32, &i64)| {
            let first_open = self.open.range((*partition, i64::MIN)..=(*partition, i64::MAX)).next();
            (*partition, first_open.map_or(*next, |(_, offset)| *next.min(offset)))
        };
        let is_new = |(partition, offset): &(i32, i64)| self.committed.get(partition).is_none_or(|at| at < offset);
        self.dealt_with.iter().map(up_to).filter(is_new).collect()
    }

    /// Remembers that these were committed.
    pub(super) fn note_committed(&mut self, offsets: &BTreeMap<i32, i64>) {
        self.dealt_with.retain(|partition, next| offsets.get(partition) != Some(next));
        self.committed.extend(offsets);
    }

    /// Forgets all about partitions that are another's now.
    pub(super) fn forget(&mut self, partitions: &BTreeSet<i32>) {
        self.assigned.retain(|partition| !partitions.contains(partition));
        self.leaving.retain(|partition| !partitions.contains(partition));
        self.buffer.retain(|record| !partitions.contains(&record.partition));
        self.forget_held(partitions);
        self.open.retain(|(partition, _)| !partitions.contains(partition));
        self.dealt_with.retain(|partition, _| !partitions.contains(partition));
        self.committed.retain(|partition, _| !partitions.contains(partition));
    }

    /// Records that may be taken now.
    pub(super) fn ready(&self, now: Instant) -> usize {
        self.buffer.len() + self.held.iter().filter(|held| held.due <= now).count()
    }

    /// Records in memory.
    pub(super) fn in_memory(&self) -> usize {
        self.buffer.len() + self.held.len()
    }

    fn hold(&mut self, due: Instant, record: Record) {
        self.open.insert((record.partition, record.offset));
        self.held.push(Held { due, key: Vec::new(), record });
    }

    fn take_due(&mut self, now: Instant, records_max: usize) -> Vec<Record> {
        let mut due = Vec::new();
        let mut index = 0;
        while index < self.held.len() && due.len() < records_max {
            if self.held[index].due <= now {
                due.push(self.held.remove(index).record);
            } else {
                index += 1;
            }
        }
        due
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves no half-made state: every change is one statement or checked again by its reader.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn assignment(&self) -> Assignment {
        let state = self.state();
        Assignment { mine: state.assigned.len() as u64, all: state.all_partitions, gained_at: state.gained_at }
    }
}

impl Membership {
    fn ledger(topic: &str, group: &str, buffer_max: usize) -> Self {
        Self {
            topic: topic.to_owned(),
            group: group.to_owned(),
            name: "ledger",
            buffer_max,
            commit_every: Duration::ZERO,
            revoke_wait_max: REVOKE_WAIT_MAX,
            poll_failures: metrics::counter!("onrush_ledger_poll_failures_total"),
            lag_every: None,
        }
    }
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

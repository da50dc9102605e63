//! What the thread that polls and those who write share: records in memory, and how far each partition is.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::membership::{Assignment, Membership};
use super::record::Record;

/// A record that is tried again at its time.
pub(super) struct Held {
    pub(super) due: Instant,
    /// What orders it, where records are worked on one by one.
    pub(super) key: Vec<u8>,
    pub(super) record: Record,
}

pub(super) struct Shared {
    pub(super) state: Mutex<State>,
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

    pub(super) fn hold(&mut self, due: Instant, record: Record) {
        self.open.insert((record.partition, record.offset));
        self.held.push(Held { due, key: Vec::new(), record });
    }

    pub(super) fn take_due(&mut self, now: Instant, records_max: usize) -> Vec<Record> {
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

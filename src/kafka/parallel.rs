//! From records to many that work on them at the same time, more than there are partitions.
//!
//! - Records with the same key are worked on one after the other, in their order; also while one of them is held back to
//!   be tried again: later ones of its key wait behind it, those of other keys go on.
//! - What is committed is the offset up to which everything is finished, and never one beyond a record in work.
//! - A partition that is taken away begins nothing more; what is in work is waited for, within a limit, and committed.
//! - Who is killed loses nothing: what it had not finished is read again. So work may be done twice, and has to bear it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::KafkaError;
use super::consumer::Consumer;
use super::membership::{Assignment, Membership};
use super::record::Record;
use super::shared::{Held, Shared, State};
use crate::config;

/// Pause before a record is begun again whose work ended without a word: it panicked, or was given up.
const DROPPED_AGAIN: Duration = Duration::from_millis(500);

/// A member of a group whose records are worked on many at a time.
pub struct Parallel {
    consumer: Consumer,
    in_flight_max: usize,
    ordered_by: fn(&Record) -> Vec<u8>,
}

/// This worker's part of a topic, for whoever shares something out by it.
#[derive(Clone)]
pub struct Share(Arc<Shared>);

impl Share {
    /// As it is now.
    #[must_use]
    pub fn assignment(&self) -> Assignment {
        self.0.assignment()
    }
}

impl Parallel {
    /// Joins the group, now or as soon as Kafka can be reached. Records for which `ordered_by` answers the same are
    /// worked on in their order.
    pub fn join(
        config: &config::Kafka,
        member: Membership,
        in_flight_max: usize,
        ordered_by: fn(&Record) -> Vec<u8>,
    ) -> Result<Self, KafkaError> {
        Ok(Self { consumer: Consumer::join_group(config, member)?, in_flight_max, ordered_by })
    }

    /// The next record that may be begun. `None`: nothing has arrived, all that has waits for others of its key, or as
    /// much is in work as may be.
    #[must_use]
    pub fn begin(&self) -> Option<Job> {
        let mut state = self.consumer.shared.state();
        if state.stopping || state.in_flight.values().sum::<usize>() >= self.in_flight_max {
            return None;
        }
        let record = state.begin_held(Instant::now()).or_else(|| state.begin_new(self.ordered_by))?;
        *state.in_flight.entry(record.partition).or_default() += 1;
        drop(state);
        let key = (self.ordered_by)(&record);
        Some(Job { record: Some(record), key, shared: Arc::clone(&self.consumer.shared) })
    }

    /// Waits until there may be something to begin.
    pub async fn arrival(&self) {
        self.consumer.arrival().await;
    }

    /// Records in work.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.consumer.shared.state().in_flight.values().sum()
    }

    /// Records that are held back to be tried again.
    #[must_use]
    pub fn held(&self) -> usize {
        self.consumer.shared.state().held.len()
    }

    /// Records of this worker's partitions that are not committed, when that was last asked.
    #[must_use]
    pub fn lag(&self) -> Option<u64> {
        self.consumer.shared.state().lag
    }

    /// This worker's part of the topic.
    #[must_use]
    pub fn share(&self) -> Share {
        Share(Arc::clone(&self.consumer.shared))
    }

    /// Waits for what is in work, commits what is finished, and leaves the group.
    pub async fn close(self) {
        self.consumer.close().await;
    }
}

/// A record in work. Dropped without a word it is begun again a little later, and counts as tried.
pub struct Job {
    record: Option<Record>,
    key: Vec<u8>,
    shared: Arc<Shared>,
}

impl Job {
    /// The record.
    #[must_use]
    pub fn record(&self) -> &Record {
        self.record.as_ref().expect("it is taken out by what ends the job, and that consumes it")
    }

    /// Waits until its partition is being taken away: whoever takes long had better stop, since another waits.
    pub async fn revoked(&self) {
        loop {
            let mut revoking = std::pin::pin!(self.shared.revoking.notified());
            // Heard from now on, also what happens while it is looked.
            revoking.as_mut().enable();
            if self.shared.state().leaving.contains(&self.record().partition) {
                return;
            }
            revoking.await;
        }
    }

    /// It is dealt with for good.
    pub fn finish(mut self) {
        if let Some(record) = self.record.take() {
            self.end(record, None);
        }
    }

    /// It is begun again after so long, and those of its key wait behind it. `counts`: as one more try.
    pub fn again(mut self, pause: Duration, counts: bool) {
        if let Some(mut record) = self.record.take() {
            record.tries += u32::from(counts);
            self.end(record, Some(Instant::now() + pause));
        }
    }

    fn end(&self, record: Record, again_at: Option<Instant>) {
        let mut state = self.shared.state();
        state.leave(record.partition);
        // What is not open any more was taken away meanwhile: another has it.
        let place = (record.partition, record.offset);
        if let Some(due) = again_at.filter(|_| state.open.contains(&place)) {
            state.held.push(Held { due, key: self.key.clone(), record });
        } else {
            state.open.remove(&place);
            state.busy_keys.remove(&self.key);
        }
        drop(state);
        self.shared.idle.notify_all();
        self.shared.arrived.notify_one();
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.tries += 1;
            self.end(record, Some(Instant::now() + DROPPED_AGAIN));
        }
    }
}

impl State {
    fn begin_held(&mut self, now: Instant) -> Option<Record> {
        let leaving = &self.leaving;
        let may = |held: &Held| held.due <= now && !leaving.contains(&held.record.partition);
        let place = self.held.iter().position(may)?;
        // Its key stays taken.
        Some(self.held.remove(place).record)
    }

    fn begin_new(&mut self, ordered_by: fn(&Record) -> Vec<u8>) -> Option<Record> {
        let (leaving, busy) = (&self.leaving, &self.busy_keys);
        let may = |record: &Record| !leaving.contains(&record.partition) && !busy.contains(&ordered_by(record));
        let place = self.buffer.iter().position(may)?;
        let record = self.buffer.remove(place)?;
        self.busy_keys.insert(ordered_by(&record));
        self.open.insert((record.partition, record.offset));
        let next = self.dealt_with.entry(record.partition).or_insert(record.offset + 1);
        *next = (*next).max(record.offset + 1);
        Some(record)
    }

    fn leave(&mut self, partition: i32) {
        if let Some(count) = self.in_flight.get_mut(&partition) {
            *count -= 1;
            if *count == 0 {
                self.in_flight.remove(&partition);
            }
        }
    }

    /// Gives up what is held back of these partitions, and lets others of their keys go.
    pub(super) fn forget_held(&mut self, partitions: &BTreeSet<i32>) {
        for held in self.held.extract_if(.., |held| partitions.contains(&held.record.partition)) {
            self.busy_keys.remove(&held.key);
        }
    }
}

//! Which reads travel together? Those of one shard that come while a call to it is under way share the next one.
//!
//! Idle, a read leaves at once. Several for one entry that wait together are one: a read that has not left yet says what
//! is so later than any of them asked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::envelope::Kept;
use super::names::{BuildAsIs, Id};

/// The shard does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Away;

/// What waits to be read from one shard.
pub(super) struct Batcher {
    batch_max: usize,
    waiting_max: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    batches: VecDeque<Batch>,
    /// Askers in them.
    waiting: usize,
    /// Whether a task is emptying the batcher. It leaves only when it sees the batcher empty, under the same lock.
    is_draining: bool,
}

#[derive(Default)]
pub(super) struct Batch {
    pub(super) fields: Vec<String>,
    places: HashMap<Id, usize, BuildAsIs>,
    pub(super) askers: Vec<(usize, oneshot::Sender<Answer>)>,
}

/// What is kept, fresh or not; `None`: nothing that is of ours.
pub(super) type Answer = Result<Option<Kept>, Away>;

impl Batcher {
    pub(super) fn new(batch_max: usize, waiting_max: usize) -> Self {
        Self { batch_max, waiting_max, queue: Mutex::default() }
    }

    pub(super) fn batch_max(&self) -> usize {
        self.batch_max
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A panic between two statements leaves a queue that is whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, if there is one. Answers whether somebody has to begin to empty the batcher.
    pub(super) fn enter(&self, id: Id, field: &str) -> Option<(oneshot::Receiver<Answer>, bool)> {
        let (answer, answered) = oneshot::channel();
        let mut queue = self.queue();
        if queue.waiting >= self.waiting_max {
            return None;
        }
        queue.waiting += 1;
        if queue.batches.back().is_none_or(|last| last.fields.len() >= self.batch_max) {
            queue.batches.push_back(Batch::default());
        }
        let Batch { fields, places, askers } = queue.batches.back_mut().expect("there is one now");
        let place = *places.entry(id).or_insert_with(|| {
            fields.push(field.to_owned());
            fields.len() - 1
        });
        askers.push((place, answer));
        Some((answered, !std::mem::replace(&mut queue.is_draining, true)))
    }

    pub(super) fn next(&self) -> Option<Batch> {
        let mut queue = self.queue();
        let next = queue.batches.pop_front();
        queue.is_draining = next.is_some();
        queue.waiting -= next.as_ref().map_or(0, |batch| batch.askers.len());
        next
    }

    /// What waits is given up: whoever asked hears that the shard is away.
    pub(super) fn give_up(&self) {
        let mut queue = self.queue();
        queue.batches.clear();
        queue.waiting = 0;
        queue.is_draining = false;
    }
}

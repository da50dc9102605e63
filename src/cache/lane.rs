//! Which reads travel together? Those of one part that come while a call to it is under way share the next one.
//!
//! Idle, a read leaves at once. Several for one entry that wait together are one: a read that has not left yet says what
//! is so later than any of them asked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::envelope::Kept;
use super::names::{BuildAsIs, Id};
use super::part::{Away, Part};

/// What waits to be read from one part.
pub(super) struct Lane {
    batch_max: usize,
    waiting_max: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    batches: VecDeque<Batch>,
    /// Askers in them.
    waiting: usize,
    /// Whether a task is emptying the lane. It leaves only when it sees the lane empty, under the same lock.
    is_draining: bool,
}

#[derive(Default)]
struct Batch {
    fields: Vec<String>,
    places: HashMap<Id, usize, BuildAsIs>,
    askers: Vec<(usize, oneshot::Sender<Answer>)>,
}

/// What is kept, fresh or not; `None`: nothing that is of ours.
type Answer = Result<Option<Kept>, Away>;

impl Lane {
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

    /// Takes a place, if there is one. Answers whether somebody has to begin to empty the lane.
    fn enter(&self, id: Id, field: &str) -> Option<(oneshot::Receiver<Answer>, bool)> {
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

    fn next(&self) -> Option<Batch> {
        let mut queue = self.queue();
        let next = queue.batches.pop_front();
        queue.is_draining = next.is_some();
        queue.waiting -= next.as_ref().map_or(0, |batch| batch.askers.len());
        next
    }
}

impl Part {
    /// What is kept of this entry now, with what others ask for at this moment.
    pub(super) async fn look_up(self: &Arc<Self>, id: Id, field: &str) -> Answer {
        if self.is_away() {
            return Err(Away);
        }
        let (answered, starts) = self.lane.enter(id, field).ok_or(Away)?;
        if starts {
            // A task of its own: the caller may go away, those who wait with it do not.
            let draining = Draining(Arc::clone(self));
            tokio::spawn(draining.run());
        }
        answered.await.unwrap_or(Err(Away))
    }
}

/// The one task that empties a lane. Should it die, those in the lane hear that it is away, and the next to come starts
/// another.
struct Draining(Arc<Part>);

impl Draining {
    async fn run(self) {
        while let Some(batch) = self.0.lane.next() {
            let read = self.0.read(&batch.fields).await;
            for (place, asker) in batch.askers {
                let answer = match &read {
                    Ok((now_ms, values)) => {
                        let value = values.get(place).cloned().flatten();
                        Ok(value.and_then(|value| Kept::open(*now_ms, value)))
                    }
                    Err(away) => Err(*away),
                };
                let _gone = asker.send(answer);
            }
        }
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut queue = self.0.lane.queue();
            queue.batches.clear();
            queue.waiting = 0;
            queue.is_draining = false;
        }
    }
}

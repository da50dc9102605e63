//! What waits for one campaign, and the one task that empties it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::{Notify, oneshot};

use super::contract::{CoalescerError, Decide, Limits, Meters};
use super::in_flight::InFlight;
use crate::campaign::Campaign;

/// What all queues use.
pub(super) struct Shared<D> {
    pub(super) decider: D,
    pub(super) limits: Limits,
    pub(super) meters: Meters,
    pub(super) in_flight: InFlight,
}

/// What waits for one campaign, in the order of arrival.
pub(super) struct Queue<D: Decide> {
    campaign: Arc<Campaign>,
    shared: Arc<Shared<D>>,
    state: Mutex<State<D>>,
    /// Enough wait for a second call.
    enough: Notify,
}

struct State<D: Decide> {
    waiting: VecDeque<Waiting<D>>,
    /// How many are with Redis.
    deciding: usize,
    /// Whether a task is emptying the queue. It leaves only when it sees the queue empty, under the same lock.
    draining: bool,
}

struct Waiting<D: Decide> {
    request: D::Request,
    since: Instant,
    answer: oneshot::Sender<Outcome<D>>,
}

type Outcome<D> = Result<<D as Decide>::Answer, CoalescerError>;

impl<D: Decide> Queue<D> {
    pub(super) fn new(campaign: Arc<Campaign>, shared: Arc<Shared<D>>) -> Self {
        let state = Mutex::new(State { waiting: VecDeque::new(), deciding: 0, draining: false });
        Self { campaign, shared, state, enough: Notify::new() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State<D>> {
        // A panic between two statements leaves a state that is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(self: Arc<Self>, request: D::Request) -> Result<oneshot::Receiver<Outcome<D>>, CoalescerError> {
        if !self.shared.in_flight.enter() {
            return Err(CoalescerError::TooManyInFlight);
        }
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { request, since: Instant::now(), answer };
        let mut state = self.state();
        if state.waiting.len() + state.deciding >= self.shared.limits.campaign_in_flight_max {
            drop(state);
            self.shared.in_flight.leave(1);
            return Err(CoalescerError::TooManyInFlight);
        }
        state.waiting.push_back(waiting);
        let starts = !std::mem::replace(&mut state.draining, true);
        let is_enough = state.waiting.len() == self.shared.limits.second_call_min;
        drop(state);
        if is_enough {
            self.enough.notify_one();
        }
        if starts {
            // A task of its own: the caller may go away, those who wait behind it do not.
            tokio::spawn(async move { Draining(&*self).run().await });
        }
        Ok(answered)
    }

    /// Those who are next and still there, if they should leave now that so many calls are under way.
    fn next_batch(&self, calls: usize) -> Next<D> {
        let Shared { decider, limits, meters, in_flight } = &*self.shared;
        if calls >= decider.calls_max(&self.campaign) {
            return Next::Later;
        }
        let wait_max = Duration::from_millis(limits.queue_wait_ms_max);
        let certain = decider.certain(&self.campaign);
        let (now, mut left) = (Instant::now(), 0);
        let mut state = self.state();
        if calls > 0 && state.waiting.len() < limits.second_call_min {
            return Next::Later;
        }
        let mut batch = Vec::with_capacity(limits.batch_max.min(state.waiting.len()));
        while batch.len() < limits.batch_max {
            let Some(waiting) = state.waiting.pop_front() else { break };
            // Counted before it is looked at: should that panic, its place is given back.
            state.deciding += 1;
            if waiting.answer.is_closed() {
                // The client has gone: nobody would hear of the decision.
                meters.abandoned.increment(1);
            } else if let Some(answer) = certain(&waiting.request) {
                let _gone = waiting.answer.send(Ok(answer));
            } else if now.saturating_duration_since(waiting.since) > wait_max {
                let _gone = waiting.answer.send(Err(CoalescerError::WaitedTooLong));
            } else {
                batch.push(waiting);
                continue;
            }
            left += 1;
        }
        state.deciding -= left;
        let is_over = batch.is_empty() && state.waiting.is_empty() && calls == 0;
        state.draining = !is_over;
        drop(state);
        in_flight.leave(left);
        match (is_over, batch.is_empty()) {
            (true, _) => Next::Over,
            (false, true) => Next::Later,
            (false, false) => Next::Batch(batch),
        }
    }

    /// So many are with Redis no longer.
    fn decided(&self, count: usize) {
        self.state().deciding -= count;
        self.shared.in_flight.leave(count);
    }

    #[tracing::instrument(level = "debug", skip_all, fields(campaign = %self.campaign.id(), requests = batch.len()))]
    async fn decide(&self, batch: Vec<Waiting<D>>) {
        let Shared { decider, meters, .. } = &*self.shared;
        #[expect(clippy::cast_precision_loss, reason = "a batch has at most a thousand requests")]
        meters.batch_requests.record(batch.len() as f64);
        let (requests, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|waiting| (waiting.request, waiting.answer)).unzip();
        let asked = Instant::now();
        let outcome = decider.decide(&self.campaign, &requests).await;
        meters.call_seconds.record(asked.elapsed().as_secs_f64());
        self.decided(answers.len());
        match outcome {
            Ok(decided) => {
                for (answer, decision) in answers.into_iter().zip(decided) {
                    let _gone = answer.send(Ok(decision));
                }
            }
            Err(error) => {
                meters.call_failures.increment(1);
                error.note();
                let (campaign, nothing_done) = (self.campaign.id(), error.has_done_nothing());
                tracing::warn!(%campaign, requests = requests.len(), nothing_done, %error, "a batch got no answer from Redis: its callers are told 503");
                for answer in answers {
                    let why = if nothing_done {
                        CoalescerError::NothingDone(error.reason())
                    } else {
                        CoalescerError::Unknown
                    };
                    let _gone = answer.send(Err(why));
                }
            }
        }
    }
}

/// The one task that empties a queue. Should it die, those with it hear that their outcome is unknown, and the next to
/// come starts another.
struct Draining<'a, D: Decide>(&'a Queue<D>);

/// What a queue does next.
enum Next<D: Decide> {
    /// These leave.
    Batch(Vec<Waiting<D>>),
    /// Not before something changes.
    Later,
    /// Nobody waits, and nothing is under way.
    Over,
}

impl<D: Decide> Draining<'_, D> {
    async fn run(self) {
        let queue = self.0;
        // First asked in the order in which they were put in, so that they are sent in it.
        let mut calls = FuturesUnordered::new();
        loop {
            match queue.next_batch(calls.len()) {
                Next::Batch(batch) => {
                    calls.push(queue.decide(batch));
                    continue;
                }
                Next::Later => {}
                Next::Over => return,
            }
            tokio::select! {
                _ = calls.next() => {}
                () = queue.enough.notified() => {}
            }
        }
    }
}

impl<D: Decide> Drop for Draining<'_, D> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut state = self.0.state();
            let lost = std::mem::take(&mut state.deciding);
            state.draining = false;
            drop(state);
            self.0.shared.in_flight.leave(lost);
        }
    }
}

//! Who travels together? Claims of one campaign that arrive while a call is under way share the next one.
//!
//! - Idle, a claim leaves at once, alone. Under load the round trip is shared by all that came during the last one
//!   (group commit), up to `claim.batch_max`.
//! - One call of a campaign is under way at a time, so decisions are made in the order of arrival.
//! - What waits is bounded, for the node and for each campaign: a claim counts until it is answered.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::ClaimError;
use super::in_flight::InFlight;
use super::issue::{Answer, issue};
use super::memory::Memory;
use crate::campaign::Campaign;
use crate::config;
use crate::ids::{AttemptId, CampaignId, UserId};
use crate::redis::Redis;

/// The lanes of all campaigns on this node.
pub(super) struct Coalescer {
    shared: Arc<Shared>,
    lanes: RwLock<HashMap<CampaignId, Arc<Lane>>>,
}

/// What all lanes use.
struct Shared {
    redis: Arc<Redis>,
    limits: config::Claim,
    memory: Memory,
    in_flight: InFlight,
}

/// What waits for one campaign, in the order of arrival.
struct Lane {
    campaign: Arc<Campaign>,
    shared: Arc<Shared>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// How many are with Redis.
    deciding: usize,
    /// Whether a task is emptying the lane. It leaves only when it sees the lane empty, under the same lock.
    draining: bool,
}

struct Waiting {
    request: (AttemptId, UserId),
    since: Instant,
    answer: oneshot::Sender<Outcome>,
}

type Outcome = Result<Answer, ClaimError>;

impl Coalescer {
    pub(super) fn new(redis: Arc<Redis>, limits: config::Claim, memory: Memory) -> Self {
        let in_flight = InFlight::new(limits.in_flight_max);
        Self { shared: Arc::new(Shared { redis, limits, memory, in_flight }), lanes: RwLock::default() }
    }

    /// Takes its place in the campaign's lane before it first waits: whoever calls first is decided first.
    pub(super) fn submit(
        &self,
        campaign: &Arc<Campaign>,
        attempt: AttemptId,
        user: UserId,
    ) -> impl Future<Output = Outcome> + use<> {
        let place = self.lane(campaign).enter((attempt, user));
        async move {
            match place?.await {
                Ok(answer) => answer,
                Err(_dropped) => Err(ClaimError::Unknown("the call was given up".into())),
            }
        }
    }

    fn lane(&self, campaign: &Arc<Campaign>) -> Arc<Lane> {
        let definition = campaign.definition();
        let known = self.lanes.read().unwrap_or_else(PoisonError::into_inner).get(definition.id()).cloned();
        known.unwrap_or_else(|| {
            let mut lanes = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
            let new_lane =
                || Lane { campaign: Arc::clone(campaign), shared: Arc::clone(&self.shared), queue: Mutex::default() };
            Arc::clone(lanes.entry(campaign.id()).or_insert_with(|| Arc::new(new_lane())))
        })
    }
}

impl Lane {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        // A panic between two statements leaves a queue that is whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: Arc<Self>, request: (AttemptId, UserId)) -> Result<oneshot::Receiver<Outcome>, ClaimError> {
        if !self.shared.in_flight.enter() {
            return Err(ClaimError::TooManyInFlight);
        }
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { request, since: Instant::now(), answer };
        let mut queue = self.queue();
        if queue.waiting.len() + queue.deciding >= self.shared.limits.campaign_in_flight_max {
            drop(queue);
            self.shared.in_flight.leave(1);
            return Err(ClaimError::TooManyInFlight);
        }
        queue.waiting.push_back(waiting);
        let starts = !std::mem::replace(&mut queue.draining, true);
        drop(queue);
        if starts {
            // A task of its own: the caller may go away, those who wait behind it do not.
            tokio::spawn(async move { Draining(&self).run().await });
        }
        Ok(answered)
    }

    /// Those who are next and still there; `None` when nobody is, and then nobody drains any more.
    fn next_batch(&self) -> Option<Vec<Waiting>> {
        let Shared { redis, limits, memory, in_flight } = &*self.shared;
        let wait_max = Duration::from_millis(limits.queue_wait_ms_max);
        let sold_out = memory.is_sold_out(redis, &self.campaign);
        let (now, mut left) = (Instant::now(), 0);
        let mut queue = self.queue();
        left += std::mem::take(&mut queue.deciding);
        let mut batch = Vec::with_capacity(limits.batch_max.min(queue.waiting.len()));
        while batch.len() < limits.batch_max {
            let Some(waiting) = queue.waiting.pop_front() else { break };
            if waiting.answer.is_closed() {
                // The client has gone: nobody would hear of the unit.
                metrics::counter!("onrush_claim_abandoned_total").increment(1);
            } else if sold_out && !waiting.request.0.may_be_repeated() {
                let _gone = waiting.answer.send(Ok(Answer::SoldOut));
            } else if now.saturating_duration_since(waiting.since) > wait_max {
                let _gone = waiting.answer.send(Err(ClaimError::WaitedTooLong));
            } else {
                batch.push(waiting);
                continue;
            }
            left += 1;
        }
        queue.deciding = batch.len();
        let is_empty = batch.is_empty() && queue.waiting.is_empty();
        queue.draining = !is_empty;
        drop(queue);
        in_flight.leave(left);
        (!is_empty).then_some(batch)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(campaign = %self.campaign.id(), requests = batch.len()))]
    async fn decide(&self, batch: Vec<Waiting>) {
        if batch.is_empty() {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a batch has at most a thousand requests")]
        metrics::histogram!("onrush_claim_batch_requests").record(batch.len() as f64);
        let (requests, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|waiting| (waiting.request, waiting.answer)).unzip();
        let asked = Instant::now();
        let outcome = issue(&self.shared.redis, &self.campaign, &requests, self.shared.memory.lease_us()).await;
        metrics::histogram!("onrush_claim_call_seconds").record(asked.elapsed().as_secs_f64());
        match outcome {
            Ok(decided) => {
                for (answer, decision) in answers.into_iter().zip(decided) {
                    let _gone = answer.send(Ok(decision));
                }
            }
            Err(error) => {
                metrics::counter!("onrush_claim_call_failures_total").increment(1);
                tracing::warn!(campaign = %self.campaign.id(), requests = requests.len(), %error, "the outcome of a batch is unknown");
                for answer in answers {
                    let _gone = answer.send(Err(ClaimError::Unknown(error.to_string())));
                }
            }
        }
    }
}

/// The one task that empties a lane. Should it die, those with it hear that their outcome is unknown, and the next to
/// come starts another.
struct Draining<'a>(&'a Lane);

impl Draining<'_> {
    async fn run(self) {
        while let Some(batch) = self.0.next_batch() {
            self.0.decide(batch).await;
        }
    }
}

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut queue = self.0.queue();
            let lost = std::mem::take(&mut queue.deciding);
            queue.draining = false;
            drop(queue);
            self.0.shared.in_flight.leave(lost);
        }
    }
}

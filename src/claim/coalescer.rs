//! Who travels together? Claims of one campaign that arrive while a call is under way share the next one.
//!
//! - Idle, a claim leaves at once, alone. Under load the round trip is shared by all that came during the last one
//!   (group commit), up to `claim.batch_max`.
//! - One call of a campaign is under way at a time, so decisions are made in the order of arrival.
//! - What waits is bounded: a claim holds a permit of the node and one of its campaign until it is answered.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::ClaimError;
use super::issue::{Answer, issue};
use crate::campaign::Campaign;
use crate::config;
use crate::ids::{AttemptId, CampaignId, UserId};
use crate::redis::Redis;

/// The lanes of all campaigns on this node.
pub(super) struct Coalescer {
    redis: Arc<Redis>,
    limits: config::Claim,
    in_flight: Arc<Semaphore>,
    lanes: Mutex<HashMap<CampaignId, Arc<Lane>>>,
}

/// What waits for one campaign, in the order of arrival.
struct Lane {
    campaign: Arc<Campaign>,
    in_flight: Arc<Semaphore>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Whether a task is emptying the lane. It leaves only when it sees the lane empty, under the same lock.
    draining: bool,
}

struct Waiting {
    request: (AttemptId, UserId),
    since: Instant,
    answer: oneshot::Sender<Result<Answer, ClaimError>>,
    /// Given back with the answer.
    permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Coalescer {
    pub(super) fn new(redis: Arc<Redis>, limits: config::Claim) -> Self {
        let in_flight = Arc::new(Semaphore::new(limits.in_flight_max));
        Self { redis, limits, in_flight, lanes: Mutex::default() }
    }

    /// Takes its place in the campaign's lane before it first waits: whoever calls first is decided first.
    pub(super) fn submit(
        &self,
        campaign: &Arc<Campaign>,
        attempt: AttemptId,
        user: UserId,
    ) -> impl Future<Output = Result<Answer, ClaimError>> + use<> {
        let place = self.enter(campaign, attempt, user);
        async move {
            match place?.await {
                Ok(answer) => answer,
                Err(_dropped) => Err(ClaimError::Unknown("the call was given up".into())),
            }
        }
    }

    fn enter(
        &self,
        campaign: &Arc<Campaign>,
        attempt: AttemptId,
        user: UserId,
    ) -> Result<oneshot::Receiver<Result<Answer, ClaimError>>, ClaimError> {
        let lane = self.lane(campaign);
        let permit = |of: &Arc<Semaphore>| Arc::clone(of).try_acquire_owned().map_err(|_| ClaimError::TooManyInFlight);
        let permits = (permit(&self.in_flight)?, permit(&lane.in_flight)?);
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { request: (attempt, user), since: Instant::now(), answer, permits };
        let mut queue = lane.queue();
        queue.waiting.push_back(waiting);
        if !queue.draining {
            queue.draining = true;
            drop(queue);
            let (redis, limits) = (Arc::clone(&self.redis), self.limits.clone());
            // A task of its own: the caller may go away, those who wait behind it do not.
            tokio::spawn(async move { lane.drain(&redis, &limits).await });
        }
        Ok(answered)
    }

    fn lane(&self, campaign: &Arc<Campaign>) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let new_lane = || {
            Arc::new(Lane {
                campaign: Arc::clone(campaign),
                in_flight: Arc::new(Semaphore::new(self.limits.campaign_in_flight_max)),
                queue: Mutex::default(),
            })
        };
        Arc::clone(lanes.entry(campaign.id()).or_insert_with(new_lane))
    }
}

impl Lane {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        // A panic between two statements leaves a queue that is whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn drain(&self, redis: &Arc<Redis>, limits: &config::Claim) {
        while let Some(batch) = self.next_batch(limits) {
            self.decide(redis, batch).await;
        }
    }

    /// Those who are next and still there; `None` when nobody is, and then nobody drains any more.
    fn next_batch(&self, limits: &config::Claim) -> Option<Vec<Waiting>> {
        let wait_max = Duration::from_millis(limits.queue_wait_ms_max);
        let mut queue = self.queue();
        let mut batch = Vec::with_capacity(limits.batch_max.min(queue.waiting.len()));
        while batch.len() < limits.batch_max {
            let Some(waiting) = queue.waiting.pop_front() else { break };
            if waiting.answer.is_closed() {
                // The client has gone: nobody would hear of the unit.
                metrics::counter!("onrush_claim_abandoned_total").increment(1);
            } else if waiting.since.elapsed() > wait_max {
                let _gone = waiting.answer.send(Err(ClaimError::WaitedTooLong));
            } else {
                batch.push(waiting);
            }
        }
        if batch.is_empty() && queue.waiting.is_empty() {
            queue.draining = false;
            return None;
        }
        Some(batch)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(campaign = %self.campaign.id(), requests = batch.len()))]
    async fn decide(&self, redis: &Arc<Redis>, batch: Vec<Waiting>) {
        if batch.is_empty() {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a batch has at most a thousand requests")]
        metrics::histogram!("onrush_claim_batch_requests").record(batch.len() as f64);
        let (requests, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|waiting| (waiting.request, (waiting.answer, waiting.permits))).unzip();
        let asked = Instant::now();
        let outcome = issue(redis, &self.campaign, &requests).await;
        metrics::histogram!("onrush_claim_call_seconds").record(asked.elapsed().as_secs_f64());
        match outcome {
            Ok(decided) => {
                for ((answer, permits), decision) in answers.into_iter().zip(decided) {
                    drop(permits);
                    let _gone = answer.send(Ok(decision));
                }
            }
            Err(error) => {
                metrics::counter!("onrush_claim_call_failures_total").increment(1);
                tracing::warn!(campaign = %self.campaign.id(), requests = requests.len(), %error, "the outcome of a batch is unknown");
                for (answer, _) in answers {
                    let _gone = answer.send(Err(ClaimError::Unknown(error.to_string())));
                }
            }
        }
    }
}

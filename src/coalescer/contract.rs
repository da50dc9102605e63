//! What a kind of request says of itself: who decides it, how many travel together, where that is counted.

use std::sync::Arc;

use metrics::{Counter, Histogram};
use thiserror::Error;

use crate::campaign::Campaign;
use crate::redis::RedisError;

/// What a kind of queue carries, and who decides it.
pub(crate) trait Decide: Send + Sync + 'static {
    /// What is asked for.
    type Request: Send + Sync + 'static;
    /// What is decided about one request.
    type Answer: Send + 'static;

    /// Calls that may be under way at a time: 2 keep Redis busy; 1 where two could overtake each other.
    fn calls_max(&self, campaign: &Campaign) -> usize;

    /// What is certain without a call. Asked once for each batch; what it answers is then asked about each of those who
    /// are next, while the queue is locked: those it has an answer for hear that one, and do not travel.
    fn certain(&self, campaign: &Campaign) -> impl Fn(&Self::Request) -> Option<Self::Answer>;

    /// Decides these requests, in their order, in one call. As many answers as requests.
    fn decide(
        &self,
        campaign: &Arc<Campaign>,
        requests: &[Self::Request],
    ) -> impl Future<Output = Result<Vec<Self::Answer>, RedisError>> + Send;
}

/// How many travel together, and how many may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Requests that one call decides.
    pub(crate) batch_max: usize,
    /// Requests that must wait before a second call is sent while the first is under way; says nothing where only one may be.
    pub(crate) second_call_min: usize,
    /// Requests in flight, of all campaigns.
    pub(crate) in_flight_max: usize,
    /// Requests in flight, of each campaign.
    pub(crate) campaign_in_flight_max: usize,
    /// How long a request may wait for its turn.
    pub(crate) queue_wait_ms_max: u64,
}

/// Where it is counted what travels. Looked up by name once, by who knows the names, and not for each batch.
pub(crate) struct Meters {
    /// Requests in each call.
    pub(crate) batch_requests: Histogram,
    /// How long each call took.
    pub(crate) call_seconds: Histogram,
    /// Calls that failed.
    pub(crate) call_failures: Counter,
    /// Requests whose caller went away before their turn.
    pub(crate) abandoned: Counter,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum CoalescerError {
    /// It may have happened.
    #[error("it may have happened")]
    Unknown,
    /// It did not happen, for this reason.
    #[error("{0}: nothing was done")]
    NothingDone(&'static str),
    /// It did not happen: too much is under way already.
    #[error("too many requests in flight")]
    TooManyInFlight,
    /// It did not happen: its turn did not come in time.
    #[error("waited too long for its turn")]
    WaitedTooLong,
}

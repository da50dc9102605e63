//! Who travels together? Requests for one campaign that arrive while a call is under way share the next one.
//!
//! - Idle, a request leaves at once, alone. Under load the round trip is shared by all that came during the last one
//!   (group commit), up to `Limits::batch_max`.
//! - While Redis works on one call and enough wait to fill another, that one is sent, too: Redis finds it when it is done.
//!   Both travel on one connection, in the order of arrival, and so are the decisions. More would only be shorter batches.
//! - What waits is bounded, for the node and for each campaign: a request counts until it is answered.
//! - What is asked for and who decides it is the other rooms' matter: see [`Decide`]. Each kind has lanes and limits of its
//!   own.

mod in_flight;
mod lane;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use metrics::{Counter, Histogram};
use thiserror::Error;

use crate::campaign::Campaign;
use crate::ids::CampaignId;
use crate::redis::RedisError;
use in_flight::InFlight;
use lane::{Lane, Shared};

/// What a kind of lane carries, and who decides it.
pub(crate) trait Decide: Send + Sync + 'static {
    /// What is asked for.
    type Request: Send + Sync + 'static;
    /// What is decided about one request.
    type Answer: Send + 'static;

    /// Calls that may be under way at a time: 2 keep Redis busy; 1 where two could overtake each other.
    fn calls_max(&self, campaign: &Campaign) -> usize;

    /// What is certain without a call. Asked once for each batch; what it answers is then asked about each of those who
    /// are next, while the lane is locked: those it has an answer for hear that one, and do not travel.
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

/// The lanes of all campaigns on this node, for one kind of request.
pub(crate) struct Coalescer<D: Decide> {
    shared: Arc<Shared<D>>,
    lanes: RwLock<HashMap<CampaignId, Arc<Lane<D>>>>,
}

impl<D: Decide> Coalescer<D> {
    /// Nothing is under way yet.
    pub(crate) fn new(decider: D, limits: Limits, meters: Meters) -> Self {
        let in_flight = InFlight::new(limits.in_flight_max);
        Self { shared: Arc::new(Shared { decider, limits, meters, in_flight }), lanes: RwLock::default() }
    }

    /// Takes its place in the campaign's lane before it first waits: whoever calls first is decided first.
    pub(crate) fn submit(
        &self,
        campaign: &Arc<Campaign>,
        request: D::Request,
    ) -> impl Future<Output = Result<D::Answer, CoalescerError>> + use<D> {
        let place = self.lane(campaign).enter(request);
        async move {
            match place?.await {
                Ok(answer) => answer,
                // The call was given up.
                Err(_dropped) => Err(CoalescerError::Unknown),
            }
        }
    }

    fn lane(&self, campaign: &Arc<Campaign>) -> Arc<Lane<D>> {
        let definition = campaign.definition();
        let known = self.lanes.read().unwrap_or_else(PoisonError::into_inner).get(definition.id()).cloned();
        known.unwrap_or_else(|| {
            let mut lanes = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
            let new_lane = || Lane::new(Arc::clone(campaign), Arc::clone(&self.shared));
            Arc::clone(lanes.entry(campaign.id()).or_insert_with(|| Arc::new(new_lane())))
        })
    }
}

//! Who travels together? Requests for one campaign that arrive while a call is under way share the next one.
//!
//! - Idle, a request leaves at once, alone. Under load the round trip is shared by all that came during the last one
//!   (group commit), up to `Limits::batch_max`.
//! - While Redis works on one call and enough wait to fill another, that one is sent, too: Redis finds it when it is done.
//!   Both travel on one connection, in the order of arrival, and so are the decisions. More would only be shorter batches.
//! - What waits is bounded, for the node and for each campaign: a request counts until it is answered.
//! - What is asked for and who decides it is the other rooms' matter: see [`Decide`]. Each kind has queues and limits of its
//!   own.

mod contract;
mod in_flight;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::campaign::Campaign;
use crate::ids::CampaignId;
pub(crate) use contract::{CoalescerError, Decide, Limits, Meters};
use in_flight::InFlight;
use queue::{Queue, Shared};

/// The queues of all campaigns on this node, for one kind of request.
pub(crate) struct Coalescer<D: Decide> {
    shared: Arc<Shared<D>>,
    queues: RwLock<HashMap<CampaignId, Arc<Queue<D>>>>,
}

impl<D: Decide> Coalescer<D> {
    /// Nothing is under way yet.
    pub(crate) fn new(decider: D, limits: Limits, meters: Meters) -> Self {
        let in_flight = InFlight::new(limits.in_flight_max);
        Self { shared: Arc::new(Shared { decider, limits, meters, in_flight }), queues: RwLock::default() }
    }

    /// Takes its place in the campaign's queue before it first waits: whoever calls first is decided first.
    pub(crate) fn submit(
        &self,
        campaign: &Arc<Campaign>,
        request: D::Request,
    ) -> impl Future<Output = Result<D::Answer, CoalescerError>> + use<D> {
        let place = self.queue(campaign).enter(request);
        async move {
            match place?.await {
                Ok(answer) => answer,
                // The call was given up.
                Err(_dropped) => Err(CoalescerError::Unknown),
            }
        }
    }

    fn queue(&self, campaign: &Arc<Campaign>) -> Arc<Queue<D>> {
        let definition = campaign.definition();
        let known = self.queues.read().unwrap_or_else(PoisonError::into_inner).get(definition.id()).cloned();
        known.unwrap_or_else(|| {
            let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
            let new_queue = || Queue::new(Arc::clone(campaign), Arc::clone(&self.shared));
            Arc::clone(queues.entry(campaign.id()).or_insert_with(|| Arc::new(new_queue())))
        })
    }
}

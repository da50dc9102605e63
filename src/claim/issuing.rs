//! Claims as the coalescer carries them: what is certain from memory, and one script call for the rest.

use std::sync::Arc;

use super::answer::{Answer, Request};
use super::freed::Freed;
use super::issue::issue;
use super::local_refusals::LocalRefusals;
use crate::campaign::{Campaign, Durability};
use crate::coalescer::{Decide, Limits, Meters};
use crate::config;
use crate::redis::{Redis, RedisError};

/// Decides batches of claims.
pub(super) struct Issuing {
    pub(super) redis: Arc<Redis>,
    pub(super) refusals: LocalRefusals,
    pub(super) freed: Arc<dyn Freed>,
}

impl Decide for Issuing {
    type Request = Request;
    type Answer = Answer;

    /// Where each answer waits for replicas or the disk, calls have connections of their own, and only one at a time keeps
    /// the order.
    fn calls_max(&self, campaign: &Campaign) -> usize {
        let is_memory = campaign.definition().spec.durability == Durability::Memory;
        if is_memory && !self.redis.is_loading() { 2 } else { 1 }
    }

    fn certain(&self, campaign: &Campaign) -> impl Fn(&Request) -> Option<Answer> {
        let sold_out = self.refusals.is_sold_out(&self.redis, campaign);
        move |request| (sold_out && !request.attempt.may_be_repeated()).then_some(Answer::SoldOut)
    }

    async fn decide(&self, campaign: &Arc<Campaign>, requests: &[Request]) -> Result<Vec<Answer>, RedisError> {
        let answers = issue(&self.redis, campaign, requests, self.refusals.lease_us()).await?;
        // The pass of a user who holds the limit has ended.
        let may_end_a_pass = |answer: &Answer| matches!(answer, Answer::Issued(_) | Answer::LimitReached(_));
        if campaign.definition().spec.waiting.is_some() && answers.iter().any(may_end_a_pass) {
            self.freed.freed(campaign);
        }
        Ok(answers)
    }
}

pub(super) fn limits(claim: &config::Claim) -> Limits {
    Limits {
        batch_max: claim.batch_max,
        second_call_min: claim.second_call_min,
        in_flight_max: claim.in_flight_max,
        campaign_in_flight_max: claim.campaign_in_flight_max,
        queue_wait_ms_max: claim.queue_wait_ms_max,
    }
}

pub(super) fn meters() -> Meters {
    Meters {
        batch_requests: metrics::histogram!("onrush_claim_batch_requests"),
        call_seconds: metrics::histogram!("onrush_claim_call_seconds"),
        call_failures: metrics::counter!("onrush_claim_call_failures_total"),
        abandoned: metrics::counter!("onrush_claim_abandoned_total"),
    }
}

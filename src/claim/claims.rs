//! All that can be done with claims: the public face of the room.

use std::sync::Arc;

use super::answer::{Answer, Request};
use super::coupon::{Coupon, Coupons};
use super::error::ClaimError;
use super::freed::Freed;
use super::issuing::{self, Issuing};
use super::lifecycle::{self, Cancel, GiveBack, Redeem, Unredeem};
use super::local_refusals::LocalRefusals;
use super::read;
use super::record::Claim;
use super::tally::ClaimTally;
use crate::campaign::{Campaign, Catalog};
use crate::coalescer::Coalescer;
use crate::config;
use crate::ids::{AttemptId, ClaimId, UserId};
use crate::redis::Redis;

/// Who asks for a unit asks here.
pub struct Claims {
    redis: Arc<Redis>,
    refusals: LocalRefusals,
    coalescer: Coalescer<Issuing>,
    tally: Arc<ClaimTally>,
    coupons: Coupons,
    freed: Arc<dyn Freed>,
}

impl Claims {
    /// Nothing is under way yet. `freed` hears whenever somebody else may come in.
    #[must_use]
    pub fn new(redis: Arc<Redis>, limits: &config::Claim, coupons: Coupons, freed: Arc<dyn Freed>) -> Self {
        let refusals = LocalRefusals::new(limits);
        let decider = Issuing { redis: Arc::clone(&redis), refusals, freed: Arc::clone(&freed) };
        let coalescer = Coalescer::new(decider, issuing::limits(limits), issuing::meters());
        Self { redis, refusals, coalescer, tally: Arc::default(), coupons, freed }
    }

    /// The claim's coupon code; `None`: a code has no room for it.
    #[must_use]
    pub fn code_of(&self, campaign: &Campaign, claim: &Claim) -> Option<String> {
        let serial = campaign.definition().serial;
        self.coupons.write(Coupon { serial, generation: claim.generation, number: claim.number })
    }

    /// The claim that a coupon code belongs to, with its campaign; `None`: it is no code of ours. Nobody has looked yet whether
    /// there is such a claim.
    #[must_use]
    pub fn by_code(&self, catalog: &Catalog, code: &str) -> Option<(Arc<Campaign>, ClaimId)> {
        let coupon = self.coupons.read(code)?;
        let campaign = catalog.by_serial(coupon.serial)?;
        let claim = ClaimId { campaign: campaign.id(), generation: coupon.generation, number: coupon.number };
        Some((campaign, claim))
    }

    /// How many were asked for, and how many could not be answered.
    #[must_use]
    pub fn tally(&self) -> Arc<ClaimTally> {
        Arc::clone(&self.tally)
    }

    /// Asks for one unit. What this node knows for certain is answered at once. Otherwise the call itself takes the place
    /// in the queue, and awaiting it only hears the answer.
    pub fn claim(
        &self,
        campaign: &Arc<Campaign>,
        request: Request,
    ) -> impl Future<Output = Result<Answer, ClaimError>> + use<> {
        let place = match self.refusals.refusal(&self.redis, campaign, &request.attempt) {
            Some(refusal) => Err(refusal),
            None => Ok(self.coalescer.submit(campaign, request)),
        };
        let tally = Arc::clone(&self.tally);
        async move {
            let outcome = match place {
                Err(refusal) => Ok(refusal),
                Ok(place) => place.await.map_err(ClaimError::from),
            };
            tally.count(&outcome);
            outcome
        }
    }

    /// Puts a claim's unit back into stock; with an owner, only if the claim is theirs.
    pub async fn give_back(
        &self,
        campaign: &Arc<Campaign>,
        claim: &ClaimId,
        owner: Option<&UserId>,
    ) -> Result<GiveBack, ClaimError> {
        let outcome = lifecycle::give_back(&self.redis, campaign, claim, owner).await;
        campaign.forget_counters().await;
        if let Ok(GiveBack::Done(_)) = outcome {
            self.freed.freed(campaign);
        }
        outcome
    }

    /// Gives back what this attempt of the user has claimed; if that is nothing, it never will claim anything.
    pub async fn cancel(
        &self,
        campaign: &Arc<Campaign>,
        user: &UserId,
        attempt: &AttemptId,
    ) -> Result<Cancel, ClaimError> {
        let outcome = lifecycle::cancel(&self.redis, campaign, user, attempt).await;
        campaign.forget_counters().await;
        if let Ok(Cancel::GivenBack(_)) = outcome {
            self.freed.freed(campaign);
        }
        outcome
    }

    /// Uses a claim's coupon, once. The same call again is the same redemption.
    pub async fn redeem(&self, campaign: &Campaign, claim: &ClaimId, call: &AttemptId) -> Result<Redeem, ClaimError> {
        lifecycle::redeem(&self.redis, campaign, claim, call).await
    }

    /// Undoes the use of a claim's coupon, for a reason without control characters.
    pub async fn unredeem(
        &self,
        campaign: &Campaign,
        claim: &ClaimId,
        call: &AttemptId,
        reason: &str,
    ) -> Result<Unredeem, ClaimError> {
        lifecycle::unredeem(&self.redis, campaign, claim, call, reason).await
    }

    /// One claim; `None` if there is none.
    pub async fn find(&self, campaign: &Campaign, claim: &ClaimId) -> Result<Option<Claim>, ClaimError> {
        read::one(&self.redis, campaign, claim).await.map_err(ClaimError::of_a_read)
    }

    /// Every claim that a user ever made of a campaign, by number.
    pub async fn of_user(&self, campaign: &Campaign, user: &UserId) -> Result<Vec<Claim>, ClaimError> {
        read::of_user(&self.redis, campaign, user).await.map_err(ClaimError::of_a_read)
    }

    /// The claims of a campaign after this number, by number, at most so many.
    pub async fn page(&self, campaign: &Campaign, after: u64, count_max: usize) -> Result<Vec<Claim>, ClaimError> {
        read::page(&self.redis, campaign, after, count_max).await.map_err(ClaimError::of_a_read)
    }
}

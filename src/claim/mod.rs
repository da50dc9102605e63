//! May this user have one? From the request to Redis' decision, and what may follow it.
//!
//! - Redis decides, in one script, for all requests of a campaign that wait at the moment.
//! - What a node knows for certain it says itself: sold out, not open yet, closed.
//! - An outcome that is unknown is said to be unknown. The attempt's id makes it safe to ask again.
//! - An answer states the durability that was reached: at most what the campaign asks for, at most what the claim's record
//!   says, and at most what holds at that moment.
//! - Nothing here touches the database or Kafka.

mod after;
mod coupon;
mod issue;
mod issuing;
mod memory;
mod read;
mod record;
mod tally;

use std::sync::Arc;

use thiserror::Error;

use crate::campaign::Campaign;
use crate::coalescer::Coalescer;
use crate::config;
use crate::ids::{AttemptId, ClaimId, UserId};
use crate::redis::{Redis, RedisError};
pub use after::{Cancel, GiveBack, Redeem, Unredeem};
pub use coupon::{Coupon, Coupons};
pub use issue::{Answer, PassOf, Request};
use issuing::Issuing;
use memory::Memory;
pub use record::{Claim, ClaimState};
pub use tally::ClaimTally;

/// Why there is no answer. Clients hear `unavailable` and may repeat; the same attempt never takes two units.
#[derive(Debug, Error)]
pub enum ClaimError {
    /// It may have happened.
    #[error("it may have happened; repeat it, with the same Idempotency-Key if it had one")]
    Unknown,
    /// It did not happen, for this reason.
    #[error("{0}: nothing was done")]
    NothingDone(&'static str),
    /// Nothing was to happen: it was only asked for, and could not be read, for this reason.
    #[error("{0}")]
    Unread(&'static str),
    /// It did not happen: too much is under way already.
    #[error("too many claims in flight")]
    TooManyInFlight,
    /// It did not happen: its turn did not come in time.
    #[error("waited too long for its turn")]
    WaitedTooLong,
    /// It did not happen: the campaign was lost in Redis and has to be rebuilt.
    #[error("the campaign was lost in Redis and has to be rebuilt")]
    Lost,
    /// It did not happen: the campaign is being made.
    #[error("the campaign is being made")]
    BeingMade,
    /// It did not happen: facts wait for Kafka, and there is no room for more.
    #[error("too many facts of the campaign wait for Kafka")]
    OutboxFull,
}

impl From<RedisError> for ClaimError {
    fn from(error: RedisError) -> Self {
        error.note();
        if error.has_done_nothing() { Self::NothingDone(error.reason()) } else { Self::Unknown }
    }
}

impl ClaimError {
    /// An answer of Redis that no script gives.
    fn unexpected(answer: String) -> Self {
        RedisError::Unexpected(answer).into()
    }

    /// The same, of what changes nothing.
    fn of_a_read(self) -> Self {
        match self {
            Self::Unknown => Self::Unread("Redis did not answer"),
            Self::NothingDone(why) => Self::Unread(why),
            other => other,
        }
    }
}

/// The public face of the room.
pub struct Claims {
    redis: Arc<Redis>,
    memory: Memory,
    coalescer: Coalescer<Issuing>,
    tally: Arc<ClaimTally>,
}

impl Claims {
    /// Nothing is under way yet.
    #[must_use]
    pub fn new(redis: Arc<Redis>, limits: &config::Claim) -> Self {
        let memory = Memory::new(limits);
        let decider = Issuing { redis: Arc::clone(&redis), memory };
        let coalescer = Coalescer::new(decider, issuing::limits(limits), issuing::meters());
        Self { redis, memory, coalescer, tally: Arc::default() }
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
        let place = match self.memory.refusal(&self.redis, campaign, &request.attempt) {
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
        campaign: &Campaign,
        claim: &ClaimId,
        owner: Option<&UserId>,
    ) -> Result<GiveBack, ClaimError> {
        let outcome = after::give_back(&self.redis, campaign, claim, owner).await;
        campaign.forget_counters().await;
        outcome
    }

    /// Gives back what this attempt of the user has claimed; if that is nothing, it never will claim anything.
    pub async fn cancel(&self, campaign: &Campaign, user: &UserId, attempt: &AttemptId) -> Result<Cancel, ClaimError> {
        let outcome = after::cancel(&self.redis, campaign, user, attempt).await;
        campaign.forget_counters().await;
        outcome
    }

    /// Uses a claim's coupon, once. The same call again is the same redemption.
    pub async fn redeem(&self, campaign: &Campaign, claim: &ClaimId, call: &AttemptId) -> Result<Redeem, ClaimError> {
        after::redeem(&self.redis, campaign, claim, call).await
    }

    /// Undoes the use of a claim's coupon, for a reason without control characters.
    pub async fn unredeem(
        &self,
        campaign: &Campaign,
        claim: &ClaimId,
        call: &AttemptId,
        reason: &str,
    ) -> Result<Unredeem, ClaimError> {
        after::unredeem(&self.redis, campaign, claim, call, reason).await
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

//! A claim, as it is read from what the scripts keep and answer.

use crate::clock::Millis;
pub use crate::facts::ClaimState;
use crate::facts::{ClaimRecord, RedemptionRecord};
use crate::redis::{Durability, RedisError};

/// A user's right to one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// From 1, in the order of decision.
    pub number: u64,
    /// The campaign's generation when it was given.
    pub generation: u32,
    /// Whose it is.
    pub user: String,
    /// When it was decided, by Redis' clock.
    pub claimed_at: Millis,
    /// Where it is in its life.
    pub state: ClaimState,
    /// When its coupon was used; `None`: it is not, or nobody has noted when.
    pub redeemed_at: Option<Millis>,
    /// What holds of it. Read from its record, it is the most that may be said: see `Claim::at_most`.
    pub durability: Durability,
}

impl Claim {
    /// Reads the record of the claim with this number.
    pub(super) fn parse(number: u64, record: &str) -> Result<Self, RedisError> {
        let unexpected = || RedisError::Unexpected(format!("the record of claim {number}: {record:?}"));
        ClaimRecord::parse(record).and_then(|read| Self::of(number, read)).ok_or_else(unexpected)
    }

    /// Reads a record with its number before it, as replies carry it.
    pub(super) fn parse_numbered(text: &str) -> Result<Self, RedisError> {
        let unexpected = || RedisError::Unexpected(format!("a numbered claim: {text:?}"));
        ClaimRecord::parse_numbered(text).and_then(|(number, read)| Self::of(number, read)).ok_or_else(unexpected)
    }

    /// `None`: a newer program knows a durability that this one does not.
    fn of(number: u64, record: ClaimRecord<'_>) -> Option<Self> {
        Some(Self {
            number,
            generation: record.generation,
            user: record.user.to_owned(),
            claimed_at: Millis(record.claimed_at),
            state: record.state,
            redeemed_at: None,
            durability: Durability::ALL.into_iter().find(|durability| letter(*durability) == record.kept)?,
        })
    }

    /// No more than what holds now, and no more than what was recorded.
    pub(super) fn at_most(&mut self, reached: Durability) {
        self.durability = self.durability.min(reached);
    }

    /// Reads the record of its coupon's use.
    pub(super) fn has_redemption(&mut self, record: &str) {
        self.was_redeemed(RedemptionRecord::parse(record).and_then(|read| read.used_at));
    }

    /// Its coupon was used then, if it is redeemed at all.
    pub(super) fn was_redeemed(&mut self, at: Option<i64>) {
        self.redeemed_at = at.map(Millis).filter(|_| self.state == ClaimState::Redeemed);
    }
}

/// How records spell a durability.
pub(super) fn letter(durability: Durability) -> &'static str {
    match durability {
        Durability::Memory => "",
        Durability::Fsynced => "f",
        Durability::Replicated => "r",
    }
}

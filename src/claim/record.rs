//! A claim as the scripts keep it: one line of fields, parted by a control character.

use crate::clock::Millis;
use crate::redis::{Durability, RedisError};

/// Where a claim is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimState {
    /// The user holds a unit.
    Live,
    /// The unit went back into stock.
    GivenBack,
    /// The coupon was used.
    Redeemed,
}

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

pub(super) const RECORD_SEPARATOR: char = '\u{1e}';
const UNIT_SEPARATOR: char = '\u{1f}';

impl Claim {
    /// Reads `user US claimed_at US attempt US state US generation [US kept]`.
    pub(super) fn parse(number: u64, record: &str) -> Result<Self, RedisError> {
        let unexpected = || RedisError::Unexpected(format!("the record of claim {number}: {record:?}"));
        let fields: Vec<&str> = record.split(UNIT_SEPARATOR).collect();
        let (fields, kept) = match fields[..] {
            [.., kept] if fields.len() == 6 => (&fields[..5], kept),
            _ => (&fields[..], ""),
        };
        let [user, claimed_at, _attempt, state, generation] = fields[..] else { return Err(unexpected()) };
        Ok(Self {
            number,
            generation: generation.parse().map_err(|_| unexpected())?,
            user: user.to_owned(),
            claimed_at: Millis(claimed_at.parse().map_err(|_| unexpected())?),
            state: match state {
                "l" => ClaimState::Live,
                "g" => ClaimState::GivenBack,
                "r" => ClaimState::Redeemed,
                _ => return Err(unexpected()),
            },
            redeemed_at: None,
            durability: Durability::ALL.into_iter().find(|it| letter(*it) == kept).ok_or_else(unexpected)?,
        })
    }

    /// No more than what holds now, and no more than what was recorded.
    pub(super) fn at_most(&mut self, reached: Durability) {
        self.durability = self.durability.min(reached);
    }

    /// Reads `redeemed at US calls`, of a claim that is redeemed.
    pub(super) fn was_redeemed(&mut self, redemption: &str) {
        let at = redemption.split(UNIT_SEPARATOR).next().unwrap_or_default();
        self.redeemed_at = at.parse().ok().map(Millis).filter(|_| self.state == ClaimState::Redeemed);
    }

    /// Reads a record with its number before it, as replies carry it.
    pub(super) fn parse_numbered(text: &str) -> Result<Self, RedisError> {
        let unexpected = || RedisError::Unexpected(format!("a numbered claim: {text:?}"));
        let (number, record) = text.split_once(UNIT_SEPARATOR).ok_or_else(unexpected)?;
        Self::parse(number.parse().map_err(|_| unexpected())?, record)
    }
}

/// How the records spell a durability.
pub(super) fn letter(durability: Durability) -> &'static str {
    match durability {
        Durability::Memory => "",
        Durability::Fsynced => "f",
        Durability::Replicated => "r",
    }
}

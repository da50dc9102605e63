//! A claim as the scripts keep it: one line of fields, parted by a control character.

use crate::clock::Millis;
use crate::redis::RedisError;

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
}

pub(super) const RECORD_SEPARATOR: char = '\u{1e}';
const UNIT_SEPARATOR: char = '\u{1f}';

impl Claim {
    /// Reads `user US claimed_at US attempt US state US generation`.
    pub(super) fn parse(number: u64, record: &str) -> Result<Self, RedisError> {
        let unexpected = || RedisError::Unexpected(format!("the record of claim {number}: {record:?}"));
        let fields: Vec<&str> = record.split(UNIT_SEPARATOR).collect();
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
        })
    }

    /// Reads a record with its number before it, as replies carry it.
    pub(super) fn parse_numbered(text: &str) -> Result<Self, RedisError> {
        let unexpected = || RedisError::Unexpected(format!("a numbered claim: {text:?}"));
        let (number, record) = text.split_once(UNIT_SEPARATOR).ok_or_else(unexpected)?;
        Self::parse(number.parse().map_err(|_| unexpected())?, record)
    }
}

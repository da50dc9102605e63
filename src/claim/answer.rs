//! What is asked for, and what Redis decides about it.

use super::record::Claim;
use crate::clock::Millis;
use crate::ids::{AttemptId, UserId};

/// A press of the button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Repeated, it is the same press.
    pub attempt: AttemptId,
    /// Whose.
    pub user: UserId,
    /// What their pass was given for; `None`: there came none that holds.
    pub pass: Option<PassOf>,
}

/// What a pass was given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassOf {
    /// The number of the place.
    pub number: u64,
    /// The life of the room; 0: it does not say.
    pub life: u32,
}

/// What Redis decided about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The user has a unit.
    Issued(Claim),
    /// This attempt had its claim already; its state is today's.
    Replayed(Claim),
    /// No unit is left.
    SoldOut,
    /// Before `opens_at`.
    NotOpenYet {
        /// The moment of the decision, by Redis' clock.
        now: Millis,
    },
    /// Paused by an operator.
    Paused,
    /// Past `closes_at`, or closed by an operator.
    Closed,
    /// The user holds as many units as one may.
    LimitReached(Vec<Claim>),
    /// The user has claimed and given back without end.
    ClaimsExhausted,
    /// The facts of earlier claims wait for Kafka, and there is no room for more. No unit was taken.
    OutboxFull,
    /// The campaign has a waiting room, and no pass that holds came with the request.
    PassRequired,
    /// The user has cancelled this attempt: it never takes a unit.
    Cancelled,
    /// The campaign was lost in Redis and has to be rebuilt. No unit was taken.
    Lost,
    /// The campaign is being made just now. No unit was taken.
    NotArmed,
}

impl Answer {
    /// The claims that it shows.
    pub(super) fn claims(&mut self) -> &mut [Claim] {
        match self {
            Self::Issued(claim) | Self::Replayed(claim) => std::slice::from_mut(claim),
            Self::LimitReached(claims) => claims,
            Self::SoldOut
            | Self::NotOpenYet { .. }
            | Self::Paused
            | Self::Closed
            | Self::ClaimsExhausted
            | Self::OutboxFull
            | Self::PassRequired
            | Self::Cancelled
            | Self::Lost
            | Self::NotArmed => &mut [],
        }
    }
}

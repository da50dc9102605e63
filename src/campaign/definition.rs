//! What a campaign is, apart from its stock's whereabouts: the members that people set.

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::ids::CampaignId;
pub use crate::redis::Durability;

/// What an operator asks for when a campaign is made, with the defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// See [`CampaignId`].
    pub id: CampaignId,
    /// For people; 1 to 200 characters.
    pub name: String,
    /// Units on offer.
    pub stock: u64,
    /// Units that one user may hold.
    pub per_user_limit: u32,
    /// Claims are refused before; `None`: open at once.
    pub opens_at: Option<Millis>,
    /// Claims are refused from then on; `None`: until closed.
    pub closes_at: Option<Millis>,
    /// What must hold before a claim is answered.
    pub durability: Durability,
    /// Whether the public list shows it.
    pub listed: bool,
}

/// A campaign as its row says, at one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// What was asked for, with all changes since.
    #[serde(flatten)]
    pub terms: Draft,
    /// Stands for the id in coupon codes.
    pub serial: u32,
    /// One more at each change.
    pub version: u64,
    /// Paused by an operator.
    pub paused: bool,
    /// Closed by an operator, for good.
    pub closed: bool,
    /// When the row was made, by the database's clock.
    pub created_at: Millis,
}

impl Definition {
    /// The campaign's id.
    #[must_use]
    pub fn id(&self) -> &CampaignId {
        &self.terms.id
    }

    /// The campaign's state at a moment, by precedence.
    #[must_use]
    pub fn state(&self, now: Millis, left: u64) -> State {
        if self.closed || self.terms.closes_at.is_some_and(|closes_at| now >= closes_at) {
            State::Closed
        } else if self.paused {
            State::Paused
        } else if self.terms.opens_at.is_some_and(|opens_at| now < opens_at) {
            State::Scheduled
        } else if left == 0 {
            State::SoldOut
        } else {
            State::Open
        }
    }
}

/// What a claim would meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Before `opens_at`.
    Scheduled,
    /// Claims are taken.
    Open,
    /// Stopped by an operator for a while.
    Paused,
    /// No unit is left.
    SoldOut,
    /// Past `closes_at`, or closed by an operator.
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_goes_by_precedence_and_the_window_is_half_open() {
        let terms = Draft {
            id: "c".parse().unwrap(),
            name: "n".into(),
            stock: 1,
            per_user_limit: 1,
            opens_at: Some(Millis(10)),
            closes_at: Some(Millis(20)),
            durability: Durability::Memory,
            listed: true,
        };
        let mut campaign =
            Definition { terms, serial: 1, version: 1, paused: false, closed: false, created_at: Millis(0) };
        let at = |campaign: &Definition, ms| campaign.state(Millis(ms), 1);
        assert_eq!(at(&campaign, 9), State::Scheduled);
        assert_eq!(at(&campaign, 10), State::Open);
        assert_eq!(at(&campaign, 19), State::Open);
        assert_eq!(at(&campaign, 20), State::Closed);
        assert_eq!(campaign.state(Millis(10), 0), State::SoldOut);
        campaign.paused = true;
        assert_eq!(at(&campaign, 9), State::Paused);
        campaign.closed = true;
        assert_eq!(at(&campaign, 9), State::Closed);
    }
}

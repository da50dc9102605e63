//! What a campaign is, apart from its stock's whereabouts: the members that people set.

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::ids::CampaignId;

/// What must hold before a claim is answered 201. The answer says what did hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Survives the death of any process but Redis.
    Memory,
    /// Survives Redis' too.
    Fsynced,
    /// Survives the loss of the primary.
    Replicated,
}

impl Durability {
    /// All of them, weakest first.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Fsynced, Self::Replicated];

    /// The word in the contract and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Fsynced => "fsynced",
            Self::Replicated => "replicated",
        }
    }

    /// The durability of this name.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|durability| durability.as_str() == word)
    }
}

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

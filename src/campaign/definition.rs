//! What a campaign is, apart from its stock's whereabouts: the members that people set.

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::ids::CampaignId;
pub use crate::redis::Durability;

/// What an operator asks for when a campaign is made, with the defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
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
    /// The queue before it; `None`: whoever comes may claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
}

impl Spec {
    /// With the defaults of whatever need not be said.
    #[must_use]
    pub fn new(id: CampaignId, name: &str, stock: u64) -> Self {
        Self {
            id,
            name: name.to_owned(),
            stock,
            per_user_limit: 1,
            opens_at: None,
            closes_at: None,
            durability: Durability::Memory,
            listed: true,
            waiting: None,
        }
    }
}

/// How a waiting room admits. At least one of the pace and the cap is given; both hold together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Waiting {
    /// Users who may enter in any window of `every_ms`.
    #[schema(example = 750, minimum = 1, maximum = 1_000_000)]
    pub admit: Option<u64>,
    /// The length of that window.
    #[schema(example = 10_000, minimum = 100, maximum = 3_600_000)]
    pub every_ms: Option<u64>,
    /// Users who may be inside at a time.
    #[schema(example = 10_000, minimum = 1, maximum = 10_000_000)]
    pub active_max: Option<u64>,
    /// How long a pass lasts after it was picked up.
    #[schema(example = 600, minimum = 1, maximum = 86_400)]
    pub pass_ttl_s: u64,
    /// How long after the admission it may be picked up.
    #[schema(example = 60, minimum = 1, maximum = 86_400)]
    pub claim_pass_within_s: u64,
    /// Who is next.
    pub order: Order,
    /// Users who may be inside beyond the units that are left.
    #[schema(example = 0, minimum = 0, maximum = 1_000_000)]
    pub reserve: u64,
    /// What the operator says to who visits; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
}

/// A sentence of an operator's, in the languages of the visitors' page. At least one of them is there; who reads the other
/// is shown that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Message {
    /// In English.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "We are adding units at 11:00.", min_length = 1, max_length = 200)]
    pub en: Option<String>,
    /// In Korean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "11시에 수량을 추가합니다.", min_length = 1, max_length = 200)]
    pub ko: Option<String>,
}

/// Who is next in a waiting room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Who came first.
    Fifo,
    /// Who joins before the opening is drawn into a random order at it; who comes later queues behind.
    Draw,
}

impl Default for Waiting {
    /// What holds where nothing is said; of pace and cap one has to be.
    fn default() -> Self {
        Self {
            admit: None,
            every_ms: None,
            active_max: None,
            pass_ttl_s: 600,
            claim_pass_within_s: 60,
            order: Order::Fifo,
            reserve: 0,
            message: None,
        }
    }
}

impl Waiting {
    /// What does not fit together: the member and why. The opening is the campaign's.
    #[must_use]
    pub fn field_error(&self, opens_at: Option<Millis>) -> Option<(&'static str, &'static str)> {
        if self.admit.is_some() != self.every_ms.is_some() {
            let name = if self.admit.is_some() { "waiting/every_ms" } else { "waiting/admit" };
            Some((name, "admit and every_ms go together"))
        } else if self.admit.is_none() && self.active_max.is_none() {
            Some(("waiting", "needs a pace (admit and every_ms), a cap (active_max), or both"))
        } else if self.order == Order::Draw && opens_at.is_none() {
            Some(("waiting/order", "a draw needs opens_at: it is at the opening"))
        } else {
            None
        }
    }

    /// As the scripts read it: see `lua/waiting/prelude.lua`.
    #[must_use]
    pub fn to_field(&self) -> String {
        let order = match self.order {
            Order::Fifo => 'f',
            Order::Draw => 'd',
        };
        format!(
            "{}:{}:{}:{}:{}:{}:{order}",
            self.admit.unwrap_or(0),
            self.every_ms.unwrap_or(0),
            self.active_max.unwrap_or(0),
            self.pass_ttl_s * 1_000,
            self.claim_pass_within_s * 1_000,
            self.reserve,
        )
    }
}

/// A campaign as its row says, at one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// What was asked for, with all changes since.
    #[serde(flatten)]
    pub spec: Spec,
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
    /// What the order of a draw comes from, as 64 hexadecimal digits: a secret until the draw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw_seed: Option<String>,
}

impl Definition {
    /// The first version of a campaign that is in no store, for tests.
    #[cfg(test)]
    pub(crate) fn first(spec: Spec) -> Self {
        Self { spec, serial: 1, version: 1, paused: false, closed: false, created_at: Millis(0), draw_seed: None }
    }

    /// The campaign's id.
    #[must_use]
    pub fn id(&self) -> &CampaignId {
        &self.spec.id
    }

    /// The campaign's state at a moment, by precedence.
    #[must_use]
    pub fn state(&self, now: Millis, left: u64) -> State {
        if self.closed || self.spec.closes_at.is_some_and(|closes_at| now >= closes_at) {
            State::Closed
        } else if self.paused {
            State::Paused
        } else if self.spec.opens_at.is_some_and(|opens_at| now < opens_at) {
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
#[schema(as = CampaignState)]
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
    /// Redis has lost it: an operator has to rebuild it. Only a list says so.
    Unavailable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_goes_by_precedence_and_the_window_is_half_open() {
        let (opens_at, closes_at) = (Some(Millis(10)), Some(Millis(20)));
        let spec = Spec { opens_at, closes_at, ..Spec::new("c".parse().unwrap(), "n", 1) };
        let mut campaign = Definition::first(spec);
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

//! The public view of a campaign: its definition and its counters, at most `counters_age_ms_max` old, and never older
//! than what this node has decided itself.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::campaigns::Campaigns;
use super::catalog::Campaign;
use super::counters::Peek;
use super::definition::{Durability, State, Waiting};
use super::error::CampaignError;
use super::put::peek;
use crate::clock::Millis;

/// A campaign as everybody may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct View {
    /// The campaign's id.
    #[schema(example = "WELCOME_001")]
    pub id: String,
    /// For people.
    #[schema(example = "Welcome coupon")]
    pub name: String,
    /// Units on offer.
    #[schema(example = 100)]
    pub stock: u64,
    /// Units that one user may hold.
    #[schema(example = 1)]
    pub per_user_limit: u32,
    /// When it opens; null: it was open at once.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub opens_at: Option<Millis>,
    /// When it closes; null: until closed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub closes_at: Option<Millis>,
    /// What must hold before a claim is answered.
    pub durability: Durability,
    /// Whether the public list shows it.
    pub listed: bool,
    /// How its waiting room admits; null: it has none.
    pub waiting: Option<Waiting>,
    /// The seats; none are built yet.
    #[schema(value_type = Option<Object>)]
    pub seats: Option<()>,
    /// What a claim would meet.
    pub state: State,
    /// Units that nobody holds; null while it is unavailable.
    #[schema(example = 58)]
    pub left: Option<u64>,
    /// Live claims; null while it is unavailable.
    #[schema(example = 42)]
    pub claimed: Option<u64>,
    /// Claims that were given back; null while it is unavailable.
    #[schema(example = 0)]
    pub given_back: Option<u64>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Millis,
}

impl Campaigns {
    /// The campaign as everybody may see it.
    pub async fn view(&self, campaign: &Campaign) -> Result<View, CampaignError> {
        let peek = self.recent_peek(campaign).await?;
        Ok(Self::show(campaign, Some(peek)))
    }

    /// The campaign among others: one that Redis has lost does not hide them, and one that is being made is not shown yet.
    pub async fn list_view(&self, campaign: &Campaign) -> Result<Option<View>, CampaignError> {
        match self.view(campaign).await {
            Ok(view) => Ok(Some(view)),
            Err(CampaignError::Lost) => Ok(Some(Self::show(campaign, None))),
            Err(CampaignError::BeingMade) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `None`: Redis does not know how it stands.
    fn show(campaign: &Campaign, peek: Option<Peek>) -> View {
        let definition = campaign.definition();
        let spec = &definition.spec;
        View {
            id: spec.id.to_string(),
            name: spec.name.clone(),
            stock: spec.stock,
            per_user_limit: spec.per_user_limit,
            opens_at: spec.opens_at,
            closes_at: spec.closes_at,
            durability: spec.durability,
            listed: spec.listed,
            waiting: spec.waiting.clone(),
            seats: None,
            state: peek.map_or(State::Unavailable, |peek| definition.state(peek.head.now, peek.head.left)),
            left: peek.map(|peek| peek.head.left),
            claimed: peek.map(|peek| peek.next.saturating_sub(peek.given_back + peek.lost_numbers)),
            given_back: peek.map(|peek| peek.given_back),
            created_at: definition.created_at,
        }
    }

    /// A peek that was asked for after this call began, or one that nothing has changed since, as far as this node
    /// knows, and that is young enough. Calls that wait together share one question.
    async fn recent_peek(&self, campaign: &Campaign) -> Result<Peek, CampaignError> {
        let age_max = Duration::from_millis(self.limits.counters_age_ms_max);
        let is_good = |asked: Instant, peek: &Peek| {
            asked.elapsed() < age_max
                && !campaign.is_lost()
                && campaign.high_water.is(peek.head.generation, peek.head.fact_no)
        };
        let ask = async || peek(&self.redis, campaign).await;
        campaign.peeked.get(is_good, ask).await
    }
}

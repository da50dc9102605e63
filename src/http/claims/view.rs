//! A claim, as its user and operators see it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::campaign::Durability;
use crate::claim::ClaimState;
use crate::clock::Millis;
use crate::ids::{CampaignId, ClaimId};

/// A claim, as its user and operators see it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClaimView {
    /// `<campaign id>.<generation>.<number>`.
    #[schema(value_type = String, example = "WELCOME_001.1.42")]
    pub(crate) claim_id: ClaimId,
    #[schema(value_type = String, example = "WELCOME_001")]
    pub(crate) campaign_id: CampaignId,
    #[schema(example = "alice")]
    pub(crate) user_id: String,
    /// From 1, in the order of decision.
    #[schema(example = 42)]
    pub(crate) number: u64,
    /// What the user redeems.
    #[schema(example = "7Q4M-WX2A-9KCD-RT5H-3NVE")]
    pub(crate) coupon_code: String,
    pub(crate) state: ClaimState,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) claimed_at: Millis,
    /// When the coupon was used; null unless it is.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) redeemed_at: Option<Millis>,
    /// What held when this answer was given: at most what the campaign asks for.
    pub(crate) durability: Durability,
}

//! Claims with their coupon codes written.

use crate::campaign::Campaign;
use crate::claim::Claim;
use crate::http::claims::view::ClaimView;
use crate::http::contract::problem::{Code, Problem};
use crate::http::state::App;
use crate::ids::ClaimId;

impl App {
    pub(crate) fn claim_view(&self, campaign: &Campaign, claim: Claim) -> Result<ClaimView, Problem> {
        let definition = campaign.definition();
        let coupon_code = self
            .claims
            .code_of(campaign, &claim)
            .ok_or_else(|| Problem::new(Code::Unavailable, "a coupon code has no room for this claim"))?;
        let campaign_id = definition.id().clone();
        let claim_id = ClaimId { campaign: campaign_id.clone(), generation: claim.generation, number: claim.number };
        Ok(ClaimView {
            claim_id,
            campaign_id,
            user_id: claim.user,
            number: claim.number,
            coupon_code,
            state: claim.state,
            claimed_at: claim.claimed_at,
            redeemed_at: claim.redeemed_at,
            durability: claim.durability,
        })
    }

    pub(crate) fn claim_views(&self, campaign: &Campaign, claims: Vec<Claim>) -> Result<Vec<ClaimView>, Problem> {
        claims.into_iter().map(|claim| self.claim_view(campaign, claim)).collect()
    }
}

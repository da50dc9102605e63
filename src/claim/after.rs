//! What comes after a claim: giving it back, and using its coupon.

use std::sync::Arc;

use super::ClaimError;
use super::record::Claim;
use crate::campaign::Campaign;
use crate::ids::{ClaimId, UserId};
use crate::redis::{Durability, Redis, Reply, Script, Value};
use crate::script;

static GIVE_BACK: Script<4> = script!(prelude + "claim/give_back");
static REDEEM: Script<4> = script!(prelude + "claim/redeem");

/// What became of a give-back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GiveBack {
    /// The unit is in stock again; or it was already, and nothing has changed.
    Done(Claim),
    /// There is no such claim, or it is another user's.
    NotFound,
    /// Its coupon was used.
    AlreadyRedeemed,
}

/// What became of a redemption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeem {
    /// The coupon is used now.
    Done(Claim),
    /// There is no such claim, or it was given back.
    NotFound,
    /// It was used before.
    AlreadyRedeemed,
}

/// Puts the claim's unit back. With an owner, only if the claim is theirs.
pub(super) async fn give_back(
    redis: &Arc<Redis>,
    campaign: &Campaign,
    claim: &ClaimId,
    owner: Option<&UserId>,
) -> Result<GiveBack, ClaimError> {
    let owner = Value::from(owner.map_or("", UserId::as_str));
    let (code, found) = call(redis, campaign, &GIVE_BACK, claim, Some(owner)).await?;
    match (code.as_str(), found) {
        ("ok" | "unchanged", Some(claim)) => Ok(GiveBack::Done(claim)),
        ("already_redeemed", _) => Ok(GiveBack::AlreadyRedeemed),
        ("not_found", _) => Ok(GiveBack::NotFound),
        _ => Err(unknown(&code)),
    }
}

/// Uses the claim's coupon.
pub(super) async fn redeem(redis: &Arc<Redis>, campaign: &Campaign, claim: &ClaimId) -> Result<Redeem, ClaimError> {
    let (code, found) = call(redis, campaign, &REDEEM, claim, None).await?;
    match (code.as_str(), found) {
        ("ok", Some(claim)) => Ok(Redeem::Done(claim)),
        ("already_redeemed", _) => Ok(Redeem::AlreadyRedeemed),
        ("not_found" | "given_back", _) => Ok(Redeem::NotFound),
        _ => Err(unknown(&code)),
    }
}

async fn call(
    redis: &Arc<Redis>,
    campaign: &Campaign,
    script: &Script<4>,
    claim: &ClaimId,
    owner: Option<Value>,
) -> Result<(String, Option<Claim>), ClaimError> {
    let keys = redis.keys().of(&claim.campaign);
    let mut args = campaign.known.args();
    args.extend([claim.number.to_string().into(), claim.generation.to_string().into()]);
    args.extend(owner);
    let keys = [keys.campaign(), keys.holders(), keys.claims(), keys.outbox()];
    let mut lane = redis.lane(&claim.campaign, campaign.definition().terms.durability).await;
    let reply = Reply::parse(lane.call(script, keys, args).await?)?;
    if let Some(head) = reply.head {
        campaign.saw(redis, head, reply.code == "ok");
        if reply.code == "ok" && head.left == 1 {
            campaign.tell_reopened(redis, head);
        }
    }
    match reply.code.as_str() {
        "lost" => {
            campaign.saw_lost();
            return Err(ClaimError::Lost);
        }
        "outbox_full" => return Err(ClaimError::OutboxFull),
        _ => {}
    }
    let record = reply.rest.into_iter().next().and_then(Value::into_string);
    let mut found = record.map(|record| Claim::parse(claim.number, &record)).transpose()?;
    if let Some(claim) = found.as_mut().filter(|claim| claim.durability > Durability::Memory) {
        claim.at_most(lane.reached(reply.code == "ok").await);
    }
    Ok((reply.code, found))
}

fn unknown(code: &str) -> ClaimError {
    ClaimError::Unknown(format!("the code {code:?}"))
}

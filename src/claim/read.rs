//! Reading claims, from Redis: a claim just answered can be read at once, on any node. What Redis has lost is not said not to
//! be there.

use std::sync::Arc;

use super::error::ClaimError;
use super::record::{Claim, ClaimState};
use crate::campaign::{Campaign, ScriptCall, never};
use crate::ids::{CampaignId, ClaimId, UserId};
use crate::redis::{Durability, Pinned, Redis, RedisError, Reply, Script, Value};
use crate::script;

static HELD: Script<3> = script!(prelude + "claim/held");
static FIND: Script<2> = script!(prelude + "claim/find");

/// Numbers that one call looks at.
const NUMBERS_MAX: usize = 1_000;

/// One claim; `None` if there is none.
pub(super) async fn one(redis: &Arc<Redis>, campaign: &Campaign, claim: &ClaimId) -> Result<Option<Claim>, ClaimError> {
    let mut pinned = redis.pinned(&claim.campaign, campaign.definition().spec.durability).await;
    let Some(before) = claim.number.checked_sub(1) else { return Ok(None) };
    let (found, _) = find(redis, campaign, &mut pinned, before, 1).await?;
    let mut found: Vec<Claim> = found.into_iter().filter(|found| found.generation == claim.generation).collect();
    tell(&mut pinned, &mut found).await;
    Ok(found.pop())
}

/// The claims among so many numbers after this one, and the last number that was looked at; `None`: there is none beyond.
async fn find(
    redis: &Arc<Redis>,
    campaign: &Campaign,
    pinned: &mut Pinned<'_>,
    after: u64,
    count: usize,
) -> Result<(Vec<Claim>, Option<u64>), ClaimError> {
    let id = campaign.id();
    let keys = redis.keys().of(&id);
    let keys = [keys.campaign(), keys.claims()];
    let more = || [after.to_string().into(), count.to_string().into()];
    let reply = ScriptCall { campaign, script: &FIND, keys, more, wrote: never }.on_pinned(redis, pinned).await?;
    is_there(&reply)?;
    let mut parts = reply.rest.into_iter();
    let last = parts.next().and_then(Value::into_string).and_then(|last| last.parse().ok());
    let mut claims = parts.map(numbered).collect::<Result<Vec<_>, _>>()?;
    look_up_redemptions(redis, pinned, &id, claims.iter_mut()).await?;
    Ok((claims, last))
}

fn numbered(claim: Value) -> Result<Claim, RedisError> {
    Claim::parse_numbered(&claim.into_string().unwrap_or_default())
}

/// An answer that only a campaign gives which is there: nobody may take what Redis has lost for what was never there.
fn is_there(reply: &Reply) -> Result<(), RedisError> {
    if reply.code == "ok" { Ok(()) } else { Err(reply.unknown_code()) }
}

/// Says of those that are redeemed since when. Seldom any is, and then it costs another call.
pub(super) async fn look_up_redemptions<'a>(
    redis: &Redis,
    pinned: &mut Pinned<'_>,
    campaign: &CampaignId,
    claims: impl Iterator<Item = &'a mut Claim>,
) -> Result<(), RedisError> {
    let mut redeemed: Vec<&mut Claim> = claims.filter(|claim| claim.state == ClaimState::Redeemed).collect();
    let numbers = redeemed.iter().map(|claim| claim.number.to_string()).collect();
    let found = pinned.fields(&redis.keys().of(campaign).redemptions(), numbers).await?;
    for (claim, redemption) in redeemed.iter_mut().zip(found) {
        claim.has_redemption(&redemption.unwrap_or_default());
    }
    Ok(())
}

/// What was recorded may hold no more: a replica went away, the log's settings were changed.
async fn tell(pinned: &mut Pinned<'_>, claims: &mut [Claim]) {
    if claims.iter().any(|claim| claim.durability > Durability::Memory) {
        let reached = pinned.reached(false).await;
        for claim in claims {
            claim.at_most(reached);
        }
    }
}

/// Every claim that the user ever made, by number.
pub(super) async fn of_user(redis: &Arc<Redis>, campaign: &Campaign, user: &UserId) -> Result<Vec<Claim>, ClaimError> {
    let id = campaign.id();
    let keys = redis.keys().of(&id);
    let keys = [keys.campaign(), keys.holders(), keys.claims()];
    let more = || [user.as_str().into()];
    let mut pinned = redis.pinned(&id, campaign.definition().spec.durability).await;
    let call = ScriptCall { campaign, script: &HELD, keys, more, wrote: never };
    let reply = call.on_pinned(redis, &mut pinned).await?;
    is_there(&reply)?;
    let mut claims = reply.rest.into_iter().map(numbered).collect::<Result<Vec<_>, _>>()?;
    look_up_redemptions(redis, &mut pinned, &id, claims.iter_mut()).await?;
    claims.sort_unstable_by_key(|claim| claim.number);
    tell(&mut pinned, &mut claims).await;
    Ok(claims)
}

/// The claims after this number, by number, at most so many. Numbers have no gaps but those that a rebuild leaves.
pub(super) async fn page(
    redis: &Arc<Redis>,
    campaign: &Campaign,
    after: u64,
    count_max: usize,
) -> Result<Vec<Claim>, ClaimError> {
    let mut pinned = redis.pinned(&campaign.id(), campaign.definition().spec.durability).await;
    let (mut claims, mut from) = (Vec::new(), after);
    while claims.len() < count_max {
        let (found, last) = find(redis, campaign, &mut pinned, from, count_max.min(NUMBERS_MAX)).await?;
        claims.extend(found);
        let Some(last) = last else { break };
        from = last;
    }
    claims.truncate(count_max);
    tell(&mut pinned, &mut claims).await;
    Ok(claims)
}

//! Reading claims, from Redis: a claim just answered can be read at once, on any node. What Redis has lost is not said not to
//! be there.

use super::ClaimError;
use super::record::{Claim, ClaimState};
use crate::campaign::Campaign;
use crate::ids::{CampaignId, ClaimId, UserId};
use crate::redis::{Durability, Lane, Redis, RedisError, Reply, Script, Value};
use crate::script;

static HELD: Script<3> = script!(prelude + "claim/held");
static FIND: Script<2> = script!(prelude + "claim/find");

/// Numbers that one call looks at.
const NUMBERS_MAX: usize = 1_000;

/// One claim; `None` if there is none.
pub(super) async fn one(redis: &Redis, campaign: &Campaign, claim: &ClaimId) -> Result<Option<Claim>, ClaimError> {
    let mut lane = redis.lane(&claim.campaign, campaign.definition().terms.durability).await;
    let Some(before) = claim.number.checked_sub(1) else { return Ok(None) };
    let (found, _) = find(redis, campaign, &mut lane, before, 1).await?;
    let mut found: Vec<Claim> = found.into_iter().filter(|found| found.generation == claim.generation).collect();
    tell(&mut lane, &mut found).await;
    Ok(found.pop())
}

/// The claims among so many numbers after this one, and the last number that was looked at; `None`: there is none beyond.
async fn find(
    redis: &Redis,
    campaign: &Campaign,
    lane: &mut Lane<'_>,
    after: u64,
    count: usize,
) -> Result<(Vec<Claim>, Option<u64>), ClaimError> {
    let id = campaign.id();
    let keys = redis.keys().of(&id);
    let mut args = campaign.known.args();
    args.extend([after.to_string().into(), count.to_string().into()]);
    let reply = Reply::parse(lane.call(&FIND, [keys.campaign(), keys.claims()], args).await?)?;
    is_there(campaign, &reply)?;
    let mut parts = reply.rest.into_iter();
    let last = parts.next().and_then(Value::into_string).and_then(|last| last.parse().ok());
    let mut claims = parts.map(numbered).collect::<Result<Vec<_>, _>>()?;
    look_up_redemptions(redis, lane, &id, claims.iter_mut()).await?;
    Ok((claims, last))
}

fn numbered(claim: Value) -> Result<Claim, RedisError> {
    Claim::parse_numbered(&claim.into_string().unwrap_or_default())
}

/// Nobody may take what Redis has lost for what was never there.
fn is_there(campaign: &Campaign, reply: &Reply) -> Result<(), ClaimError> {
    match reply.code.as_str() {
        "ok" => Ok(()),
        "lost" => {
            campaign.saw_lost();
            Err(ClaimError::Lost)
        }
        "missing" => Err(ClaimError::BeingMade),
        _ => Err(reply.unknown_code().into()),
    }
}

/// Says of those that are redeemed since when. Seldom any is, and then it costs another call.
pub(super) async fn look_up_redemptions<'a>(
    redis: &Redis,
    lane: &mut Lane<'_>,
    campaign: &CampaignId,
    claims: impl Iterator<Item = &'a mut Claim>,
) -> Result<(), RedisError> {
    let mut redeemed: Vec<&mut Claim> = claims.filter(|claim| claim.state == ClaimState::Redeemed).collect();
    let numbers = redeemed.iter().map(|claim| claim.number.to_string()).collect();
    let found = lane.fields(&redis.keys().of(campaign).redemptions(), numbers).await?;
    for (claim, redemption) in redeemed.iter_mut().zip(found) {
        claim.was_redeemed(&redemption.unwrap_or_default());
    }
    Ok(())
}

/// What was recorded may hold no more: a replica went away, the log's settings were changed.
async fn tell(lane: &mut Lane<'_>, claims: &mut [Claim]) {
    if claims.iter().any(|claim| claim.durability > Durability::Memory) {
        let reached = lane.reached(false).await;
        for claim in claims {
            claim.at_most(reached);
        }
    }
}

/// Every claim that the user ever made, by number.
pub(super) async fn of_user(redis: &Redis, campaign: &Campaign, user: &UserId) -> Result<Vec<Claim>, ClaimError> {
    let id = campaign.id();
    let keys = redis.keys().of(&id);
    let mut args = campaign.known.args();
    args.push(user.as_str().into());
    let keys = [keys.campaign(), keys.holders(), keys.claims()];
    let mut lane = redis.lane(&id, campaign.definition().terms.durability).await;
    let reply = Reply::parse(lane.call(&HELD, keys, args).await?)?;
    is_there(campaign, &reply)?;
    let mut claims = reply.rest.into_iter().map(numbered).collect::<Result<Vec<_>, _>>()?;
    look_up_redemptions(redis, &mut lane, &id, claims.iter_mut()).await?;
    claims.sort_unstable_by_key(|claim| claim.number);
    tell(&mut lane, &mut claims).await;
    Ok(claims)
}

/// The claims after this number, by number, at most so many. Numbers have no gaps but those that a rebuild leaves.
pub(super) async fn page(
    redis: &Redis,
    campaign: &Campaign,
    after: u64,
    count_max: usize,
) -> Result<Vec<Claim>, ClaimError> {
    let mut lane = redis.lane(&campaign.id(), campaign.definition().terms.durability).await;
    let (mut claims, mut from) = (Vec::new(), after);
    while claims.len() < count_max {
        let (found, last) = find(redis, campaign, &mut lane, from, count_max.min(NUMBERS_MAX)).await?;
        claims.extend(found);
        let Some(last) = last else { break };
        from = last;
    }
    claims.truncate(count_max);
    tell(&mut lane, &mut claims).await;
    Ok(claims)
}

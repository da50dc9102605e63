//! Reading claims, from Redis: a claim just answered can be read at once, on any node.

use super::ClaimError;
use super::record::Claim;
use crate::campaign::Campaign;
use crate::ids::{ClaimId, UserId};
use crate::redis::{Durability, Lane, Redis, Reply, Script};
use crate::script;

static HELD: Script<3> = script!(prelude + "claim/held");

/// One claim; `None` if there is none.
pub(super) async fn one(redis: &Redis, campaign: &Campaign, claim: &ClaimId) -> Result<Option<Claim>, ClaimError> {
    let key = redis.keys().of(&claim.campaign).claims();
    let mut lane = redis.lane(&claim.campaign, campaign.definition().terms.durability).await;
    let found = lane.fields(&key, vec![claim.number.to_string()]).await?;
    let record = found.into_iter().next().flatten();
    let found = record.map(|record| Claim::parse(claim.number, &record)).transpose()?;
    let mut found: Vec<Claim> = found.into_iter().filter(|found| found.generation == claim.generation).collect();
    tell(&mut lane, &mut found).await;
    Ok(found.pop())
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
    if reply.code == "lost" {
        campaign.saw_lost();
        return Err(ClaimError::Lost);
    }
    let mut claims = reply
        .rest
        .into_iter()
        .map(|claim| Claim::parse_numbered(&claim.into_string().unwrap_or_default()))
        .collect::<Result<Vec<_>, _>>()?;
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
    let id = campaign.id();
    let keys = redis.keys().of(&id);
    let mut lane = redis.lane(&id, campaign.definition().terms.durability).await;
    let next = lane.fields(&keys.campaign(), vec!["next".to_owned()]).await?;
    let Some(highest) = next.into_iter().next().flatten().and_then(|next| next.parse::<u64>().ok()) else {
        return Err(ClaimError::Lost);
    };
    let mut claims = Vec::new();
    let mut from = after;
    while claims.len() < count_max && from < highest {
        let numbers: Vec<u64> = (from + 1..=highest).take(count_max).collect();
        from += numbers.len() as u64;
        let fields = numbers.iter().map(u64::to_string).collect();
        let records = lane.fields(&keys.claims(), fields).await?;
        for (number, record) in numbers.into_iter().zip(records) {
            claims.extend(record.map(|record| Claim::parse(number, &record)).transpose()?);
        }
    }
    claims.truncate(count_max);
    tell(&mut lane, &mut claims).await;
    Ok(claims)
}

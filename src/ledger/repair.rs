//! Facts that are nowhere, made anew from Redis' records.
//!
//! A claim's record in Redis holds all of its `claimed` fact but the fact's number, and a fact with an invented number
//! would contradict. But numbers of claims and of facts ascend together: between two claims that are rows, the facts of
//! the claims that are not lie between the two facts. If just as many fact numbers are missing there as claims, each of
//! them is one of these claims, in the same order, and the fact is what it was, to the bit: should the first one turn up
//! after all, it is a double. Wherever the counts differ (a give-back is missing, too, whose time nobody knows any more),
//! nothing is guessed, and an operator is told instead. So it is after a rebuild: a generation's first fact number is then
//! not known here.

use super::audit::Audit;
use super::error::LedgerError;
use super::evidence::Counters;
use crate::database::Database;
use crate::facts::{ClaimRecord, Fact, FactClaim, Kind, SCHEMA_VERSION};
use crate::ids::CampaignId;
use crate::redis::Redis;

/// Claims without a row that are made good in one gap, and gaps in one go. More is no matter of a few lost facts.
const CLAIMS_MAX: i64 = 1_000;
const GAPS_MAX: i64 = 100;

/// The facts that can be made anew without a doubt.
pub(super) async fn lost_facts(
    redis: &Redis,
    database: &Database,
    campaign: &CampaignId,
    (audit, counters): (&Audit, &Counters),
) -> Result<Vec<Fact>, LedgerError> {
    let is_settled = audit.outbox == 0 && audit.lag == 0;
    let is_only_missing = audit.doubled == 0 && audit.oversold == 0 && audit.left + audit.live == audit.stock;
    if !is_settled || !is_only_missing || counters.lost || counters.generation != 1 {
        return Ok(Vec::new());
    }
    let is_elsewhere: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM contradictions WHERE campaign_id = $1)
             OR EXISTS (SELECT FROM dead_letters WHERE campaign_id = $1 AND state = 'waiting')",
    )
    .bind(campaign.as_str())
    .fetch_one(database)
    .await?;
    if is_elsewhere {
        return Ok(Vec::new());
    }
    let bound = |number: u64| i64::try_from(number).unwrap_or(i64::MAX - 1);
    let gaps: Vec<(i64, i64, Vec<i64>)> = sqlx::query_as(include_str!("missing_claims.sql"))
        .bind(campaign.as_str())
        .bind(bound(counters.fact_no))
        .bind(bound(counters.next))
        .bind(CLAIMS_MAX)
        .bind(GAPS_MAX)
        .fetch_all(database)
        .await?;
    let mut facts = Vec::new();
    for (below, above, fact_numbers) in gaps {
        let pairs = pair(below, above, &fact_numbers);
        if !pairs.is_empty() {
            facts.extend(of_gap(redis, database, campaign, &pairs).await?.unwrap_or_default());
        }
    }
    Ok(facts)
}

/// Claim and fact numbers of a gap; none if it is not certain which belong together.
fn pair(below: i64, above: i64, fact_numbers: &[i64]) -> Vec<(u64, u64)> {
    let numbers = (below + 1)..above;
    if usize::try_from(above - below - 1) != Ok(fact_numbers.len()) {
        return Vec::new();
    }
    numbers.zip(fact_numbers).map(|(number, fact_no)| (number.unsigned_abs(), fact_no.unsigned_abs())).collect()
}

/// All facts of a gap, or `None` if one of them is in doubt: then the others may be paired wrongly, too.
async fn of_gap(
    redis: &Redis,
    database: &Database,
    campaign: &CampaignId,
    pairs: &[(u64, u64)],
) -> Result<Option<Vec<Fact>>, LedgerError> {
    let numbers: Vec<String> = pairs.iter().map(|(number, _)| number.to_string()).collect();
    let records = redis.fields(campaign, &redis.keys().of(campaign).claims(), numbers).await?;
    let facts = pairs.iter().zip(records).map(|(pair, record)| fact_of(campaign, *pair, &record?)).collect();
    let Some(facts): Option<Vec<Fact>> = facts else { return Ok(None) };
    let claims = || facts.iter().filter_map(|fact| fact.claim.as_ref());
    // A claim that is a row although its fact is none: the fact would contradict it.
    let contradicts: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM unnest($2::bigint[], $3::text[], $4::text[]) AS f (number, user_id, attempt)
                        JOIN claims c ON c.campaign_id = $1 AND c.generation = 1 AND c.number = f.number
                        WHERE c.claimed_at IS NOT NULL OR c.user_id <> f.user_id OR c.attempt <> f.attempt)",
    )
    .bind(campaign.as_str())
    .bind(claims().map(|claim| i64::try_from(claim.number).unwrap_or(i64::MAX)).collect::<Vec<_>>())
    .bind(claims().map(|claim| claim.user.as_str()).collect::<Vec<_>>())
    .bind(claims().map(|claim| claim.attempt.as_str()).collect::<Vec<_>>())
    .fetch_one(database)
    .await?;
    Ok((!contradicts).then_some(facts))
}

/// The fact of a claim of the first generation, from its record.
fn fact_of(campaign: &CampaignId, (number, fact_no): (u64, u64), record: &str) -> Option<Fact> {
    let ClaimRecord { user, claimed_at, attempt, .. } =
        ClaimRecord::parse(record).filter(|record| record.generation == 1)?;
    Some(Fact {
        v: SCHEMA_VERSION,
        campaign: campaign.as_str().to_owned(),
        generation: 1,
        fact_no,
        kind: Kind::Claimed,
        change: -1,
        at: claimed_at,
        claim: Some(FactClaim { number, generation: 1, user: user.to_owned(), attempt: attempt.to_owned() }),
        reason: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_facts_as_claims_belong_together_in_order_and_other_counts_are_not_guessed_at() {
        assert_eq!(pair(3, 6, &[5, 9]), [(4, 5), (5, 9)]);
        assert_eq!(pair(3, 6, &[5]), []);
        assert_eq!(pair(3, 6, &[5, 8, 9]), []);
        assert_eq!(pair(0, 2, &[2]), [(1, 2)]);
    }

    #[test]
    fn a_record_becomes_the_fact_that_was_lost_and_one_of_another_generation_does_not() {
        let campaign = "c".parse().unwrap();
        let fact = fact_of(&campaign, (4, 7), "alice\u{1f}1700\u{1f}abc\u{1f}g\u{1f}1").unwrap();
        assert_eq!((fact.fact_no, fact.at, fact.change, fact.kind), (7, 1700, -1, Kind::Claimed));
        assert_eq!(fact.claim.unwrap().user, "alice");
        assert_eq!(fact_of(&campaign, (4, 7), "alice\u{1f}1700\u{1f}abc\u{1f}l\u{1f}2"), None);
        assert_eq!(fact_of(&campaign, (4, 7), ""), None);
        // How well it is kept comes after the generation.
        assert!(fact_of(&campaign, (4, 7), "alice\u{1f}1700\u{1f}abc\u{1f}l\u{1f}1\u{1f}r").is_some());
    }
}

//! What waits as a dead letter is no row and happened all the same: its facts belong to what a rebuild brings back.
//!
//! Letters that were sent back and are no rows yet count as well, as they are on their way once more. A discarded one is
//! given up: it only says how far its generation had come.

use std::collections::{BTreeMap, HashMap};

use sqlx::FromRow;

use super::error::RebuildError;
use crate::database::Database;
use crate::facts::{Fact, GENERATION_MAX, NUMBER_MAX};
use crate::ids::CampaignId;

/// Letters that are read at a time.
const PAGE: i64 = 1_000;

/// What the letters say of one campaign.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// Facts that are no rows, by generation and number.
    facts: BTreeMap<(u32, u64), Fact>,
    /// The ids of letters that wait and cannot be read.
    pub unreadable: Vec<String>,
    /// The highest generation that any letter names, and the highest fact of it.
    pub highest: (u32, u64),
}

/// What letters say of one claim.
#[derive(Debug, Clone)]
pub(super) struct LetterClaim {
    pub user: String,
    pub attempt: String,
    pub claimed_at: Option<i64>,
    pub given_back_at: Option<i64>,
    /// The last word on whether its coupon was used: the fact, and when; `None`: not after all.
    pub redemption: Option<((u32, u64), Option<i64>)>,
}

#[derive(FromRow)]
struct Row {
    position: i64,
    id: String,
    state: String,
    campaign_id: Option<String>,
    record_key: Vec<u8>,
    record: Vec<u8>,
}

/// All letters of the ledger about these campaigns.
pub(super) async fn read(
    database: &Database,
    of: &[CampaignId],
    letters_max: usize,
) -> Result<HashMap<CampaignId, Letters>, RebuildError> {
    let mut found: HashMap<CampaignId, Letters> = of.iter().map(|id| (id.clone(), Letters::default())).collect();
    let only = if let [one] = of { Some(one.as_str()) } else { None };
    let (mut after, mut held) = (0, 0);
    loop {
        let page: Vec<Row> = sqlx::query_as(
            "SELECT position, id, state, campaign_id, record_key, record FROM dead_letters
             WHERE lane IS NULL AND position > $1 AND ($2::text IS NULL OR campaign_id = $2 OR campaign_id IS NULL)
             ORDER BY position LIMIT $3",
        )
        .bind(after)
        .bind(only)
        .bind(PAGE)
        .fetch_all(database)
        .await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = last.position;
        held += sort(database, page, &mut found).await?;
        if held > letters_max {
            return Err(RebuildError::TooManyLetters(letters_max));
        }
    }
}

/// Puts a page's letters where they belong, and answers how many facts of it are kept.
async fn sort(
    database: &Database,
    page: Vec<Row>,
    found: &mut HashMap<CampaignId, Letters>,
) -> Result<usize, RebuildError> {
    let mut kept = Vec::new();
    for row in page {
        let Some(facts) = facts_of(&row.record) else {
            if let Some(letters) = named_by(&row, found).filter(|_| row.state == "waiting") {
                letters.unreadable.push(row.id);
            }
            continue;
        };
        for fact in facts {
            let Ok(campaign) = fact.campaign.parse::<CampaignId>() else { continue };
            let Some(letters) = found.get_mut(&campaign) else { continue };
            letters.highest = letters.highest.max((fact.generation, fact.fact_no));
            if row.state != "discarded" {
                kept.push((campaign, fact));
            }
        }
    }
    let rows = are_rows(database, &kept).await?;
    let mut count = 0;
    for ((campaign, fact), is_row) in kept.into_iter().zip(rows) {
        if let Some(letters) = found.get_mut(&campaign).filter(|_| !is_row) {
            count += 1;
            letters.facts.entry((fact.generation, fact.fact_no)).or_insert(fact);
        }
    }
    Ok(count)
}

/// The campaign that a letter names which is no fact: by what could be read of it, or by Kafka's key.
fn named_by<'a>(row: &Row, found: &'a mut HashMap<CampaignId, Letters>) -> Option<&'a mut Letters> {
    let by_key = |id: &CampaignId| {
        row.record_key.strip_prefix(id.as_str().as_bytes()).is_some_and(|rest| rest.starts_with(b":"))
    };
    let id = match &row.campaign_id {
        Some(named) => found.keys().find(|id| id.as_str() == named)?.clone(),
        None => found.keys().find(|id| by_key(id))?.clone(),
    };
    found.get_mut(&id)
}

/// The facts of a record; `None` if it is none, or none that a script can have written: a claim has a coupon code.
fn facts_of(record: &[u8]) -> Option<Vec<Fact>> {
    let facts = Fact::all_from_json(record).ok()?;
    let is_possible = |fact: &Fact| {
        let claim = fact.claim.as_ref();
        fact.generation <= GENERATION_MAX
            && i64::try_from(fact.fact_no).is_ok()
            && claim.is_none_or(|claim| claim.number <= NUMBER_MAX && claim.generation <= GENERATION_MAX)
    };
    facts.iter().all(is_possible).then_some(facts)
}

/// Which of these facts are recorded: a letter may have been sent back long ago.
async fn are_rows(database: &Database, facts: &[(CampaignId, Fact)]) -> Result<Vec<bool>, sqlx::Error> {
    if facts.is_empty() {
        return Ok(Vec::new());
    }
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM stock_history h WHERE h.campaign_id = f.campaign_id
                        AND h.generation = f.generation AND h.fact_no = f.fact_no)
         FROM unnest($1::text[], $2::integer[], $3::bigint[])
             WITH ORDINALITY AS f (campaign_id, generation, fact_no, place) ORDER BY place",
    )
    .bind(facts.iter().map(|(campaign, _)| campaign.as_str()).collect::<Vec<_>>())
    .bind(facts.iter().map(|(_, fact)| i32::try_from(fact.generation).unwrap_or(i32::MAX)).collect::<Vec<_>>())
    .bind(facts.iter().map(|(_, fact)| signed(fact.fact_no)).collect::<Vec<_>>())
    .fetch_all(database)
    .await
}

impl Letters {
    /// By how much they will change the recorded sum once they are rows.
    pub(super) fn stock_change(&self) -> i64 {
        self.facts.values().map(|fact| fact.change).sum()
    }

    /// Users and attempts that never claim.
    pub(super) fn cancelled(&self) -> Vec<(String, String)> {
        let of = |fact: &Fact| fact.claim.as_ref().map(|claim| (claim.user.clone(), claim.attempt.clone()));
        self.facts.values().filter(|fact| fact.kind.as_str() == "cancelled").filter_map(of).collect()
    }

    /// What they say of claims, by number and generation. What disagrees with an earlier one of them is left out.
    pub(super) fn claims(&self) -> BTreeMap<(u64, u32), LetterClaim> {
        let mut claims = BTreeMap::new();
        for (key, fact) in &self.facts {
            let Some(claim) = fact.claim.as_ref().filter(|claim| claim.number > 0) else { continue };
            let found = claims.entry((claim.number, claim.generation)).or_insert_with(|| LetterClaim {
                user: claim.user.clone(),
                attempt: claim.attempt.clone(),
                claimed_at: None,
                given_back_at: None,
                redemption: None,
            });
            if found.user != claim.user || found.attempt != claim.attempt {
                continue;
            }
            match fact.kind.as_str() {
                "claimed" => found.claimed_at = Some(fact.at),
                "given_back" => found.given_back_at = Some(fact.at),
                "redeemed" => found.redemption = Some((*key, Some(fact.at))),
                "unredeemed" => found.redemption = Some((*key, None)),
                _ => {}
            }
        }
        claims
    }
}

//! What the database has of a campaign, in the form in which Redis holds it, a page at a time.

use std::collections::BTreeMap;

use sqlx::FromRow;

use super::dead_letters::{LetterClaim, Letters};
use super::error::RebuildError;
use crate::database::Database;
use crate::facts::{ClaimRecord, ClaimState, RedemptionRecord};
use crate::ids::CampaignId;

/// Facts that one statement sums up.
const FACTS_AT_ONCE: i64 = 200_000;

/// What has been read so far of a campaign's claims, whatever became of them.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Numbers that have a claim.
    pub claims: u64,
    /// Claims that are live or redeemed.
    pub live: u64,
    /// Claims that were given back.
    pub given_back: u64,
    /// The highest number that was ever seen, in Redis or here.
    pub highest: u64,
    /// The sum of all recorded changes of stock.
    pub stock_change: i64,
}

impl Sums {
    /// Numbers up to the highest without a claim.
    pub(super) fn lost_numbers(&self) -> u64 {
        self.highest.saturating_sub(self.claims)
    }
}

/// Some claims as Redis holds them.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Number and record of each claim, by number.
    pub claims: Vec<(u64, String)>,
    /// Number and redemption of each coupon that was used.
    pub used: Vec<(u64, String)>,
}

/// Reads a campaign's claims in the order of their numbers.
pub(super) struct Claims<'a> {
    database: &'a Database,
    id: &'a CampaignId,
    generations: Vec<i32>,
    letters: BTreeMap<(u64, u32), LetterClaim>,
    after: u64,
    at_once: i64,
}

#[derive(FromRow)]
struct ClaimRow {
    generation: i32,
    number: i64,
    user_id: String,
    attempt: String,
    claimed_at: Option<i64>,
    given_back_at: Option<i64>,
    redeemed_at: Option<i64>,
}

impl<'a> Claims<'a> {
    pub(super) async fn begin(
        (database, id): (&'a Database, &'a CampaignId),
        letters: &Letters,
        at_once: i64,
    ) -> Result<Self, RebuildError> {
        let generations = generations(database, id, "claims").await?;
        Ok(Self { database, id, generations, letters: letters.claims(), after: 0, at_once })
    }

    /// The next page; `None` at the end. A number that two generations gave is the later one's: the earlier one never
    /// reached the database in time.
    pub(super) async fn next(&mut self, sums: &mut Sums) -> Result<Option<Page>, RebuildError> {
        let recorded: Option<i64> = sqlx::query_scalar(
            "SELECT min(n.number) FROM unnest($2::integer[]) AS g (generation) CROSS JOIN LATERAL (
                 SELECT number FROM claims WHERE campaign_id = $1 AND generation = g.generation AND number > $3
                 ORDER BY number LIMIT 1) n",
        )
        .bind(self.id.as_str())
        .bind(&self.generations)
        .bind(signed(self.after))
        .fetch_one(self.database)
        .await?;
        let lettered = self.letters.range((self.after + 1, 0)..).next().map(|((number, _), _)| *number);
        let Some(first) = recorded.map(i64::unsigned_abs).into_iter().chain(lettered).min() else { return Ok(None) };
        let end = first.saturating_add(self.at_once.unsigned_abs());
        let rows: Vec<ClaimRow> = sqlx::query_as(
            "SELECT c.generation, c.number, c.user_id, c.attempt,
                    floor(extract(epoch FROM c.claimed_at) * 1000)::bigint AS claimed_at,
                    floor(extract(epoch FROM c.given_back_at) * 1000)::bigint AS given_back_at,
                    floor(extract(epoch FROM c.redeemed_at) * 1000)::bigint AS redeemed_at
             FROM unnest($2::integer[]) AS g (generation) CROSS JOIN LATERAL (
                 SELECT * FROM claims
                 WHERE campaign_id = $1 AND generation = g.generation AND number >= $3 AND number < $4) c",
        )
        .bind(self.id.as_str())
        .bind(&self.generations)
        .bind(signed(first))
        .bind(signed(end))
        .fetch_all(self.database)
        .await?;
        self.after = end - 1;
        let rows = self.with_letters((first, end), rows).await?;
        Ok(Some(page_of(rows, sums)))
    }

    /// The rows of these numbers as they will be once the letters are rows, too.
    async fn with_letters(
        &self,
        (first, end): (u64, u64),
        rows: Vec<ClaimRow>,
    ) -> Result<BTreeMap<(u64, u32), ClaimRow>, RebuildError> {
        let key = |row: &ClaimRow| (row.number.unsigned_abs(), row.generation.unsigned_abs());
        let mut rows: BTreeMap<(u64, u32), ClaimRow> = rows.into_iter().map(|row| (key(&row), row)).collect();
        for ((number, generation), letter) in self.letters.range((first, 0)..(end, 0)) {
            let row = rows.entry((*number, *generation)).or_insert_with(|| ClaimRow {
                generation: i32::try_from(*generation).unwrap_or(i32::MAX),
                number: signed(*number),
                user_id: letter.user.clone(),
                attempt: letter.attempt.clone(),
                claimed_at: None,
                given_back_at: None,
                redeemed_at: None,
            });
            if row.user_id != letter.user || row.attempt != letter.attempt {
                continue;
            }
            row.claimed_at = row.claimed_at.or(letter.claimed_at);
            row.given_back_at = row.given_back_at.or(letter.given_back_at);
            if let Some((fact, used_at)) = letter.redemption
                && fact > self.last_redemption(row).await?
            {
                row.redeemed_at = used_at;
            }
        }
        Ok(rows)
    }

    /// The fact that said last whether the claim's coupon was used, as far as its row knows.
    async fn last_redemption(&self, row: &ClaimRow) -> Result<(u32, u64), RebuildError> {
        // A column that is not there yet has said nothing.
        let found: Option<(Option<i32>, Option<i64>)> = sqlx::query_as(
            "SELECT (to_jsonb(c) ->> 'redemption_generation')::integer, (to_jsonb(c) ->> 'redemption_fact_no')::bigint
             FROM claims c WHERE campaign_id = $1 AND generation = $2 AND number = $3",
        )
        .bind(self.id.as_str())
        .bind(row.generation)
        .bind(row.number)
        .fetch_optional(self.database)
        .await?;
        let (generation, fact_no) = found.unwrap_or_default();
        Ok((generation.unwrap_or(0).unsigned_abs(), fact_no.unwrap_or(0).unsigned_abs()))
    }
}

fn page_of(rows: BTreeMap<(u64, u32), ClaimRow>, sums: &mut Sums) -> Page {
    // In the order of generations: the last one of a number stays.
    let by_number: BTreeMap<u64, ClaimRow> = rows.into_iter().map(|((number, _), row)| (number, row)).collect();
    let mut page = Page::default();
    for (number, row) in by_number {
        sums.claims += 1;
        sums.highest = sums.highest.max(number);
        let state = match (row.given_back_at, row.redeemed_at) {
            (Some(_), _) => ClaimState::GivenBack,
            (None, Some(_)) => ClaimState::Redeemed,
            (None, None) => ClaimState::Live,
        };
        if state == ClaimState::GivenBack {
            sums.given_back += 1;
        } else {
            sums.live += 1;
        }
        if let Some(used_at) = row.redeemed_at {
            page.used.push((number, RedemptionRecord { used_at: Some(used_at), calls: "" }.to_string()));
        }
        let record = ClaimRecord {
            user: &row.user_id,
            claimed_at: row.claimed_at.or(row.given_back_at).or(row.redeemed_at).unwrap_or(0),
            attempt: &row.attempt,
            state,
            generation: row.generation.unsigned_abs(),
            // How well it was kept died with that Redis.
            kept: "",
        };
        page.claims.push((number, record.to_string()));
    }
    page
}

/// Goes through all recorded facts: adds up what they change, and hands on users and attempts that never claim.
pub(super) async fn read_history(
    (database, id): (&Database, &CampaignId),
    sums: &mut Sums,
    mut cancelled: impl AsyncFnMut(Vec<(String, String)>) -> Result<(), RebuildError>,
) -> Result<(), RebuildError> {
    for generation in generations(database, id, "stock_history").await? {
        let mut after = -1;
        loop {
            let first: Option<i64> = sqlx::query_scalar(
                "SELECT fact_no FROM stock_history WHERE campaign_id = $1 AND generation = $2 AND fact_no > $3
                 ORDER BY fact_no LIMIT 1",
            )
            .bind(id.as_str())
            .bind(generation)
            .bind(after)
            .fetch_optional(database)
            .await?;
            let Some(first) = first else { break };
            let (change, users, attempts): (i64, Option<Vec<String>>, Option<Vec<String>>) = sqlx::query_as(
                "SELECT coalesce(sum(change), 0)::bigint,
                        array_agg(coalesce(user_id, '') ORDER BY fact_no) FILTER (WHERE kind = 'cancelled'),
                        array_agg(coalesce(attempt, '') ORDER BY fact_no) FILTER (WHERE kind = 'cancelled')
                 FROM stock_history
                 WHERE campaign_id = $1 AND generation = $2 AND fact_no >= $3 AND fact_no < $4",
            )
            .bind(id.as_str())
            .bind(generation)
            .bind(first)
            .bind(first.saturating_add(FACTS_AT_ONCE))
            .fetch_one(database)
            .await?;
            sums.stock_change += change;
            let found: Vec<_> = users.unwrap_or_default().into_iter().zip(attempts.unwrap_or_default()).collect();
            if !found.is_empty() {
                cancelled(found).await?;
            }
            after = first.saturating_add(FACTS_AT_ONCE) - 1;
        }
    }
    Ok(())
}

/// The generations that the campaign has rows of, few as they are: one look into the index for each.
async fn generations(database: &Database, id: &CampaignId, table: &str) -> Result<Vec<i32>, sqlx::Error> {
    let next = match table {
        "claims" => "SELECT min(generation) FROM claims WHERE campaign_id = $1 AND generation > $2",
        _ => "SELECT min(generation) FROM stock_history WHERE campaign_id = $1 AND generation > $2",
    };
    let mut found = Vec::new();
    let mut after = -1;
    while let Some(generation) =
        sqlx::query_scalar::<_, Option<i32>>(next).bind(id.as_str()).bind(after).fetch_one(database).await?
    {
        found.push(generation);
        after = generation;
    }
    Ok(found)
}

/// The highest generation that the database has a fact of, and the highest fact in it; zeros if it has none.
pub(super) async fn highest_fact(database: &Database, id: &CampaignId) -> Result<(u32, u64), sqlx::Error> {
    let row: Option<(i32, i64)> = sqlx::query_as(
        "SELECT generation, fact_no FROM stock_history WHERE campaign_id = $1
         ORDER BY generation DESC, fact_no DESC LIMIT 1",
    )
    .bind(id.as_str())
    .fetch_optional(database)
    .await?;
    Ok(row.map_or((0, 0), |(generation, fact_no)| (generation.unsigned_abs(), fact_no.unsigned_abs())))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

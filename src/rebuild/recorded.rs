//! What the database has of a campaign, in the form in which Redis holds it.

use std::collections::{BTreeMap, HashMap};

use sqlx::{FromRow, Row, query, query_as};

use crate::database::Database;
use crate::ids::CampaignId;

/// All claims of a campaign, whatever became of them.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// Number and record of each claim.
    pub claims: Vec<(u64, String)>,
    /// User and record of each user.
    pub holders: Vec<(String, String)>,
    /// Claims that are live or redeemed.
    pub live: u64,
    /// Claims that were given back.
    pub given_back: u64,
    /// The highest number that was ever seen, in Redis or here.
    pub highest: u64,
    /// The sum of all recorded changes of stock.
    pub stock_change: i64,
}

#[derive(FromRow)]
struct ClaimRow {
    generation: i32,
    number: i64,
    user_id: String,
    attempt: String,
    at_ms: i64,
    state: String,
}

impl Recorded {
    /// Numbers up to the highest without a claim.
    pub(super) fn lost_numbers(&self) -> u64 {
        self.highest.saturating_sub(self.claims.len() as u64)
    }

    pub(super) async fn read(database: &Database, id: &CampaignId, highest_here: u64) -> Result<Self, sqlx::Error> {
        // A number that two generations gave is the later one's: the earlier one never reached the database in time.
        let rows: Vec<ClaimRow> = query_as(
            "SELECT generation, number, user_id, attempt,
                    floor(extract(epoch FROM coalesce(claimed_at, given_back_at, redeemed_at)) * 1000)::bigint AS at_ms,
                    CASE WHEN given_back_at IS NOT NULL THEN 'g' WHEN redeemed_at IS NOT NULL THEN 'r' ELSE 'l' END
                        AS state
             FROM claims WHERE campaign_id = $1 ORDER BY number, generation",
        )
        .bind(id.as_str())
        .fetch_all(database)
        .await?;
        let stock_change: i64 =
            query("SELECT coalesce(sum(change), 0)::bigint FROM stock_history WHERE campaign_id = $1")
                .bind(id.as_str())
                .fetch_one(database)
                .await?
                .try_get(0)?;
        let by_number: BTreeMap<i64, ClaimRow> = rows.into_iter().map(|row| (row.number, row)).collect();
        let mut recorded = Self { highest: highest_here, stock_change, ..Self::default() };
        let mut holders: HashMap<String, String> = HashMap::new();
        for (number, row) in by_number {
            let number = number.unsigned_abs();
            recorded.highest = recorded.highest.max(number);
            if row.state == "g" {
                recorded.given_back += 1;
            } else {
                recorded.live += 1;
            }
            let ClaimRow { generation, user_id, attempt, at_ms, state, .. } = row;
            let entry = format!("{number}:{attempt}:{state}");
            holders.entry(user_id.clone()).and_modify(|held| *held = format!("{held},{entry}")).or_insert(entry);
            let record = format!("{user_id}\u{1f}{at_ms}\u{1f}{attempt}\u{1f}{state}\u{1f}{generation}");
            recorded.claims.push((number, record));
        }
        recorded.holders = holders.into_iter().collect();
        Ok(recorded)
    }
}

/// The highest generation that the database has a fact of, and the highest fact in it; zeros if it has none.
pub(super) async fn highest_fact(database: &Database, id: &CampaignId) -> Result<(u32, u64), sqlx::Error> {
    let row: Option<(i32, i64)> = query_as(
        "SELECT generation, fact_no FROM stock_history WHERE campaign_id = $1
         ORDER BY generation DESC, fact_no DESC LIMIT 1",
    )
    .bind(id.as_str())
    .fetch_optional(database)
    .await?;
    Ok(row.map_or((0, 0), |(generation, fact_no)| (generation.unsigned_abs(), fact_no.unsigned_abs())))
}

/// Takes the next generation, above all that anyone has seen, for good: one that was begun and lost is not used again.
pub(super) async fn next_generation(
    database: &Database,
    id: &CampaignId,
    generation_here: u64,
) -> Result<u32, sqlx::Error> {
    let (recorded, _) = highest_fact(database, id).await?;
    let seen = generation_here.max(u64::from(recorded));
    let row: (i32,) =
        query_as("UPDATE campaigns SET generation = greatest(generation, $2) + 1 WHERE id = $1 RETURNING generation")
            .bind(id.as_str())
            .bind(i32::try_from(seen).unwrap_or(i32::MAX - 1))
            .fetch_one(database)
            .await?;
    Ok(row.0.unsigned_abs())
}

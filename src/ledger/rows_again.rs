//! Rows of claims that are gone although their facts are in the history: the history is append-only, so they are made again
//! as they were.
//!
//! Not where facts of the campaign contradict each other: then the history holds facts that no row could take.

use super::error::LedgerError;
use crate::database::Database;
use crate::ids::CampaignId;

/// Rows that one round makes again at most; more come in the next.
const ROWS_MAX: u64 = 1_000;

/// Makes rows again, and answers how many.
pub(super) async fn make(database: &Database, campaign: &CampaignId, at_once: i64) -> Result<u64, LedgerError> {
    let contradicts: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM contradictions WHERE campaign_id = $1)")
        .bind(campaign.as_str())
        .fetch_one(database)
        .await?;
    if contradicts {
        return Ok(0);
    }
    let (mut made, mut generation, mut after) = (0, -1, -1);
    while made < ROWS_MAX {
        let next: Option<(i32, i64)> = sqlx::query_as(
            "SELECT generation, fact_no FROM stock_history WHERE campaign_id = $1 AND (generation, fact_no) > ($2, $3)
             ORDER BY generation, fact_no LIMIT 1",
        )
        .bind(campaign.as_str())
        .bind(generation)
        .bind(after)
        .fetch_optional(database)
        .await?;
        let Some((found, first)) = next else { break };
        let end = first.saturating_add(at_once);
        let done = sqlx::query(include_str!("rows_again.sql"))
            .bind(campaign.as_str())
            .bind(found)
            .bind(first)
            .bind(end)
            .execute(database)
            .await?;
        made += done.rows_affected();
        (generation, after) = (found, end - 1);
    }
    if made > 0 {
        tracing::warn!(%campaign, rows = made, "rows of claims that were gone are made again, from the history");
    }
    Ok(made)
}

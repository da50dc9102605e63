//! Which generation comes next? One above all that anyone has seen, taken for good before Redis begins it.
//!
//! - It is taken last, just before Redis begins it: what fails before takes none.
//! - One that was taken and never begun is taken again, on the same server alone: as long as the campaign is lost there with
//!   an older one, nobody can have begun it, or whoever did has overtaken this rebuild. Another server may have begun it and
//!   been lost since, with all that it gave.

use sqlx::query;

use super::error::RebuildError;
use super::recorded::highest_fact;
use crate::database::Database;
use crate::facts::GENERATION_MAX;
use crate::ids::CampaignId;

/// Takes the generation for a rebuild that began on this server, where it had `here`; letters know of `lettered`.
pub(super) async fn take(
    database: &Database,
    id: &CampaignId,
    server: &str,
    (here, lettered): (u64, u32),
) -> Result<u32, RebuildError> {
    let (recorded, _) = highest_fact(database, id).await?;
    let seen = here.max(u64::from(recorded)).max(u64::from(lettered));
    let row: Option<(i32,)> = sqlx::query_as(
        "UPDATE campaigns SET generation_taken_in = $3,
                generation = CASE WHEN generation_taken_in = $3 AND generation > $2 THEN generation
                                  ELSE greatest(generation, $2) + 1 END
         WHERE id = $1 AND ((generation_taken_in = $3 AND generation > $2) OR greatest(generation, $2) < $4)
         RETURNING generation",
    )
    .bind(id.as_str())
    .bind(i32::try_from(seen).unwrap_or(i32::MAX - 1))
    .bind(server)
    .bind(i32::try_from(GENERATION_MAX).unwrap_or(i32::MAX))
    .fetch_optional(database)
    .await?;
    row.map(|(generation,)| generation.unsigned_abs()).ok_or(RebuildError::GenerationsExhausted)
}

/// It is in use: no later rebuild takes it again. Answers whether that is news.
pub(super) async fn confirm(database: &Database, id: &CampaignId) -> Result<bool, sqlx::Error> {
    let done =
        query("UPDATE campaigns SET generation_taken_in = NULL WHERE id = $1 AND generation_taken_in IS NOT NULL")
            .bind(id.as_str())
            .execute(database)
            .await?;
    Ok(done.rows_affected() > 0)
}

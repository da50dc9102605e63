//! Whether an operator has stopped the admission of a waiting room: kept beside the definition, as Redis may forget it.

use super::error::CampaignError;
use crate::database::Database;
use crate::ids::CampaignId;

/// Remembers it for a rebuild; Redis is told apart.
pub(crate) async fn remember_stopped(database: &Database, id: &CampaignId, stopped: bool) -> Result<(), CampaignError> {
    sqlx::query("UPDATE campaigns SET waiting_stopped = $2 WHERE id = $1 AND waiting_stopped <> $2")
        .bind(id.as_str())
        .bind(stopped)
        .execute(database)
        .await?;
    Ok(())
}

/// What was remembered.
pub(crate) async fn was_stopped(database: &Database, id: &CampaignId) -> Result<bool, sqlx::Error> {
    let found: Option<bool> = sqlx::query_scalar("SELECT waiting_stopped FROM campaigns WHERE id = $1")
        .bind(id.as_str())
        .fetch_optional(database)
        .await?;
    Ok(found.unwrap_or(false))
}

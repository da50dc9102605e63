//! The maximum, as operators set it while everything runs. The database holds it, so that all workers agree.

use super::error::LedgerError;
use crate::database::Database;

/// What it may be: a node with another in its configuration does not boot.
pub use crate::config::ROWS_PER_SECOND;

const NAME: &str = "rows_per_second_max";

/// What holds: what is set, or the configured value until the first worker has started.
pub async fn read_rows_per_second_max(database: &Database, at_first: u64) -> Result<u64, LedgerError> {
    Ok(read(database).await?.unwrap_or(at_first))
}

/// Sets another, within [`ROWS_PER_SECOND`]. Every worker has noticed after `ledger.throttle_reread_ms`.
pub async fn set_rows_per_second_max(database: &Database, rows_per_second_max: u64) -> Result<(), LedgerError> {
    let value = checked(rows_per_second_max)?;
    sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2")
        .bind(NAME)
        .bind(value)
        .execute(database)
        .await?;
    Ok(())
}

/// What is set, or this value, which is set by it.
pub(super) async fn read_or_seed(database: &Database, at_first: u64) -> Result<u64, LedgerError> {
    if let Some(value) = read(database).await? {
        return Ok(value);
    }
    sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(NAME)
        .bind(checked(at_first)?)
        .execute(database)
        .await?;
    // Another worker may have been first, with another configuration.
    read_rows_per_second_max(database, at_first).await
}

/// `None` before the first worker has started.
async fn read(database: &Database) -> Result<Option<u64>, LedgerError> {
    let value: Option<i64> =
        sqlx::query_scalar("SELECT value FROM settings WHERE name = $1").bind(NAME).fetch_optional(database).await?;
    Ok(value.and_then(|value| u64::try_from(value).ok()))
}

fn checked(rows_per_second_max: u64) -> Result<i64, LedgerError> {
    let refused = || LedgerError::OutOfLimits(rows_per_second_max);
    if !ROWS_PER_SECOND.contains(&rows_per_second_max) {
        return Err(refused());
    }
    i64::try_from(rows_per_second_max).map_err(|_| refused())
}

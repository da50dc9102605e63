//! How do we reach PostgreSQL? Connections and migrations; the statements stand in the rooms that need them.

use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor};

use crate::config;

/// Connections to the database, with our schema first on their search path.
pub type Database = sqlx::PgPool;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Prepares connections without making one: a node boots while the database is away.
pub fn open(config: &config::Postgres) -> Result<Database, sqlx::Error> {
    let options = PgConnectOptions::from_str(&config.url)?.application_name("onrush").options([
        ("search_path", config.schema.as_str()),
        ("statement_timeout", &config.statement_timeout_ms.to_string()),
    ]);
    Ok(PgPoolOptions::new()
        .max_connections(config.connections_max)
        .acquire_timeout(Duration::from_millis(config.acquire_timeout_ms))
        .connect_lazy_with(options))
}

/// Whether the database answers now.
pub async fn answers(database: &Database) -> bool {
    database.execute("SELECT 1").await.is_ok()
}

/// Creates the schema and brings it up to date. Several nodes may do so at once.
pub async fn migrate(database: &Database, config: &config::Postgres) -> Result<(), MigrateError> {
    // The schema's name was checked at boot to be lower-case letters, digits and `_`.
    let create = format!("CREATE SCHEMA IF NOT EXISTS {}", config.schema);
    if let Err(error) = database.execute(AssertSqlSafe(create)).await {
        // Two nodes at once: IF NOT EXISTS looks before it creates, and the second one's insert fails.
        let is_there_now = error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation);
        if !is_there_now {
            return Err(error.into());
        }
    }
    MIGRATIONS.run(database).await
}

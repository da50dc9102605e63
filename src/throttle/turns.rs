//! Whose turn is it? For a maximum so small that each worker's share of it would be a fraction of a row.
//!
//! There are as many units as rows a second. A unit is an advisory lock, held from before the row is written until a
//! second after: whoever takes it next writes outside of that second.

use sqlx::{Connection, PgConnection};

use super::WINDOW;
use crate::database::Database;

/// Units that this worker holds.
pub struct Turn {
    // Its own session: the locks go with it, also when this worker dies.
    session: PgConnection,
    /// How many.
    pub units: u64,
}

impl Turn {
    /// Takes up to so many of all units of this name, without waiting. `None` if none is free. The name begins the locks'
    /// keys; the installation's schema and the unit are the rest.
    pub async fn take(database: &Database, name: &str, wanted: u64, all: u64) -> Result<Option<Self>, sqlx::Error> {
        let mut session = database.acquire().await?.detach();
        let mut units = 0;
        for unit in 0..all {
            if units == wanted {
                break;
            }
            let taken: bool =
                sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended($1 || current_schema() || $2, 0))")
                    .bind(name)
                    .bind(unit.to_string())
                    .fetch_one(&mut session)
                    .await?;
            units += u64::from(taken);
        }
        if units == 0 {
            session.close().await?;
            return Ok(None);
        }
        Ok(Some(Self { session, units }))
    }

    /// The rows are written: holds the units for the rest of their second, in the background.
    pub fn end(self) {
        tokio::spawn(async move {
            tokio::time::sleep(WINDOW).await;
            if let Err(error) = self.session.close().await {
                tracing::debug!(%error, "closing a session");
            }
        });
    }
}

//! The rules' settings, as operators change them while everything runs. The database holds what was changed; the configuration
//! is what holds until then, and where the database is away.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use crate::config::{self, Thresholds};
use crate::database::Database;

/// Begins the names of all of them.
const PREFIX: &str = "alarm.";

/// What an operator wants to change.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Thresholds by rule.
    pub thresholds: Vec<(&'static str, Thresholds)>,
    /// How long a rule must have been below before its state goes down, in ms.
    pub window_ms: Option<u64>,
    /// How long it must have been critical or unknown before it is told of, in ms.
    pub pending_ms: Option<u64>,
}

/// The settings as this node knows them.
pub struct Settings {
    at_boot: config::Alarm,
    now: RwLock<config::Alarm>,
}

impl Settings {
    /// Those of the configuration.
    #[must_use]
    pub fn new(at_boot: config::Alarm) -> Self {
        Self { now: RwLock::new(at_boot.clone()), at_boot }
    }

    /// As they were last read.
    #[must_use]
    pub fn now(&self) -> config::Alarm {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads what was changed. Where the database does not answer in time, what was read before stays.
    pub async fn read_again(&self, database: &Database) -> Result<config::Alarm, sqlx::Error> {
        let reading = sqlx::query_as("SELECT name, value FROM settings WHERE starts_with(name, $1)")
            .bind(PREFIX)
            .fetch_all(database);
        let limit = Duration::from_millis(self.at_boot.read_timeout_ms);
        let rows: Vec<(String, i64)> =
            tokio::time::timeout(limit, reading).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        let changed: HashMap<&str, u64> =
            rows.iter().map(|(name, value)| (&name[PREFIX.len()..], value.unsigned_abs())).collect();
        let mut settings = self.at_boot.clone();
        for (rule, thresholds) in self.at_boot.thresholds() {
            let one = |which: &str, or: u64| changed.get(&*format!("{rule}.{which}")).copied().unwrap_or(or);
            let caution = one("caution", thresholds.caution);
            settings.set_thresholds(rule, Thresholds { caution, critical: one("critical", thresholds.critical) });
        }
        settings.window_ms = changed.get("window_ms").copied().unwrap_or(settings.window_ms);
        settings.pending_ms = changed.get("pending_ms").copied().unwrap_or(settings.pending_ms);
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = settings.clone();
        Ok(settings)
    }
}

/// Changes settings on all nodes: each reads them again with its next look. The change was checked by who took it in.
pub async fn change(database: &Database, change: &Change) -> Result<(), sqlx::Error> {
    let mut values: Vec<(String, u64)> = Vec::new();
    for (rule, Thresholds { caution, critical }) in &change.thresholds {
        values.push((format!("{PREFIX}{rule}.caution"), *caution));
        values.push((format!("{PREFIX}{rule}.critical"), *critical));
    }
    values.extend(change.window_ms.map(|value| (format!("{PREFIX}window_ms"), value)));
    values.extend(change.pending_ms.map(|value| (format!("{PREFIX}pending_ms"), value)));
    let (names, values): (Vec<String>, Vec<i64>) =
        values.into_iter().map(|(name, value)| (name, i64::try_from(value).unwrap_or(i64::MAX))).unzip();
    sqlx::query(
        "INSERT INTO settings (name, value) SELECT * FROM unnest($1::text[], $2::bigint[])
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(names)
    .bind(values)
    .execute(database)
    .await?;
    Ok(())
}

//! A campaign whose facts contradict each other takes no claims any more, until somebody has looked into it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::error::LedgerError;
use crate::database::Database;
use crate::ids::CampaignId;
use crate::redis::{Redis, Script};
use crate::script;

static HALT: Script<1> = script!("campaign/halt");

/// How often it looks by itself.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Halts campaigns in Redis. What was recorded stays on the list until that has succeeded, whoever dies meanwhile.
pub struct Quarantine {
    redis: Arc<Redis>,
    database: Database,
    recorded: Arc<Notify>,
}

impl Quarantine {
    /// Connects to nothing yet. `recorded` wakes it before its time.
    #[must_use]
    pub fn new(redis: Arc<Redis>, database: Database, recorded: Arc<Notify>) -> Self {
        Self { redis, database, recorded }
    }

    /// Until it is told to stop.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            if let Err(error) = self.tick().await {
                tracing::warn!(%error, "campaigns with contradictions are not halted yet");
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.recorded.notified() => {}
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Halts what is on the list. Answers how many campaigns there were to halt in Redis.
    pub async fn tick(&self) -> Result<u64, LedgerError> {
        let listed: Vec<(String, i32)> = sqlx::query_as(
            "SELECT campaign_id, max(generation) FROM contradictions WHERE halted_at IS NULL GROUP BY 1 ORDER BY 1",
        )
        .fetch_all(&self.database)
        .await?;
        let mut halted = 0;
        for (id, generation) in listed {
            // Facts name campaigns by well-formed ids, or they are no facts.
            if let Ok(campaign) = id.parse::<CampaignId>() {
                let key = self.redis.keys().of(&campaign).campaign();
                let args = vec![i64::from(generation).into()];
                let reply = self.redis.call(&HALT, &campaign, [key], args).await?;
                if reply.as_i64() == Some(1) {
                    halted += 1;
                    metrics::counter!("onrush_ledger_campaigns_halted_total").increment(1);
                    tracing::error!(%campaign, "campaign halted, since its facts contradict each other: it takes no claims until `onrush rebuild`");
                }
            }
            sqlx::query(
                "UPDATE contradictions SET halted_at = clock_timestamp()
                 WHERE campaign_id = $1 AND generation <= $2 AND halted_at IS NULL",
            )
            .bind(&id)
            .bind(generation)
            .execute(&self.database)
            .await?;
        }
        Ok(halted)
    }
}

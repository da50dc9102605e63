//! Onrush, through its library: HTTP is in none of the others either. Relay and writer run beside it, in this process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use onrush::campaign::Campaign;
use onrush::claim::{Answer, Claims, Request};
use onrush::database::Database;
use onrush::ids::{AttemptId, UserId};
use sqlx::Row;

use super::Way;
use crate::judge::{Decision, Sale};

/// How long the rows may take after the last answer, and how often it is looked whether they are there.
const SETTLE_MAX: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Claims that are asked for together.
const PAGE: usize = 1_000;

/// A campaign, and how to claim of it.
pub struct InOnrush {
    claims: Claims,
    campaign: Arc<Campaign>,
    database: Database,
    rows_per_second_max: u64,
    began: std::sync::OnceLock<Instant>,
}

impl InOnrush {
    /// A relay and a writer run and follow this campaign.
    #[must_use]
    pub fn new(claims: Claims, campaign: Arc<Campaign>, database: Database, rows_per_second_max: u64) -> Self {
        Self { claims, campaign, database, rows_per_second_max, began: std::sync::OnceLock::new() }
    }

    /// Claims that Redis has given.
    async fn given(&self) -> anyhow::Result<u64> {
        let (mut given, mut after) = (0, 0);
        loop {
            let page = self.claims.page(&self.campaign, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(given) };
            given += page.len() as u64;
            after = last.number;
        }
    }

    /// Waits until so many claims are rows.
    pub(crate) async fn rows_are_there(&self, claims: u64) -> anyhow::Result<()> {
        let deadline = Instant::now() + SETTLE_MAX;
        loop {
            let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM claims WHERE campaign_id = $1")
                .bind(self.campaign.id().as_str())
                .fetch_one(&self.database)
                .await?;
            if rows.unsigned_abs() >= claims {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{rows} of {claims} claims are rows after {SETTLE_MAX:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Way for InOnrush {
    fn name(&self) -> &'static str {
        "Onrush"
    }

    fn is_correct(&self) -> bool {
        true
    }

    fn note(&self) -> String {
        format!(
            "through its library, without HTTP; relay and writer run in the same process, at most {} facts/s",
            self.rows_per_second_max
        )
    }

    async fn ask(&self, user: UserId) -> anyhow::Result<Decision> {
        self.began.get_or_init(Instant::now);
        match self.claims.claim(&self.campaign, Request { attempt: AttemptId::random(), user, pass: None }).await? {
            Answer::Issued(claim) | Answer::Replayed(claim) => Ok(Decision::Number(claim.number)),
            Answer::SoldOut => Ok(Decision::SoldOut),
            other => bail!("{other:?}"),
        }
    }

    async fn settle(&self) -> anyhow::Result<Option<String>> {
        let given = self.given().await?;
        self.rows_are_there(given).await?;
        let took = self.began.get().map(Instant::elapsed).unwrap_or_default();
        Ok(Some(format!("all {given} claims were rows {:.1} s after the first request", took.as_secs_f64())))
    }

    async fn sales(&self) -> anyhow::Result<Vec<Sale>> {
        let rows = sqlx::query("SELECT user_id, number FROM claims WHERE campaign_id = $1 AND claimed_at IS NOT NULL")
            .bind(self.campaign.id().as_str())
            .fetch_all(&self.database)
            .await?;
        rows.iter()
            .map(|row| Ok(Sale { user: row.try_get(0)?, number: u64::try_from(row.try_get::<i64, _>(1)?)? }))
            .collect()
    }
}

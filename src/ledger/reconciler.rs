//! The audit that runs by itself: over every campaign that has changed since it was last found in order, and from time to
//! time over all others, as rows may go without any change in Redis.
//!
//! One node does it at a time. What is broken twice in a row is repaired where that is safe (see `repair`), and put on the
//! list of broken audits otherwise, which alarms; the list is taken down when the campaign is in order again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::audit::{Audit, Verdict};
use super::auditor::{Auditor, Mark};
use super::error::LedgerError;
use super::evidence::Counters;
use super::gauges::RoundsDone;
use super::repair::lost_facts;
use super::rows_again;
use crate::config::{self, Config};
use crate::database::Database;
use crate::ids::CampaignId;
use crate::kafka::Producer;
use crate::redis::{Lease, Redis};

/// The longest pause of a campaign that stays broken, in rounds: to audit it costs as much as when it is in order.
const SKIP_MAX: u32 = 8;

/// Audits by itself. One a node, of which one works.
pub struct Reconciler {
    auditor: Arc<Auditor>,
    redis: Arc<Redis>,
    database: Database,
    producer: Arc<Producer>,
    settings: config::Audit,
    lease: Lease,
    /// The last campaign of the round before; empty: begin anew.
    after: String,
    seen: HashMap<CampaignId, Seen>,
    rounds: RoundsDone,
}

/// What is remembered of a campaign between two rounds.
#[derive(Default)]
struct Seen {
    /// Generation and highest fact when it was last found in order, and when that was.
    clean_at: Option<((u32, u64), Instant)>,
    mark: Option<Mark>,
    /// Rounds in a row in which it was found broken, and those to come in which it is left alone.
    broken: u32,
    skip: u32,
}

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Campaigns that were audited: in order, on their way, broken.
    pub ok: u64,
    /// See `ok`.
    pub settling: u64,
    /// See `ok`.
    pub broken: u64,
    /// Facts that were published again.
    pub facts_repaired: u64,
    /// Rows of claims that were made again from the history.
    pub rows_repaired: u64,
    /// Campaigns that are broken and cannot be repaired.
    pub alarmed: u64,
}

/// What became of one campaign in a round.
enum Outcome {
    Unchanged,
    Ok,
    Settling,
    BrokenOnce,
    Repaired { facts: u64, rows: u64 },
    Alarmed(Audit),
}

impl Reconciler {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(
        auditor: Arc<Auditor>,
        redis: Arc<Redis>,
        database: Database,
        producer: Arc<Producer>,
        config: &Config,
    ) -> Self {
        let settings = config.audit.clone();
        // Some rounds, and what a round may take while a store does not answer.
        let lasts = Duration::from_millis(settings.every_ms * 3) + Duration::from_mins(1);
        let lease = Lease::new(Arc::clone(&redis), "reconciler", lasts);
        Self {
            auditor,
            redis,
            database,
            producer,
            settings,
            lease,
            after: String::new(),
            seen: HashMap::new(),
            rounds: RoundsDone::default(),
        }
    }

    /// When it last came through a round.
    #[must_use]
    pub fn rounds(&self) -> RoundsDone {
        self.rounds.clone()
    }

    /// Until it is told to stop.
    pub async fn run(&mut self, shutdown: CancellationToken) {
        // Where it ended before its time, what it remembers is as of then.
        self.seen.clear();
        let mut due = interval(Duration::from_millis(self.settings.every_ms));
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(due.tick()).await.is_some() {
            // A long round ends where it is: the next one begins anew, and nothing is half done.
            if let Some(Err(error)) = shutdown.run_until_cancelled(self.tick()).await {
                tracing::warn!(%error, "campaigns are not being audited");
            }
        }
        self.lease.release().await;
    }

    /// One round, if this is the node that does it.
    pub async fn tick(&mut self) -> Result<Reconciled, LedgerError> {
        if !self.lease.take().await? {
            // Whoever has it sees what happens now.
            self.seen.clear();
            return Ok(Reconciled::default());
        }
        let campaigns = self.next_page().await?;
        let seen: Vec<(CampaignId, Seen)> = campaigns
            .into_iter()
            .map(|campaign| {
                let seen = self.seen.remove(&campaign).unwrap_or_default();
                (campaign, seen)
            })
            .collect();
        let this = &*self;
        let looked: Vec<(CampaignId, Seen, Result<Outcome, LedgerError>)> = futures::stream::iter(seen)
            .map(async |(campaign, mut seen)| {
                let outcome = this.look(&campaign, &mut seen).await;
                (campaign, seen, outcome)
            })
            .buffer_unordered(self.settings.campaigns_at_once_max)
            .collect()
            .await;
        let (mut done, mut clean, mut failed) = (Reconciled::default(), Vec::new(), 0_u64);
        for (campaign, seen, outcome) in looked {
            match outcome {
                Ok(Outcome::Unchanged) => {}
                Ok(Outcome::Ok) => {
                    done.ok += 1;
                    clean.push(campaign.as_str().to_owned());
                }
                Ok(Outcome::Settling) => done.settling += 1,
                Ok(Outcome::BrokenOnce) => done.broken += 1,
                Ok(Outcome::Repaired { facts, rows }) => {
                    done.broken += 1;
                    done.facts_repaired += facts;
                    done.rows_repaired += rows;
                }
                Ok(Outcome::Alarmed(audit)) => {
                    done.broken += 1;
                    done.alarmed += 1;
                    // One that cannot be noted hides no other.
                    if let Err(error) = self.put_on_the_list(&audit).await {
                        tracing::error!(finding = %audit, %error, "a campaign is broken, and that could not be noted");
                    }
                }
                Err(error) => {
                    failed += 1;
                    tracing::warn!(%campaign, %error, "a campaign could not be audited");
                }
            }
            self.seen.insert(campaign, seen);
        }
        if !clean.is_empty() {
            sqlx::query("DELETE FROM broken_audits WHERE campaign_id = ANY ($1)")
                .bind(clean)
                .execute(&self.database)
                .await?;
        }
        for (verdict, count) in [("ok", done.ok), ("settling", done.settling), ("broken", done.broken)] {
            metrics::counter!("onrush_audits_total", "verdict" => verdict).increment(count);
        }
        metrics::counter!("onrush_audit_failures_total").increment(failed);
        if failed == 0 {
            self.rounds.done(self.redis.time().await?.0);
        }
        metrics::counter!("onrush_audit_facts_repaired_total").increment(done.facts_repaired);
        metrics::counter!("onrush_audit_rows_repaired_total").increment(done.rows_repaired);
        Ok(done)
    }

    /// The campaigns of this round, by the database's word: what Redis has lost is among them.
    async fn next_page(&mut self) -> Result<Vec<CampaignId>, LedgerError> {
        let page: Vec<String> =
            sqlx::query_scalar("SELECT id FROM campaigns WHERE ever_put AND id > $1 ORDER BY id LIMIT $2")
                .bind(&self.after)
                .bind(i64::from(self.settings.campaigns_per_round_max))
                .fetch_all(&self.database)
                .await?;
        let is_last = page.len() < usize::try_from(self.settings.campaigns_per_round_max).unwrap_or(usize::MAX);
        self.after = page.last().filter(|_| !is_last).cloned().unwrap_or_default();
        Ok(page.iter().filter_map(|id| id.parse().ok()).collect())
    }

    async fn look(&self, campaign: &CampaignId, seen: &mut Seen) -> Result<Outcome, LedgerError> {
        if seen.skip > 0 {
            seen.skip -= 1;
            return Ok(Outcome::Unchanged);
        }
        // Read before the audit, which therefore has seen this much at least.
        let counters = Counters::read(&self.redis, campaign).await?.filter(|counters| !counters.lost);
        let at = counters.map(|counters| (counters.generation, counters.fact_no));
        let all_every = Duration::from_millis(self.settings.all_every_ms);
        let is_clean = |(clean_at, since): (_, Instant)| at == Some(clean_at) && since.elapsed() < all_every;
        if seen.clean_at.is_some_and(is_clean) {
            return Ok(Outcome::Unchanged);
        }
        let looked_at = Instant::now();
        let Some(audit) = self.auditor.compare(campaign, &mut seen.mark).await? else { return Ok(Outcome::Unchanged) };
        match audit.verdict {
            Verdict::Ok => {
                *seen = Seen { clean_at: at.map(|at| (at, looked_at)), ..Seen::default() };
                Ok(Outcome::Ok)
            }
            Verdict::Settling => {
                seen.broken = 0;
                Ok(Outcome::Settling)
            }
            Verdict::Broken => {
                seen.broken += 1;
                if seen.broken == 1 {
                    return Ok(Outcome::BrokenOnce);
                }
                // What the history knows is written down again first: then the facts that are missing are the only ones.
                let rows = rows_again::make(&self.database, campaign, self.settings.rows_at_once_max).await?;
                let facts = match &counters {
                    Some(counters) if rows == 0 => self.repair(campaign, (&audit, counters)).await?,
                    _ => 0,
                };
                if rows + facts > 0 {
                    // It has to be broken twice again before anything else is done.
                    seen.broken = 0;
                    return Ok(Outcome::Repaired { facts, rows });
                }
                seen.skip = 1_u32.checked_shl(seen.broken - 2).unwrap_or(SKIP_MAX).min(SKIP_MAX) - 1;
                Ok(Outcome::Alarmed(audit))
            }
        }
    }

    /// Publishes again what can be made anew. They go through the writer like all facts.
    async fn repair(&self, campaign: &CampaignId, (audit, counters): (&Audit, &Counters)) -> Result<u64, LedgerError> {
        let facts = lost_facts(&self.redis, &self.database, campaign, (audit, counters)).await?;
        if facts.is_empty() {
            return Ok(0);
        }
        let published = self.producer.publish(&facts).await;
        if let Some(failure) = published.failure {
            return Err(failure.into());
        }
        let numbers: Vec<u64> = facts.iter().map(|fact| fact.fact_no).collect();
        tracing::warn!(%campaign, facts = ?numbers, "facts that were nowhere are published again, from Redis' records");
        Ok(facts.len() as u64)
    }

    async fn put_on_the_list(&self, audit: &Audit) -> Result<(), LedgerError> {
        let wrong = audit.findings.join("; ");
        // Another finding of a campaign that is listed already is said aloud as well.
        let is_new: bool = sqlx::query_scalar(
            "WITH before AS (SELECT wrong FROM broken_audits WHERE campaign_id = $1)
             INSERT INTO broken_audits (campaign_id, finding, wrong) VALUES ($1, $2, $3)
             ON CONFLICT (campaign_id) DO UPDATE SET finding = EXCLUDED.finding, wrong = EXCLUDED.wrong
             RETURNING (SELECT wrong FROM before) IS DISTINCT FROM $3",
        )
        .bind(&audit.campaign_id)
        .bind(audit.to_string())
        .bind(wrong)
        .fetch_one(&self.database)
        .await?;
        if is_new {
            tracing::error!(finding = %audit, "a campaign is broken and cannot be repaired by itself");
        }
        Ok(())
    }
}

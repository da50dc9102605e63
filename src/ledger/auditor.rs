//! Do all stores agree about a campaign?
//!
//! The order of reading is what makes the figures comparable. First Redis' counters and its count of facts, in one
//! step: facts up to that one must be somewhere. Then the outbox: what has left it is in Kafka. Then where Kafka ends,
//! then how far the writers have committed, then the rows: what the writers have passed must be a row. Facts that are
//! neither in the outbox nor rows are on their way until the writers have passed that end, and missing from then on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::audit::{Audit, Verdict};
use super::error::LedgerError;
use super::evidence::{Counters, Outbox, Recount};
use super::findings;
use super::snapshot::Rows;
use crate::config::Config;
use crate::database::Database;
use crate::ids::CampaignId;
use crate::kafka::{Ends, Offsets};
use crate::redis::Redis;

/// How often [`Auditor::audit_settled`] looks again.
const AGAIN: Duration = Duration::from_millis(200);

/// Compares Redis, Kafka and the database.
pub struct Auditor {
    redis: Arc<Redis>,
    offsets: Offsets,
    database: Database,
    recount_max: u64,
    rows_at_once: i64,
}

/// Facts that were on their way in Kafka at one moment: whether they have arrived since can be told later.
pub(super) struct Mark {
    generation: u32,
    /// They are below this one.
    below: u64,
    ends: Ends,
}

impl Auditor {
    /// Connects to nothing yet.
    pub fn new(redis: Arc<Redis>, database: Database, config: &Config) -> Result<Self, LedgerError> {
        let offsets = Offsets::new(&config.kafka)?;
        Ok(Self {
            redis,
            offsets,
            database,
            recount_max: config.audit.recount_max,
            rows_at_once: config.audit.rows_at_once_max,
        })
    }

    /// All campaigns that any store knows of: those that Redis has lost are in the database, and one that the database lost
    /// is in Redis' directory.
    pub async fn campaigns(&self) -> Result<Vec<CampaignId>, LedgerError> {
        let recorded: Vec<String> =
            sqlx::query_scalar("SELECT id FROM campaigns WHERE ever_put").fetch_all(&self.database).await?;
        let in_redis = self.redis.changed_since(0).await?.into_iter().map(|(campaign, _)| campaign);
        let all: BTreeSet<CampaignId> = recorded.iter().filter_map(|id| id.parse().ok()).chain(in_redis).collect();
        Ok(all.into_iter().collect())
    }

    /// Compares now. `None`: there is no such campaign.
    pub async fn audit(&self, campaign: &CampaignId) -> Result<Option<Audit>, LedgerError> {
        self.compare(campaign, &mut None).await
    }

    /// Compares until nothing is on its way any more, or the time is over.
    pub async fn audit_settled(&self, campaign: &CampaignId, wait_max: Duration) -> Result<Option<Audit>, LedgerError> {
        let (until, mut mark) = (Instant::now() + wait_max, None);
        loop {
            let audit = self.compare(campaign, &mut mark).await?;
            let settling = audit.as_ref().is_some_and(|audit| audit.verdict == Verdict::Settling);
            if !settling || Instant::now() + AGAIN > until {
                return Ok(audit);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Compares once. What is on its way in Kafka is marked, so that a later call can tell whether it has arrived.
    pub(super) async fn compare(
        &self,
        campaign: &CampaignId,
        mark: &mut Option<Mark>,
    ) -> Result<Option<Audit>, LedgerError> {
        let counters = Counters::read(&self.redis, campaign).await?;
        let Some(counters) = counters.filter(|counters| !counters.lost) else {
            return self.without_redis(campaign, counters).await;
        };
        let outbox = Outbox::read(&self.redis, campaign, &counters).await?;
        let passed = self.writers_passed(&counters, &outbox, mark).await?;
        let rows = Rows::read(&self.database, campaign, (&counters, &outbox), self.rows_at_once).await?;
        let recount = Recount::make(&self.redis, campaign, self.recount_max).await?;
        let after = Counters::read(&self.redis, campaign).await?.unwrap_or_default();
        let went_back = rows.is_ahead_of(&after);
        let nothing_since = (after.generation, after.fact_no) == (counters.generation, counters.fact_no);
        let mut audit = judge(campaign, &counters, &outbox, &rows, passed, nothing_since);
        audit.recounted = recount.is_some();
        if went_back {
            audit.is_broken(findings::went_back(campaign));
        }
        if recount.is_some_and(Recount::disagrees) {
            audit.is_broken("Redis' claims, counted one by one, are not as many as its counters say".to_owned());
        }
        Ok(Some(audit))
    }

    /// Whether the writers are beyond where Kafka ends now; or, while facts keep coming, beyond where it ended when the
    /// same facts were first looked for.
    async fn writers_passed(
        &self,
        counters: &Counters,
        outbox: &Outbox,
        mark: &mut Option<Mark>,
    ) -> Result<bool, LedgerError> {
        let ends = self.offsets.ends().await?;
        if self.offsets.lag(&ends).await? == 0 {
            return Ok(true);
        }
        let below = outbox.first.unwrap_or(counters.fact_no + 1);
        match mark.as_ref().filter(|mark| mark.generation == counters.generation) {
            Some(first) if first.below == below => Ok(self.offsets.lag(&first.ends).await? == 0),
            _ => {
                *mark = Some(Mark { generation: counters.generation, below, ends });
                Ok(false)
            }
        }
    }

    /// A campaign that Redis has lost, or that there never was.
    async fn without_redis(
        &self,
        campaign: &CampaignId,
        counters: Option<Counters>,
    ) -> Result<Option<Audit>, LedgerError> {
        let found = counters.is_some();
        let counters = counters.unwrap_or_default();
        let nothing = Outbox::default();
        let rows = Rows::read(&self.database, campaign, (&counters, &nothing), self.rows_at_once).await?;
        let definition = Rows::definition(&self.database, campaign).await?;
        if !found && definition.is_none() && rows.facts_ever == 0 {
            return Ok(None);
        }
        let (stock, ever_put) = definition.unwrap_or((counters.stock, true));
        // What was never in Redis is not lost: it is about to be put.
        let lost = found || ever_put || rows.facts_ever > 0;
        let mut findings = Vec::new();
        if lost {
            findings.push(findings::lost(campaign, counters.halted));
            let beyond = rows.live_ever.saturating_sub(stock);
            if beyond > 0 {
                findings.push(format!("{beyond} units were sold beyond the stock"));
            }
        }
        findings.extend(findings::of_rows(campaign, &rows));
        Ok(Some(Audit {
            campaign_id: campaign.as_str().to_owned(),
            generation: counters.generation.max(rows.generation),
            stock,
            left: counters.left,
            live: counters.live(),
            given_back: counters.given_back,
            outbox: 0,
            lag: 0,
            rows: rows.live_ever,
            missing: 0,
            doubled: rows.doubled,
            oversold: rows.live_ever.saturating_sub(stock) + rows.sold_twice,
            above_limit: rows.above_limit,
            gaps: 0,
            recounted: false,
            findings,
            verdict: if lost { Verdict::Broken } else { Verdict::Settling },
        }))
    }
}

/// What follows from the figures. `passed`: what was in Kafka at the mark has been dealt with by the writers.
/// `nothing_since`: Redis decided nothing between the mark and the look at the rows.
fn judge(
    campaign: &CampaignId,
    counters: &Counters,
    outbox: &Outbox,
    rows: &Rows,
    passed: bool,
    nothing_since: bool,
) -> Audit {
    let below = |sum: i128| u64::try_from(sum).unwrap_or(0);
    let waiting = |of: u64, are_rows: u64| i128::from(of) - i128::from(are_rows);
    // Facts, claims and give-backs of the outbox that are not rows: the writers may be faster than the relay's delete.
    let in_outbox = waiting(outbox.facts, rows.in_outbox);
    let claimed_in_outbox = waiting(outbox.claimed, rows.claimed_in_outbox);
    let given_back_in_outbox = waiting(outbox.given_back, rows.given_back_in_outbox);
    // What is neither in the outbox nor a row.
    let discarded = &rows.discarded;
    let elsewhere = i128::from(counters.fact_no) - i128::from(rows.facts + discarded.facts) - in_outbox;
    let claimed_elsewhere = i128::from(counters.next)
        - i128::from(counters.base_next)
        - i128::from(rows.claimed + discarded.claimed)
        - claimed_in_outbox;
    let given_back_elsewhere = i128::from(counters.given_back)
        - i128::from(counters.base_given_back)
        - i128::from(rows.given_back + discarded.given_back)
        - given_back_in_outbox;
    let on_the_way = |elsewhere: i128| if passed { 0 } else { elsewhere };

    let live_discarded = i128::from(discarded.claimed) - i128::from(discarded.given_back);
    let live_expected = i128::from(counters.live())
        - live_discarded
        - (claimed_in_outbox - given_back_in_outbox)
        - (on_the_way(claimed_elsewhere) - on_the_way(given_back_elsewhere));
    let all_arrived = in_outbox == 0 && elsewhere == 0;
    // The claim of a unit may arrive before the give-back that made it free: while facts are on their way, rows beyond
    // the stock are only wrong if the give-backs among those facts do not explain them.
    let rows_live = if all_arrived && nothing_since {
        rows.live_ever
    } else {
        below(i128::from(rows.live) - given_back_in_outbox.max(0) - on_the_way(given_back_elsewhere).max(0))
    };
    // Likewise of a user: the second claim may arrive before the give-back of the first.
    let above_limit = if nothing_since {
        below(i128::from(rows.above_limit) - given_back_in_outbox.max(0) - on_the_way(given_back_elsewhere).max(0))
    } else {
        0
    };
    let numbers_expected = i128::from(counters.next)
        - i128::from(counters.lost_numbers)
        - i128::from(discarded.claimed)
        - claimed_in_outbox
        - on_the_way(claimed_elsewhere);
    let mut audit = Audit {
        campaign_id: campaign.as_str().to_owned(),
        generation: counters.generation,
        stock: counters.stock,
        left: counters.left,
        live: counters.live(),
        given_back: counters.given_back,
        outbox: below(in_outbox),
        lag: below(on_the_way(elsewhere)),
        rows: rows.live,
        missing: below(live_expected - i128::from(rows.live)),
        doubled: rows.doubled,
        oversold: counters.live().max(rows_live).saturating_sub(counters.stock) + rows.sold_twice,
        above_limit,
        gaps: below(numbers_expected - i128::from(rows.numbers)),
        recounted: false,
        findings: Vec::new(),
        verdict: Verdict::Ok,
    };
    let mut wrong = findings::of_figures(&audit, rows);
    wrong.extend(findings::of_rows(campaign, rows));
    if (passed && elsewhere != 0) || elsewhere < 0 {
        wrong.push(format!(
            "{elsewhere} facts of Redis are neither in the outbox, nor on their way, nor in the history"
        ));
    }
    if counters.left + counters.live() != counters.stock {
        wrong.push("what Redis has left and what it has given do not sum up to the stock".to_owned());
    }
    if all_arrived && rows.change + discarded.change != i128::from(counters.left) {
        wrong.push("the history does not sum up to what Redis has left".to_owned());
    }
    if all_arrived && i128::from(rows.live) + live_discarded != i128::from(counters.live()) && audit.missing == 0 {
        wrong.push("the database has more live claims than Redis".to_owned());
    }
    let something_is_wrong = !wrong.is_empty();
    audit.findings = wrong;
    if discarded.facts > 0 {
        audit.findings.push(format!("{} facts are no rows because an operator has discarded them", discarded.facts));
    }
    audit.verdict = match (something_is_wrong, all_arrived) {
        (true, _) => Verdict::Broken,
        (false, true) => Verdict::Ok,
        (false, false) => Verdict::Settling,
    };
    audit
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A user with a limit of one: claimed, given back, claimed again. The give-back is the last to arrive.
    #[test]
    fn a_second_claim_that_overtakes_the_give_back_of_the_first_is_not_above_the_limit() {
        let counters =
            Counters { generation: 1, fact_no: 4, stock: 9, left: 8, next: 2, given_back: 1, ..Counters::default() };
        let rows = Rows { facts: 3, claimed: 2, numbers: 2, live: 2, live_ever: 2, above_limit: 1, ..Rows::default() };
        let audit = |passed| judge(&"c".parse().unwrap(), &counters, &Outbox::default(), &rows, passed, true);
        assert_eq!((audit(false).above_limit, audit(false).verdict), (0, Verdict::Settling));
        // The writers are past it, and it did not arrive: now it is wrong.
        assert_eq!((audit(true).above_limit, audit(true).verdict), (1, Verdict::Broken));
    }

    /// One unit: claimed, given back, claimed again. The give-back is the last to arrive.
    #[test]
    fn a_claim_that_overtakes_the_give_back_before_it_is_not_oversold() {
        let counters = Counters { generation: 1, fact_no: 4, stock: 1, next: 2, given_back: 1, ..Counters::default() };
        let rows = Rows { facts: 3, claimed: 2, numbers: 2, live: 2, live_ever: 2, change: -1, ..Rows::default() };
        let audit = |passed| judge(&"c".parse().unwrap(), &counters, &Outbox::default(), &rows, passed, true);
        assert_eq!((audit(false).oversold, audit(false).verdict), (0, Verdict::Settling));
        // The writers are past it, and it did not arrive: now it is wrong.
        assert_eq!((audit(true).oversold, audit(true).verdict), (1, Verdict::Broken));
    }
}

//! Do all stores agree about a campaign?
//!
//! The order of reading is what makes the figures comparable. First Redis' counters and its count of facts, in one
//! step: facts up to that one must be somewhere. Then the outbox: what has left it is in Kafka. Then where Kafka ends,
//! then how far the writers have committed, then the rows: what the writers have passed must be a row. Facts that are
//! neither in the outbox nor rows are on their way until the writers have passed that end, and missing from then on.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::LedgerError;
use super::evidence::{Counters, Outbox, Recount, Rows};
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
}

/// What the stores say of a campaign, and what does not fit. The names are those of the HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Audit {
    /// The campaign.
    pub campaign_id: String,
    /// Its lives in Redis.
    pub generation: u32,
    /// Units on offer.
    pub stock: u64,
    /// Units that nobody holds, by Redis.
    pub left: u64,
    /// Claims that were not given back, by Redis.
    pub live: u64,
    /// Claims that were given back, by Redis.
    pub given_back: u64,
    /// Facts in the outbox that are not rows.
    pub outbox: u64,
    /// Facts in Kafka that are not rows.
    pub lag: u64,
    /// Live claims in the database.
    pub rows: u64,
    /// Live claims that are neither rows nor on their way.
    pub missing: u64,
    /// Numbers, or attempts of a user, that are live twice.
    pub doubled: u64,
    /// Live claims beyond the stock.
    pub oversold: u64,
    /// Numbers up to the highest that are not in the database in any state, nor on their way.
    pub gaps: u64,
    /// Whether the live claims were counted one by one. Not when they are too many, or while they keep changing.
    pub recounted: bool,
    /// The end of it.
    pub verdict: Verdict,
}

/// What an audit comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All stores agree.
    Ok,
    /// They will when what is on its way has arrived.
    Settling,
    /// They do not, and waiting does not help.
    Broken,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Settling => "settling",
            Self::Broken => "broken",
        })
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "audit {}: {}: stock {}, left {}, live {}, given back {}, rows {}, on the way {}",
            self.campaign_id,
            self.verdict,
            self.stock,
            self.left,
            self.live,
            self.given_back,
            self.rows,
            self.outbox + self.lag
        )?;
        for (name, value) in
            [("missing", self.missing), ("doubled", self.doubled), ("oversold", self.oversold), ("gaps", self.gaps)]
        {
            if value > 0 {
                write!(f, ", {name} {value}")?;
            }
        }
        Ok(())
    }
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
        Ok(Self { redis, offsets, database, recount_max: config.audit.recount_max })
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
        let rows = Rows::read(&self.database, campaign, &counters, &outbox).await?;
        let recount = Recount::make(&self.redis, campaign, self.recount_max).await?;
        let after = Counters::read(&self.redis, campaign).await?.unwrap_or_default();
        let went_back = rows.is_ahead_of(&after);
        let nothing_since = (after.generation, after.fact_no) == (counters.generation, counters.fact_no);
        let mut audit = judge(campaign, &counters, &outbox, &rows, passed, nothing_since);
        audit.recounted = recount.is_some();
        if went_back || recount.is_some_and(Recount::disagrees) {
            audit.verdict = Verdict::Broken;
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
        let rows = Rows::read(&self.database, campaign, &counters, &Outbox::default()).await?;
        let definition = Rows::definition(&self.database, campaign).await?;
        if !found && definition.is_none() && rows.facts_ever == 0 {
            return Ok(None);
        }
        let (stock, ever_put) = definition.unwrap_or((counters.stock, true));
        // What was never in Redis is not lost: it is about to be put.
        let lost = found || ever_put || rows.facts_ever > 0;
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
            oversold: rows.live_ever.saturating_sub(stock),
            gaps: 0,
            recounted: false,
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
    let elsewhere = i128::from(counters.fact_no) - i128::from(rows.facts) - in_outbox;
    let claimed_elsewhere =
        i128::from(counters.next) - i128::from(counters.base_next) - i128::from(rows.claimed) - claimed_in_outbox;
    let given_back_elsewhere = i128::from(counters.given_back)
        - i128::from(counters.base_given_back)
        - i128::from(rows.given_back)
        - given_back_in_outbox;
    let on_the_way = |elsewhere: i128| if passed { 0 } else { elsewhere };

    let live_expected = i128::from(counters.live())
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
    let numbers_expected = i128::from(counters.next)
        - i128::from(counters.lost_numbers)
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
        oversold: counters.live().max(rows_live).saturating_sub(counters.stock),
        gaps: below(numbers_expected - i128::from(rows.numbers)),
        recounted: false,
        verdict: Verdict::Ok,
    };
    let something_is_wrong = audit.missing + audit.doubled + audit.oversold + audit.gaps > 0
        || rows.contradictions + rows.dead_letters > 0
        || rows.claims_differ_from_history
        || (passed && elsewhere != 0)
        || elsewhere < 0
        || counters.left + counters.live() != counters.stock
        || (all_arrived && (rows.change != i128::from(counters.left) || rows.live != counters.live()));
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

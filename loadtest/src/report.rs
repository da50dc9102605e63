//! How did it go? Everything that the table shows and the JSON file holds.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::audit::{Audit, Counts};
use crate::latency::Latency;
use crate::plan::Plan;
use crate::tally::Tally;
use crate::verdict;

/// The result of a rush.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The campaign's id.
    pub(crate) campaign: String,
    /// How many users asked.
    pub(crate) users: u32,
    /// How many coupons there were.
    pub(crate) stock: u32,
    /// How many requests were sent.
    pub(crate) requests: u64,
    /// On how many connections.
    pub(crate) connections: u32,
    /// How often each answer came, as `409 sold_out`.
    pub(crate) answers: BTreeMap<String, u64>,
    /// How often there was none, by kind.
    pub(crate) no_answers: BTreeMap<&'static str, u64>,
    /// From the first sending to the last answer, in ms.
    pub(crate) wall_ms: f64,
    /// Answered requests by that time.
    pub(crate) requests_per_second: f64,
    /// From a request's sending to the last byte of its answer.
    pub(crate) latency_ms: Latency,
    /// The auditor's last counts.
    pub(crate) audit: Option<Counts>,
    /// From the last answer until the auditor said `ok`, in ms: at most so long, as it is asked every 200 ms.
    pub(crate) rows_complete_after_ms: Option<f64>,
    /// What is wrong; empty if all is well.
    pub(crate) failures: Vec<String>,
}

impl Report {
    /// Sums up.
    pub(crate) fn new(plan: &Plan, tally: Tally, audit: Audit) -> Self {
        let failures = verdict::failures(plan, &tally, &audit);
        let wall = tally.last_done.zip(tally.first_sent).map_or(0.0, |(last, first)| (last - first).as_secs_f64());
        let answered: u64 = tally.answers.iter().map(|(_, _, count)| count).sum();
        let is_ok = audit.counts.as_ref().is_some_and(|counts| counts.verdict == "ok");
        let complete = audit.settled.filter(|_| is_ok).zip(tally.last_done);
        Self {
            campaign: plan.campaign.clone(),
            users: plan.users,
            stock: plan.stock,
            requests: plan.requests(),
            connections: plan.connections_used(),
            answers: tally.answers.iter().map(|(s, code, n)| (format!("{} {code}", s.as_u16()), *n)).collect(),
            no_answers: tally.no_answers.iter().map(|(why, count)| (why.label(), *count)).collect(),
            wall_ms: wall * 1e3,
            requests_per_second: per_second(answered, wall),
            latency_ms: Latency::of(tally.latencies),
            audit: audit.counts,
            rows_complete_after_ms: complete.map(|(settled, last)| (settled - last).as_secs_f64() * 1e3),
            failures,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "no rush has 2^52 requests")]
fn per_second(answered: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { answered as f64 / seconds } else { 0.0 }
}

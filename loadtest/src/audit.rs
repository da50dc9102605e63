//! What do the stores say? The auditor is asked until every claim has become a row, or the time is over.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::operator::Operator;
use crate::tally;

const EVERY: Duration = Duration::from_millis(200);

/// The auditor's counts, as the server gives them: its HTTP API says what each is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) verdict: String,
    pub(crate) stock: u64,
    pub(crate) left: i64,
    pub(crate) live: u64,
    pub(crate) rows: u64,
    pub(crate) missing: u64,
    pub(crate) doubled: u64,
    pub(crate) oversold: u64,
    pub(crate) lag: u64,
}

/// How asking went.
pub(crate) struct Audit {
    /// The last counts, if there were any.
    pub(crate) counts: Option<Counts>,
    /// When the verdict was no longer `settling`.
    pub(crate) settled: Option<Instant>,
    /// Why the last question brought no counts.
    pub(crate) trouble: Option<String>,
}

/// Asks until the verdict is not `settling`. What fails on the way is asked again: the server may be restarting.
pub(crate) async fn wait(operator: &Operator<'_>, campaign: &str, at_most: Duration) -> Audit {
    let begun = Instant::now();
    let mut audit = Audit { counts: None, settled: None, trouble: None };
    loop {
        match counts(operator, campaign).await {
            Ok(counts) => {
                audit.settled = (counts.verdict != "settling").then(Instant::now);
                audit.counts = Some(counts);
                audit.trouble = None;
            }
            Err(trouble) => audit.trouble = Some(trouble),
        }
        if audit.settled.is_some() || begun.elapsed() + EVERY > at_most {
            return audit;
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn counts(operator: &Operator<'_>, campaign: &str) -> Result<Counts, String> {
    match operator.audit(campaign).await {
        Ok(answer) if answer.status == StatusCode::OK => {
            serde_json::from_slice(&answer.body).map_err(|error| format!("its answer is unreadable: {error}"))
        }
        Ok(answer) => Err(tally::label(answer.status, &answer.body)),
        Err(why) => Err(why.label().to_owned()),
    }
}

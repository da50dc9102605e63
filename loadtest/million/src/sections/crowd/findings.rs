//! What a million in one room came to.

use crate::crowd::Outcome;
use crate::history::Ages;
use crate::judge::Verdict;
use crate::plan::Plan;
use crate::redis::Counters;
use crate::watch::Seen;

/// Nodes that serve them.
pub(super) const NODES: usize = 2;

/// All that came out of it.
pub(super) struct Findings<'a> {
    pub(super) plan: &'a Plan,
    pub(super) outcome: Outcome,
    pub(super) seen: Seen,
    pub(super) ages: Ages,
    pub(super) verdict: Verdict,
    pub(super) last: Counters,
    /// Redis' memory before the first joined.
    pub(super) bytes_before: u64,
    pub(super) processes: Vec<String>,
}

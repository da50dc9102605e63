//! How much was there in the last while? From counts that nodes say of themselves and that only grow.

use std::collections::{HashMap, VecDeque};

use crate::nodes::Report;

/// Counts of one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    claims: u64,
    claims_failed: u64,
    restarts: u64,
}

/// What there was in a while, all nodes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) claims: u64,
    pub(super) claims_failed: u64,
    pub(super) restarts: u64,
}

/// What nodes have said, for as long as the while is.
#[derive(Debug, Default)]
pub(super) struct Rates {
    seen: VecDeque<(i64, HashMap<String, Counts>)>,
}

impl Rates {
    /// Takes in what all nodes say now. Answers what there was in the last while. Of a node that is new, all that it has counted
    /// is; of one that was there before anybody looked, nothing.
    pub(super) fn see(&mut self, reports: &[(String, Report)], now_ms: i64, window_ms: i64) -> Rate {
        let counts = |report: &Report| Counts {
            claims: report.claims,
            claims_failed: report.claims_failed,
            restarts: report.restarts,
        };
        let all = reports.iter().map(|(name, report)| (name.clone(), counts(report))).collect();
        self.seen.push_back((now_ms, all));
        // The first one that is kept is the last before the window.
        while self.seen.get(1).is_some_and(|(at, _)| *at <= now_ms - window_ms) {
            self.seen.pop_front();
        }
        let mut rate = Rate::default();
        for (name, report) in reports {
            let before = self.seen.iter().find_map(|(_, all)| all.get(name).copied()).unwrap_or_default();
            let before = if report.since > now_ms - window_ms { Counts::default() } else { before };
            rate.claims += report.claims.saturating_sub(before.claims);
            rate.claims_failed += report.claims_failed.saturating_sub(before.claims_failed);
            rate.restarts += report.restarts.saturating_sub(before.restarts);
        }
        rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(since: i64, claims: u64, restarts: u64) -> Vec<(String, Report)> {
        vec![("a".into(), Report { since, restarts, claims, ..Report::default() })]
    }

    #[test]
    fn what_was_before_the_window_does_not_count() {
        let mut rates = Rates::default();
        assert_eq!(rates.see(&node(0, 100, 5), 1_000, 100).claims, 0, "it was there before anybody looked");
        assert_eq!(rates.see(&node(0, 130, 6), 1_050, 100), Rate { claims: 30, claims_failed: 0, restarts: 1 });
        assert_eq!(rates.see(&node(0, 130, 6), 1_120, 100).claims, 30, "the last look before the window is at 1,000");
        assert_eq!(rates.see(&node(0, 130, 6), 1_160, 100).claims, 0);
    }

    #[test]
    fn all_that_a_new_node_has_counted_is_new() {
        let mut rates = Rates::default();
        assert_eq!(rates.see(&node(990, 7, 2), 1_000, 100), Rate { claims: 7, claims_failed: 0, restarts: 2 });
    }
}

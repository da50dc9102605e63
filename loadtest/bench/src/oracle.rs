//! Was anybody refused wrongly? Judged from the clients' side alone, by what they were told and when.
//!
//! A refusal `sold_out` is wrong if a unit was certainly free for as long as it took, and for `lease` before it: units
//! count as free from the moment at which a raise or a give-back was answered, and as taken from the moment at which a
//! request began that was granted, or never answered. What was raised or given back at the same node counts at once:
//! only what other nodes did may be that old.

/// Moments in us, since the run began.
pub type Us = u64;

/// Units that came into stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// Where that was asked for.
    pub node: usize,
    /// When it was answered.
    pub answered: Us,
    /// How many.
    pub units: i64,
}

/// A claim that was refused as sold out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// By which node.
    pub node: usize,
    /// When it was sent.
    pub begun: Us,
    /// When it was answered.
    pub answered: Us,
}

/// All that clients know of a run.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Units at first.
    pub stock: i64,
    /// Raises and give-backs.
    pub added: Vec<Added>,
    /// When each request began that was granted, or may have been.
    pub taken: Vec<Us>,
    /// Refusals.
    pub refused: Vec<Refused>,
}

/// Steps of a count over time: from each moment on it has this value.
struct Steps(Vec<(Us, i64)>);

impl Steps {
    fn of(stock: i64, mut changes: Vec<(Us, i64)>) -> Self {
        changes.sort_unstable();
        let mut steps = vec![(0, stock)];
        for (at, change) in changes {
            match steps.last_mut() {
                Some((last, free)) if *last == at => *free += change,
                Some((_, free)) => {
                    let free = *free + change;
                    steps.push((at, free));
                }
                None => {}
            }
        }
        Self(steps)
    }

    /// The lowest value from one moment to another, both included. What came at the first moment itself came too late:
    /// the value before it counts, too.
    fn lowest(&self, from: Us, to: Us) -> i64 {
        let first = self.0.partition_point(|(at, _)| *at < from).saturating_sub(1);
        self.0[first..].iter().take_while(|(at, _)| *at <= to).map(|(_, free)| *free).min().unwrap_or(i64::MAX)
    }
}

impl History {
    /// The refusals that were wrong.
    #[must_use]
    pub fn wrong(&self, lease: Us) -> Vec<Refused> {
        let at_once = self.steps(|added| added.answered);
        let nodes = self.refused.iter().map(|refused| refused.node + 1).max().unwrap_or(0);
        let seen_by: Vec<Steps> = (0..nodes)
            .map(|node| self.steps(|added| added.answered + if added.node == node { 0 } else { lease }))
            .collect();
        let is_wrong = |refused: &&Refused| {
            let Refused { node, begun, answered } = **refused;
            at_once.lowest(begun.saturating_sub(lease), answered) > 0 || seen_by[node].lowest(begun, answered) > 0
        };
        self.refused.iter().filter(is_wrong).copied().collect()
    }

    fn steps(&self, seen: impl Fn(&Added) -> Us) -> Steps {
        let added = self.added.iter().map(|added| (seen(added), added.units));
        Steps::of(self.stock, added.chain(self.taken.iter().map(|begun| (*begun, -1))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Us = 100_000;

    fn history(added: &[(usize, Us)], taken: &[Us], refused: &[(usize, Us, Us)]) -> History {
        History {
            stock: 1,
            added: added.iter().map(|(node, answered)| Added { node: *node, answered: *answered, units: 1 }).collect(),
            // The first unit goes at the very beginning.
            taken: std::iter::once(1).chain(taken.iter().copied()).collect(),
            refused: refused.iter().map(|it| Refused { node: it.0, begun: it.1, answered: it.2 }).collect(),
        }
    }

    fn count(history: &History) -> usize {
        history.wrong(LEASE).len()
    }

    #[test]
    fn nothing_is_wrong_while_nothing_is_free() {
        assert_eq!(count(&history(&[], &[], &[(0, 1_000, 2_000), (0, 500_000, 500_100)])), 0);
    }

    #[test]
    fn a_unit_that_is_free_and_stays_free_may_be_denied_for_the_lease_by_another_node_and_no_longer() {
        let refused = |begun| history(&[(0, 200_000)], &[], &[(1, begun, begun + 500)]);
        assert_eq!(count(&refused(299_999)), 0);
        assert_eq!(count(&refused(300_001)), 1);
    }

    #[test]
    fn the_node_that_took_it_back_may_not_deny_it_at_all() {
        let refused = |begun| history(&[(0, 200_000)], &[], &[(0, begun, begun + 500)]);
        assert_eq!(count(&refused(199_000)), 0, "it was not free all the time");
        assert_eq!(count(&refused(200_001)), 1);
    }

    #[test]
    fn a_unit_that_somebody_else_was_given_meanwhile_was_not_certainly_free() {
        let with_taken = |begun| history(&[(0, 200_000)], &[begun], &[(1, 400_000, 410_000)]);
        assert_eq!(count(&with_taken(399_000)), 0);
        assert_eq!(count(&with_taken(405_000)), 0, "it may have been decided first");
        assert_eq!(count(&with_taken(410_001)), 1);
    }

    #[test]
    fn two_units_that_are_free_in_turn_are_one_that_is_always_free() {
        // The second comes before the first is taken: never none.
        let added = [(0, 200_000), (0, 250_000)];
        assert_eq!(count(&history(&added, &[260_000], &[(1, 310_000, 311_000)])), 1);
        assert_eq!(count(&history(&added, &[240_000], &[(1, 310_000, 311_000)])), 0);
    }

    #[test]
    fn what_another_node_added_does_not_count_for_the_node_that_added_before() {
        // Node 0 added one, which was taken; node 1 added one just now. Node 0 may still have the older word.
        let added = [(0, 200_000), (1, 300_000)];
        assert_eq!(count(&history(&added, &[250_000], &[(0, 350_000, 351_000)])), 0);
        assert_eq!(count(&history(&added, &[250_000], &[(1, 350_000, 351_000)])), 1);
        assert_eq!(count(&history(&added, &[250_000], &[(0, 400_001, 401_000)])), 1);
    }

    #[test]
    fn a_raise_counts_by_all_of_its_units() {
        let mut raised = history(&[], &[300_000, 300_001], &[(0, 400_000, 400_010)]);
        raised.added.push(Added { node: 0, answered: 200_000, units: 3 });
        assert_eq!(count(&raised), 1);
        raised.taken.push(300_002);
        assert_eq!(count(&raised), 0);
    }
}

//! What was counted, and what was wrong? A count of each kind and its first examples: the same memory after an hour as
//! after a minute.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Examples that are kept of each kind.
const EXAMPLES_MAX: usize = 3;
/// Characters of an example.
const EXAMPLE_CHARACTERS: usize = 400;

/// What is wrong in one way.
#[derive(Debug, Clone, Default)]
pub struct Wrong {
    /// How often.
    pub count: u64,
    /// The first ones.
    pub examples: Vec<String>,
}

/// Counts and faults of a soak.
#[derive(Default)]
pub(super) struct Verdict {
    counts: Mutex<BTreeMap<String, u64>>,
    wrong: Mutex<BTreeMap<String, Wrong>>,
}

impl Verdict {
    /// One more of these.
    pub(super) fn count(&self, what: impl Into<String>) {
        self.add(what, 1);
    }

    /// So many more of these.
    pub(super) fn add(&self, what: impl Into<String>, count: u64) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(what.into()).or_default() += count;
    }

    /// This must not be.
    pub(super) fn wrong(&self, kind: impl Into<String>, example: impl FnOnce() -> String) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let wrong = wrong.entry(kind.into()).or_default();
        wrong.count += 1;
        if wrong.examples.len() < EXAMPLES_MAX {
            wrong.examples.push(example().chars().take(EXAMPLE_CHARACTERS).collect());
        }
    }

    /// All of it, as of now.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All of it, as of now.
    pub(super) fn wrongs(&self) -> BTreeMap<String, Wrong> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_faults_of_a_kind_take_no_more_room_than_three() {
        let verdict = Verdict::default();
        for number in 0..1_000_000 {
            verdict.wrong("a kind", || format!("number {number}"));
        }
        let wrongs = verdict.wrongs();
        assert_eq!((wrongs["a kind"].count, wrongs["a kind"].examples.len()), (1_000_000, EXAMPLES_MAX));
    }
}

//! May a failed call be made again? A budget: so many retries for a hundred calls, however many of them fail.
//!
//! Retries never exceed `percent` of the calls made so far. What was not needed is saved, but not for ever: an outage that
//! follows a long quiet time begins with few.

use std::sync::{Mutex, PoisonError};

/// What one retry costs; a call earns `percent` of it.
const RETRY: u64 = 100;
/// Retries that are saved at most.
const SAVED_MAX: u64 = 10;

/// How many retries calls have earned.
pub(super) struct Budget {
    percent: u64,
    saved: Mutex<u64>,
}

impl Budget {
    /// Nothing is earned yet.
    pub(super) fn new(percent: u64) -> Self {
        Self { percent, saved: Mutex::new(0) }
    }

    /// A call is made that is no retry.
    pub(super) fn earn(&self) {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        *saved = (*saved + self.percent).min(SAVED_MAX * RETRY);
    }

    /// Pays for one retry, if there is enough.
    pub(super) fn spend(&self) -> bool {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let left = saved.checked_sub(RETRY);
        *saved = left.unwrap_or(*saved);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Retries of so many calls that all fail.
    fn retries(budget: &Budget, calls: u64) -> u64 {
        (0..calls).fold(0, |retries, _| {
            budget.earn();
            retries + u64::from(budget.spend())
        })
    }

    #[test]
    fn where_everything_fails_the_percentage_is_retried_and_not_one_more() {
        for (percent, expected) in [(0, 0), (1, 10), (20, 200), (70, 700), (100, 1000)] {
            assert_eq!(retries(&Budget::new(percent), 1000), expected, "{percent} %");
        }
    }

    #[test]
    fn a_long_quiet_time_saves_few_retries() {
        let budget = Budget::new(20);
        (0..1_000_000).for_each(|_| budget.earn());
        assert_eq!((0..1000).filter(|_| budget.spend()).count() as u64, SAVED_MAX);
    }
}

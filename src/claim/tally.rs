//! How many claims were asked for, and how many could not be answered?

use std::sync::atomic::{AtomicU64, Ordering};

use super::answer::Answer;
use super::error::ClaimError;

/// Counts since the node started.
#[derive(Debug, Default)]
pub struct ClaimTally {
    asked: AtomicU64,
    failed: AtomicU64,
}

impl ClaimTally {
    // Relaxed: both only grow, and who reads them takes differences.
    pub(super) fn count(&self, outcome: &Result<Answer, ClaimError>) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if outcome.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Claims asked for, and those of them that were answered `unavailable`.
    #[must_use]
    pub fn read(&self) -> (u64, u64) {
        // The smaller one first, so that it is never more than the other.
        let failed = self.failed.load(Ordering::Relaxed);
        (self.asked.load(Ordering::Relaxed), failed)
    }
}

//! How much is under way on this node? One number with a maximum.

#[cfg(onrush_loom)]
use loom::sync::atomic::{AtomicUsize, Ordering};
#[cfg(not(onrush_loom))]
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what has entered and not left, and lets no more in than its maximum.
#[derive(Debug)]
pub(super) struct InFlight {
    count: AtomicUsize,
    max: usize,
}

impl InFlight {
    /// Nothing is under way yet.
    pub(super) fn new(max: usize) -> Self {
        Self { count: AtomicUsize::new(0), max }
    }

    /// Whether there was room. Who was let in has to leave.
    pub(super) fn enter(&self) -> bool {
        // Taken first and put back: a look before would let two in at the last place. In between others may be refused
        // at a moment when there was room; they are told to come back.
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        if before >= self.max {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        before < self.max
    }

    /// So many have left.
    pub(super) fn leave(&self, count: usize) {
        self.count.fetch_sub(count, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(onrush_loom)))]
mod tests {
    use super::*;

    #[test]
    fn as_many_enter_as_may_and_one_more_for_each_that_leaves() {
        let in_flight = InFlight::new(2);
        let entered = || (0..5).filter(|_| in_flight.enter()).count();
        assert_eq!(entered(), 2);
        in_flight.leave(1);
        assert_eq!(entered(), 1);
        in_flight.leave(2);
        assert_eq!(entered(), 2);
    }
}

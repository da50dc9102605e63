//! What does Redis' clock show? An estimate without asking, and how far it may be off.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::Millis;

/// What one question about the time has told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// What the clock showed.
    pub(super) shown: Millis,
    /// Somewhere between these two.
    pub(super) sent: Instant,
    pub(super) answered: Instant,
}

/// Between which moments Redis' clock is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeEstimate {
    /// Not before.
    pub earliest: Millis,
    /// Not after.
    pub latest: Millis,
}

/// What was told.
#[derive(Default)]
pub(super) struct TimeKeeper {
    /// By the last question, unless it failed; never in a cluster.
    pub(super) sure: Mutex<Option<Reading>>,
    /// Whenever that was, and by whichever primary.
    pub(super) last: Mutex<Option<Reading>>,
}

pub(super) fn locked(reading: &Mutex<Option<Reading>>) -> MutexGuard<'_, Option<Reading>> {
    reading.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reading {
    /// The clock showed `shown` up to a millisecond ago at some moment between the two, and has run since.
    pub(super) fn at(self, now: Instant) -> TimeEstimate {
        let ms = |of: Duration| i64::try_from(of.as_millis()).unwrap_or(i64::MAX);
        TimeEstimate {
            earliest: Millis(self.shown.0 + ms(now.saturating_duration_since(self.answered))),
            latest: Millis(self.shown.0 + ms(now.saturating_duration_since(self.sent)) + 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_holds_the_time_whenever_in_between_the_clock_was_read() {
        let sent = Instant::now();
        let after = |ms| sent + Duration::from_millis(ms);
        let reading = Reading { shown: Millis(1_000_000), sent, answered: after(40) };
        let estimate = reading.at(after(540));
        // Read at once: 540 ms have gone by. Read at the last moment: 500. The clock cuts off part of a millisecond.
        assert_eq!(estimate, TimeEstimate { earliest: Millis(1_000_500), latest: Millis(1_000_542) });
    }
}

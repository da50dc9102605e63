//! What did the whole crowd hear? Times, counts, and what was not as it must be.

use std::time::{Duration, Instant};

use bench::histogram::Histogram;
use bench::tally::us;

use crate::order::Order;

/// Counts of one second.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Second {
    pub(crate) joins: u64,
    pub(crate) polls: u64,
    pub(crate) picked_up: u64,
}

/// All of it.
#[derive(Default)]
pub(crate) struct Found {
    /// How long answers took, from the request's sending on.
    pub(crate) joins: Histogram,
    pub(crate) polls: Histogram,
    pub(crate) claims: Histogram,
    /// How long after it was due a poll was sent.
    pub(crate) late: Histogram,
    /// By second since the beginning.
    pub(crate) seconds: Vec<Second>,
    /// How long it took until the last one had joined.
    pub(crate) joining: Duration,
    pub(crate) joined: u64,
    /// Visitors who heard that they are inside, and what became of them.
    pub(crate) picked_up: u64,
    pub(crate) claimed: u64,
    pub(crate) lapsed: u64,
    pub(crate) left_inside: u64,
    /// Visitors who left while they waited.
    pub(crate) left_queue: u64,
    /// Visitors who asked as they were told and heard that their time is over.
    pub(crate) expired: u64,
    /// Answers 503, which say when to ask again.
    pub(crate) unavailable: u64,
    /// Answers that nobody asked for, or none.
    pub(crate) errors: u64,
    pub(crate) shown: Vec<String>,
    pub(crate) order: Order,
}

/// So many errors are written out.
const SHOWN_MAX: usize = 10;

impl Found {
    /// Something came back: how long it took.
    pub(crate) fn took(histogram: &mut Histogram, sent: Instant, came: Instant) {
        histogram.add(us(came.saturating_duration_since(sent)));
    }

    /// The counts of the second that is now.
    pub(crate) fn second(&mut self, begun: Instant, now: Instant) -> &mut Second {
        let index = usize::try_from(now.saturating_duration_since(begun).as_secs()).unwrap_or(0);
        if index >= self.seconds.len() {
            self.seconds.resize(index + 1, Second::default());
        }
        &mut self.seconds[index]
    }

    /// Something is not as it must be.
    pub(crate) fn wrong(&mut self, text: impl FnOnce() -> String) {
        self.errors += 1;
        if self.shown.len() < SHOWN_MAX {
            self.shown.push(text());
        }
    }
}

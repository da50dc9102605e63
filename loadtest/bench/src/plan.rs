//! For how long is each thing measured?

use std::time::Duration;

/// The lengths of all measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Whether this is only a test of the program itself.
    pub is_quick: bool,
    /// Users with a token of their own; what one window may use at most.
    pub users: usize,
    /// Pairs of each comparison with bare.
    pub pairs: usize,
    /// Before each window, not counted.
    pub warm_up: Duration,
    /// One side of a pair.
    pub window: Duration,
    /// Stock that comes and goes, with messages and again without.
    pub wrong_refusals: Duration,
    /// At half of the highest throughput.
    pub open: Duration,
    /// Claims that are followed to their rows.
    pub visible: Duration,
    /// What can be served, and then ten times that.
    pub peak: Duration,
    /// See `peak`.
    pub overload: Duration,
    /// Rush after rush: five minutes, of which the second and the last are compared.
    pub memory: Duration,
    /// One scenario of k6 or goose.
    pub scenario: Duration,
}

impl Plan {
    /// For a report.
    pub const FULL: Self = Self {
        is_quick: false,
        users: 700_000,
        pairs: 7,
        warm_up: Duration::from_millis(700),
        window: Duration::from_secs(4),
        wrong_refusals: Duration::from_secs(15),
        open: Duration::from_secs(20),
        visible: Duration::from_mins(1),
        peak: Duration::from_secs(5),
        overload: Duration::from_secs(24),
        memory: Duration::from_mins(5),
        scenario: Duration::from_secs(5),
    };

    /// To see in some two minutes whether all of it works. What it finds is no finding.
    pub const QUICK: Self = Self {
        is_quick: true,
        users: 100_000,
        pairs: 2,
        warm_up: Duration::from_millis(200),
        window: Duration::from_millis(500),
        wrong_refusals: Duration::from_secs(2),
        open: Duration::from_secs(2),
        visible: Duration::from_secs(4),
        peak: Duration::from_secs(2),
        overload: Duration::from_secs(3),
        memory: Duration::from_secs(10),
        scenario: Duration::from_secs(2),
    };

    /// A pair's two windows.
    #[must_use]
    pub fn pair(&self) -> Duration {
        (self.warm_up + self.window) * 2
    }
}

//! What a node does for itself: its loops, and what it knows of the stores.

use super::Limits;
use serde::Deserialize;

section!(
    /// How loops that end before their time begin anew.
    Supervisor { restart_ms: u64, restart_ms_max: u64, steady_ms: u64, restarts_max: u32 }
);
section!(
    /// What a node asks the stores to say whether it is ready, and what it says of itself to others.
    Health { every_ms: u64, timeout_ms: u64, report_every_ms: u64, forget_node_ms: u64 }
);

impl Supervisor {
    pub(super) fn check(&self, is: &mut Limits) {
        is.within("supervisor.restart_ms", self.restart_ms, 1..=60_000);
        is.within("supervisor.restart_ms_max", self.restart_ms_max, self.restart_ms..=600_000);
        is.within("supervisor.steady_ms", self.steady_ms, 100..=3_600_000);
        is.within("supervisor.restarts_max", self.restarts_max, 0..=1_000_000);
    }
}

impl Health {
    pub(super) fn check(&self, is: &mut Limits) {
        is.within("health.every_ms", self.every_ms, 50..=60_000);
        is.within("health.timeout_ms", self.timeout_ms, 10..=60_000);
        is.within("health.report_every_ms", self.report_every_ms, 50..=60_000);
        is.within("health.forget_node_ms", self.forget_node_ms, 60_000..=2_592_000_000);
    }
}

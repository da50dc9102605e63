//! The settings of the audit and of rebuilds, and their limits.

use serde::Deserialize;

use super::Limits;

section!(
    /// The comparison of all stores.
    Audit {
        recount_max: u64, every_ms: u64, all_every_ms: u64, campaigns_per_round_max: u32, campaigns_at_once_max: usize,
        rows_at_once_max: i64,
    }
);
section!(
    /// Bringing back what Redis has lost.
    Rebuild { campaigns_at_once_max: usize, claims_at_once_max: i64, letters_max: usize }
);

impl Audit {
    pub(super) fn check(&self, is: &mut Limits) {
        is.within("audit.recount_max", self.recount_max, 1_000..=100_000_000);
        is.within("audit.every_ms", self.every_ms, 100..=3_600_000);
        is.within("audit.all_every_ms", self.all_every_ms, self.every_ms..=86_400_000);
        is.within("audit.campaigns_per_round_max", self.campaigns_per_round_max, 1..=1_000_000);
        is.within("audit.campaigns_at_once_max", self.campaigns_at_once_max, 1..=100);
        is.within("audit.rows_at_once_max", self.rows_at_once_max, 10..=1_000_000);
    }
}

impl Rebuild {
    pub(super) fn check(&self, is: &mut Limits) {
        is.within("rebuild.campaigns_at_once_max", self.campaigns_at_once_max, 1..=100);
        is.within("rebuild.claims_at_once_max", self.claims_at_once_max, 10..=100_000);
        is.within("rebuild.letters_max", self.letters_max, 1..=10_000_000);
    }
}

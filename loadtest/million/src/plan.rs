//! How many, and for how long?

use std::time::Duration;

use bench::plan::Plan as BenchPlan;
use serde_json::{Value, json};

/// The sizes of everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) is_quick: bool,
    /// Who joins the one room.
    pub(crate) users: usize,
    /// It is over when so many were admitted.
    pub(crate) admit_total: u64,
    /// Or after this.
    pub(crate) minutes: u64,
    /// The pace: so many in any window of so long.
    pub(crate) admit: u64,
    pub(crate) every_ms: u64,
    /// Connections of the crowd, over all nodes.
    pub(crate) connections: usize,
    /// Who waits while the status is asked again and again.
    pub(crate) ratio_users: usize,
    /// Who waits while Redis' memory is weighed, for each length of ids.
    pub(crate) weighed_users: usize,
    /// Event streams over all nodes, and how long they are listened to.
    pub(crate) streams: usize,
    pub(crate) listened: Duration,
    /// The pairs with bare.
    pub(crate) pairs: BenchPlan,
}

/// Of so many answers that say to wait, one makes its visitor leave.
pub(crate) const LEAVES_OF: u64 = 200;
/// Users who may be inside at a time: never reached where everybody comes in time, which is what the pace is to decide.
pub(crate) const ACTIVE_MAX: u64 = 5_000;
/// Those who let their pass lapse hold a unit back for so long.
const PASS_TTL_S: u64 = 60;
/// The contract's own default: whoever asks as told has to be in time for it.
const CLAIM_PASS_WITHIN_S: u64 = 60;
/// Not one more is admitted while something else is measured.
const NEVER_MS: u64 = 3_600_000;

impl Plan {
    /// For a report. A hundred a second, in small steps: 50,000 take 500 s, and since the truth changes every second, an
    /// `ahead` that is older than that is seen to be.
    pub(crate) fn full() -> Self {
        Self {
            is_quick: false,
            users: 1_000_000,
            admit_total: 50_000,
            minutes: 20,
            admit: 100,
            every_ms: 1_000,
            connections: 512,
            ratio_users: 100_000,
            weighed_users: 200_000,
            streams: 20_000,
            listened: Duration::from_secs(30),
            pairs: BenchPlan { window: Duration::from_secs(3), ..BenchPlan::FULL },
        }
    }

    /// To see whether all of it works. What it finds is no finding.
    pub(crate) fn quick() -> Self {
        Self {
            is_quick: true,
            users: 2_000,
            admit_total: 200,
            minutes: 1,
            admit: 10,
            every_ms: 250,
            connections: 32,
            ratio_users: 500,
            weighed_users: 1_000,
            streams: 100,
            listened: Duration::from_secs(3),
            pairs: BenchPlan { users: 80_000, pairs: 2, window: Duration::from_millis(300), ..BenchPlan::QUICK },
        }
    }

    /// Units for all who are admitted, and more, so that it is the pace that decides.
    pub(crate) fn stock(&self) -> u64 {
        self.admit_total * 2 + ACTIVE_MAX
    }

    /// Users with a token: whoever joins in the longest window, or all at once.
    pub(crate) fn tokens(&self) -> usize {
        self.users.max(self.pairs.users).max(self.streams + 1_000)
    }

    /// The waiting room of the crowd.
    pub(crate) fn room(&self) -> Value {
        json!({
            "admit": self.admit,
            "every_ms": self.every_ms,
            "active_max": ACTIVE_MAX,
            "pass_ttl_s": PASS_TTL_S,
            "claim_pass_within_s": CLAIM_PASS_WITHIN_S,
        })
    }

    /// A room in which everybody waits but the first.
    pub(crate) fn closed_room() -> Value {
        json!({ "admit": 1, "every_ms": NEVER_MS })
    }

    /// A room that moves slowly, so that there is something to tell.
    pub(crate) fn slow_room() -> Value {
        json!({ "admit": 10, "every_ms": 1_000 })
    }

    /// The id of a visitor, in so many bytes.
    pub(crate) fn id(user: usize, bytes: usize) -> String {
        format!("u{user:0>width$}", width = bytes - 1)
    }

    /// Who has this id.
    pub(crate) fn user_of(id: &str) -> Option<usize> {
        id.strip_prefix('u')?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_as_long_as_they_are_said_to_be() {
        for (user, bytes) in [(0, 10), (999_999, 10), (199_999, 36)] {
            let id = Plan::id(user, bytes);
            assert_eq!((id.len(), Plan::user_of(&id)), (bytes, Some(user)));
        }
    }

    #[test]
    fn the_pace_lets_all_in_with_half_of_the_time_to_spare() {
        for plan in [Plan::full(), Plan::quick()] {
            let needed_ms = plan.admit_total / plan.admit * plan.every_ms;
            assert!(needed_ms * 2 <= plan.minutes * 60_000, "{needed_ms}");
        }
    }
}

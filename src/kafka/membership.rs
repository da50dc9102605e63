//! Which group reads which topic, and which part of it is this worker's.

use std::time::{Duration, Instant};

/// A write ends long before, by its own limits. A revocation that waited for ever would stop the whole group.
const REVOKE_WAIT_MAX: Duration = Duration::from_mins(1);

/// Which part of the topic is this worker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// Partitions that this worker has.
    pub mine: u64,
    /// Partitions that the topic has; 0 while that is not known.
    pub all: u64,
    /// When this worker was last given one.
    pub gained_at: Instant,
}

/// Which group reads which topic.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The topic. It must be there.
    pub topic: String,
    /// The group.
    pub group: String,
    /// What the thread is called that polls.
    pub name: &'static str,
    /// Records in memory at most.
    pub buffer_max: usize,
    /// Offsets are committed so often at most; zero: whenever there are new ones.
    pub commit_every: Duration,
    /// A revocation waits so long at most for what is in work.
    pub revoke_wait_max: Duration,
    /// Counts polls that failed.
    pub poll_failures: metrics::Counter,
    /// How far behind it is, is asked so often; `None`: never.
    pub lag_every: Option<Duration>,
}

impl Membership {
    pub(super) fn ledger(topic: &str, group: &str, buffer_max: usize) -> Self {
        Self {
            topic: topic.to_owned(),
            group: group.to_owned(),
            name: "ledger",
            buffer_max,
            commit_every: Duration::ZERO,
            revoke_wait_max: REVOKE_WAIT_MAX,
            poll_failures: metrics::counter!("onrush_ledger_poll_failures_total"),
            lag_every: None,
        }
    }
}

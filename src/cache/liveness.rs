//! May this node trust its memory? Only while it hears its own heartbeats: then it hears what others say, too.
//!
//! - What was asked for before the last gap is not trusted: an invalidation may have been missed in it.
//! - An invalidation that is lost after the last heartbeat that was heard has no effect for `silence_ms_max` after that heartbeat
//!   was sent, and no longer: from then on nothing is trusted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::config;

/// Heartbeats that may be on their way.
const ON_THE_WAY_MAX: usize = 64;

/// What a node knows of its hearing. Times are the process' own, in us.
pub(super) struct Liveness {
    silence_us_max: u64,
    /// What was asked for earlier is not trusted.
    from_us: AtomicU64,
    /// At this time nothing is trusted any more.
    until_us: AtomicU64,
    heartbeats: Mutex<Heartbeats>,
}

struct Heartbeats {
    sent: u64,
    heard: u64,
    sent_at_us: [u64; ON_THE_WAY_MAX],
}

impl Default for Heartbeats {
    fn default() -> Self {
        Self { sent: 0, heard: 0, sent_at_us: [0; ON_THE_WAY_MAX] }
    }
}

impl Liveness {
    /// Nothing is trusted before a heartbeat was heard.
    pub(super) fn new(settings: &config::Cache) -> Self {
        Self {
            silence_us_max: settings.silence_ms_max * 1_000,
            from_us: AtomicU64::new(0),
            until_us: AtomicU64::new(0),
            heartbeats: Mutex::default(),
        }
    }

    /// Whether what was asked for at `asked_us` can be trusted now.
    pub(super) fn holds(&self, asked_us: u64, now_us: u64) -> bool {
        // In this order: whoever sees that a new heartbeat was heard also sees the gap before it.
        now_us < self.until_us.load(Ordering::Acquire) && asked_us >= self.from_us.load(Ordering::Acquire)
    }

    /// Something may have been missed up to now.
    pub(super) fn gap(&self, now_us: u64) {
        self.from_us.fetch_max(now_us, Ordering::AcqRel);
    }

    /// The number of the heartbeat that is sent now.
    pub(super) fn next_heartbeat(&self, now_us: u64) -> u64 {
        let mut heartbeats = self.heartbeats.lock().unwrap_or_else(PoisonError::into_inner);
        heartbeats.sent += 1;
        let sent = heartbeats.sent;
        heartbeats.sent_at_us[slot(sent)] = now_us;
        sent
    }

    /// A heartbeat of this node's own was heard. Answers whether there was a gap before it.
    pub(super) fn heard(&self, heartbeat: u64, now_us: u64) -> bool {
        let mut heartbeats = self.heartbeats.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was sent twice, or none of this life's.
        if heartbeat <= heartbeats.heard
            || heartbeat > heartbeats.sent
            || heartbeats.sent - heartbeat >= ON_THE_WAY_MAX as u64
        {
            return false;
        }
        let is_gap = heartbeat != heartbeats.heard + 1 || now_us >= self.until_us.load(Ordering::Acquire);
        heartbeats.heard = heartbeat;
        if is_gap {
            self.gap(now_us);
        }
        self.until_us.fetch_max(heartbeats.sent_at_us[slot(heartbeat)] + self.silence_us_max, Ordering::AcqRel);
        is_gap
    }
}

fn slot(heartbeat: u64) -> usize {
    usize::try_from(heartbeat % ON_THE_WAY_MAX as u64).expect("below 64")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn liveness() -> Liveness {
        Liveness {
            silence_us_max: 800,
            from_us: AtomicU64::new(0),
            until_us: AtomicU64::new(0),
            heartbeats: Mutex::default(),
        }
    }

    #[test]
    fn nothing_is_believed_before_a_pulse_nor_long_after_the_last() {
        let liveness = liveness();
        assert!(!liveness.holds(1_000, 1_000));
        assert_eq!(liveness.next_heartbeat(1_000), 1);
        assert!(liveness.heard(1, 1_100), "what came before the first is a gap");
        assert!(!liveness.holds(1_099, 1_200), "asked before the node could hear");
        assert!(liveness.holds(1_100, 1_799));
        assert!(!liveness.holds(1_100, 1_800), "800 after it was sent, not after it was heard");
    }

    #[test]
    fn a_pulse_that_is_missing_and_one_that_is_late_are_gaps() {
        let liveness = liveness();
        for sent in 1..=3 {
            liveness.next_heartbeat(sent * 100);
        }
        liveness.heard(1, 110);
        assert!(!liveness.heard(2, 210));
        assert!(liveness.holds(150, 320));
        liveness.next_heartbeat(400);
        assert!(liveness.heard(4, 410), "the third is missing");
        assert!(!liveness.holds(150, 420) && liveness.holds(410, 420));
        assert!(!liveness.heard(3, 430), "and comes too late to tell anything");
        liveness.next_heartbeat(1_150);
        assert!(liveness.heard(5, 1_300), "nothing was heard for too long");
        assert!(!liveness.holds(1_299, 1_301));
    }

    #[test]
    fn a_broken_connection_is_a_gap_and_strangers_are_not_heard() {
        let liveness = liveness();
        liveness.next_heartbeat(100);
        liveness.heard(1, 110);
        liveness.gap(200);
        assert!(!liveness.holds(199, 300) && liveness.holds(200, 300));
        assert!(!liveness.heard(7, 300));
        assert!(!liveness.holds(200, 900));
    }
}

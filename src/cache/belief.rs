//! May this node believe its memory? Only while it hears its own pulses: then it hears what others say, too.
//!
//! - What was asked for before the last gap is not believed: an invalidation may have been missed in it.
//! - A message that is lost after the last pulse that was heard is believed away at most `deaf_ms_max` after that pulse was
//!   sent, since from then on nothing is believed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::config;

/// Pulses that may be on their way.
const ON_THE_WAY_MAX: usize = 64;

/// What a node knows of its hearing. Times are the process' own, in us.
pub(super) struct Belief {
    deaf_us_max: u64,
    /// What was asked for earlier is not believed.
    from_us: AtomicU64,
    /// At this time nothing is believed any more.
    until_us: AtomicU64,
    pulses: Mutex<Pulses>,
}

struct Pulses {
    sent: u64,
    heard: u64,
    sent_at_us: [u64; ON_THE_WAY_MAX],
}

impl Default for Pulses {
    fn default() -> Self {
        Self { sent: 0, heard: 0, sent_at_us: [0; ON_THE_WAY_MAX] }
    }
}

impl Belief {
    /// Nothing is believed before a pulse was heard.
    pub(super) fn new(settings: &config::Cache) -> Self {
        Self {
            deaf_us_max: settings.deaf_ms_max * 1_000,
            from_us: AtomicU64::new(0),
            until_us: AtomicU64::new(0),
            pulses: Mutex::default(),
        }
    }

    /// Whether what was asked for at `asked_us` can be believed now.
    pub(super) fn holds(&self, asked_us: u64, now_us: u64) -> bool {
        // In this order: whoever sees that a new pulse was heard also sees the gap before it.
        now_us < self.until_us.load(Ordering::Acquire) && asked_us >= self.from_us.load(Ordering::Acquire)
    }

    /// Something may have been missed up to now.
    pub(super) fn gap(&self, now_us: u64) {
        self.from_us.fetch_max(now_us, Ordering::AcqRel);
    }

    /// The number of the pulse that is sent now.
    pub(super) fn next_pulse(&self, now_us: u64) -> u64 {
        let mut pulses = self.pulses.lock().unwrap_or_else(PoisonError::into_inner);
        pulses.sent += 1;
        let sent = pulses.sent;
        pulses.sent_at_us[slot(sent)] = now_us;
        sent
    }

    /// A pulse of this node's own was heard. Answers whether there was a gap before it.
    pub(super) fn heard(&self, pulse: u64, now_us: u64) -> bool {
        let mut pulses = self.pulses.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was sent twice, or none of this life's.
        if pulse <= pulses.heard || pulse > pulses.sent || pulses.sent - pulse >= ON_THE_WAY_MAX as u64 {
            return false;
        }
        let is_gap = pulse != pulses.heard + 1 || now_us >= self.until_us.load(Ordering::Acquire);
        pulses.heard = pulse;
        if is_gap {
            self.gap(now_us);
        }
        self.until_us.fetch_max(pulses.sent_at_us[slot(pulse)] + self.deaf_us_max, Ordering::AcqRel);
        is_gap
    }
}

fn slot(pulse: u64) -> usize {
    usize::try_from(pulse % ON_THE_WAY_MAX as u64).expect("below 64")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn belief() -> Belief {
        Belief { deaf_us_max: 800, from_us: AtomicU64::new(0), until_us: AtomicU64::new(0), pulses: Mutex::default() }
    }

    #[test]
    fn nothing_is_believed_before_a_pulse_nor_long_after_the_last() {
        let belief = belief();
        assert!(!belief.holds(1_000, 1_000));
        assert_eq!(belief.next_pulse(1_000), 1);
        assert!(belief.heard(1, 1_100), "what came before the first is a gap");
        assert!(!belief.holds(1_099, 1_200), "asked before the node could hear");
        assert!(belief.holds(1_100, 1_799));
        assert!(!belief.holds(1_100, 1_800), "800 after it was sent, not after it was heard");
    }

    #[test]
    fn a_pulse_that_is_missing_and_one_that_is_late_are_gaps() {
        let belief = belief();
        for sent in 1..=3 {
            belief.next_pulse(sent * 100);
        }
        belief.heard(1, 110);
        assert!(!belief.heard(2, 210));
        assert!(belief.holds(150, 320));
        belief.next_pulse(400);
        assert!(belief.heard(4, 410), "the third is missing");
        assert!(!belief.holds(150, 420) && belief.holds(410, 420));
        assert!(!belief.heard(3, 430), "and comes too late to tell anything");
        belief.next_pulse(1_150);
        assert!(belief.heard(5, 1_300), "nothing was heard for too long");
        assert!(!belief.holds(1_299, 1_301));
    }

    #[test]
    fn a_broken_connection_is_a_gap_and_strangers_are_not_heard() {
        let belief = belief();
        belief.next_pulse(100);
        belief.heard(1, 110);
        belief.gap(200);
        assert!(!belief.holds(199, 300) && belief.holds(200, 300));
        assert!(!belief.heard(7, 300));
        assert!(!belief.holds(200, 900));
    }
}

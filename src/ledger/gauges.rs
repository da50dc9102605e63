//! What loops know and others watch.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How the outboxes were when a relay last looked through them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutboxesSeen {
    /// Facts in the fullest one.
    pub fullest: u64,
    /// Its campaign.
    pub fullest_of: Option<String>,
    /// When the oldest entry of all was made, by Redis' clock, in ms since 1970.
    pub oldest_at: Option<i64>,
    /// Its campaign.
    pub oldest_of: Option<String>,
}

/// The same, kept up to date by a relay.
#[derive(Debug, Clone, Default)]
pub struct Outboxes(Arc<Mutex<Option<(Instant, OutboxesSeen)>>>);

/// What was seen longer ago says nothing any more.
const SEEN_MAX: Duration = Duration::from_secs(10);

impl Outboxes {
    pub(super) fn set(&self, seen: OutboxesSeen) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), seen));
    }

    /// What was seen lately; `None`: nobody has looked.
    #[must_use]
    pub fn seen(&self) -> Option<OutboxesSeen> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        seen.filter(|(at, _)| at.elapsed() <= SEEN_MAX).map(|(_, seen)| seen)
    }
}

/// When a round of audits was last come through, by Redis' clock.
#[derive(Debug, Clone, Default)]
pub struct RoundsDone(Arc<AtomicI64>);

impl RoundsDone {
    // Relaxed: the figure stands for itself.
    pub(super) fn done(&self, at_ms: i64) {
        self.0.store(at_ms, Ordering::Relaxed);
    }

    /// In ms since 1970; `None`: none was since the node started.
    #[must_use]
    pub fn last(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }
}

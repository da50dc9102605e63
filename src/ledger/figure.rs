//! A number that one loop knows and another one watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A figure that a loop keeps up to date for others; nothing until it has been looked at.
#[derive(Debug, Clone)]
pub(super) struct Figure(Arc<AtomicU64>);

const NOT_KNOWN: u64 = u64::MAX;

impl Default for Figure {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(NOT_KNOWN)))
    }
}

impl Figure {
    // Relaxed: each figure stands for itself.
    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|value| *value != NOT_KNOWN)
    }
}

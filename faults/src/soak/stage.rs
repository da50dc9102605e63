//! What does everybody in a soak share?

use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::time::Instant;

use super::board::Board;
use super::scale::{Scale, ratio};
use super::sky::Sky;
use super::verdict::Verdict;

/// All of it.
pub(super) struct Stage {
    pub(super) scale: Scale,
    /// Where nodes that serve listen.
    pub(super) nodes: Vec<SocketAddr>,
    pub(super) board: Board,
    pub(super) sky: Sky,
    pub(super) verdict: Verdict,
    /// Connections of well-behaved clients, of those who do not read, and of those who send rubbish, that are open now.
    pub(super) open: Open,
    pub(super) begin: Instant,
    pub(super) end: Instant,
}

/// Connections that are open now.
#[derive(Default)]
pub(super) struct Open {
    pub(super) good: AtomicUsize,
    pub(super) absent: AtomicUsize,
    pub(super) rubbish: AtomicUsize,
}

impl Stage {
    /// Whether the soak is not over.
    pub(super) fn goes_on(&self) -> bool {
        Instant::now() < self.end
    }

    /// So long, or to the end of the soak.
    pub(super) async fn sleep(&self, time: Duration) {
        tokio::time::sleep_until(self.end.min(Instant::now() + time)).await;
    }

    /// The time since the soak began, for complaints.
    pub(super) fn at(&self) -> String {
        format!("at {:.1} s", self.begin.elapsed().as_secs_f64())
    }

    /// When the connection of this place among so many is opened.
    pub(super) fn opens_after(&self, place: usize, of: usize) -> Duration {
        self.scale.ramp().mul_f64(ratio(place, of))
    }
}

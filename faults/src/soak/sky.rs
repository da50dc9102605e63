//! Which fault is on, and what does it excuse? An answer `unavailable` is right while something that it needs is hurt, and
//! for some seconds after that; at any other time it is wrong.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What an answer needs, or what a fault hurts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) redis: bool,
    pub(super) postgres: bool,
}

impl Needs {
    /// Claims, and the waiting room.
    pub(super) const REDIS: Self = Self { redis: true, postgres: false };
    /// What is read from the database.
    pub(super) const BOTH: Self = Self { redis: true, postgres: true };
    /// The database alone.
    pub(super) const POSTGRES: Self = Self { redis: false, postgres: true };
}

/// How long after a fault its consequences may last: commands under way have to time out, connections to be made, and who
/// waited behind them to be told.
const AFTERMATH: Duration = Duration::from_secs(5);
/// The same after a restart of Redis, which is verified before it decides anything.
const AFTERMATH_OF_A_RESTART: Duration = Duration::from_secs(10);
/// What is over for so long excuses nothing that anybody still waits for.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(2);

#[derive(Debug, Clone, Copy)]
struct Bad {
    /// Of those that serve; `None`: all.
    node: Option<usize>,
    hurts: Needs,
    from: Instant,
    until: Option<Instant>,
    aftermath: Duration,
}

impl Bad {
    fn excuses(&self, node: usize, needs: Needs, sent: Instant, heard: Instant) -> bool {
        let touches = (self.hurts.redis && needs.redis) || (self.hurts.postgres && needs.postgres);
        touches
            && self.node.is_none_or(|hurt| hurt == node)
            && self.from <= heard
            && self.until.is_none_or(|until| sent <= until + self.aftermath)
    }

    /// How long after its end this was sent.
    fn lag(&self, sent: Instant) -> Duration {
        self.until.map_or(Duration::ZERO, |until| sent.saturating_duration_since(until))
    }
}

/// All that is on, and what was a short time ago.
#[derive(Default)]
pub(super) struct Sky(Mutex<Vec<Bad>>);

impl Sky {
    fn bads(&self) -> std::sync::MutexGuard<'_, Vec<Bad>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One node that serves cannot do what it should while this goes on.
    pub(super) async fn over<T>(&self, node: usize, hurts: Needs, fault: impl Future<Output = T>) -> T {
        self.during(Some(node), hurts, AFTERMATH, fault).await
    }

    /// Redis is restarted: no node can do what it should.
    pub(super) async fn over_all<T>(&self, fault: impl Future<Output = T>) -> T {
        // The database is asked whether Redis has all that it should have.
        self.during(None, Needs::REDIS, AFTERMATH_OF_A_RESTART, fault).await
    }

    async fn during<T>(
        &self,
        node: Option<usize>,
        hurts: Needs,
        aftermath: Duration,
        fault: impl Future<Output = T>,
    ) -> T {
        let from = Instant::now();
        {
            let mut bads = self.bads();
            bads.retain(|bad| bad.until.is_none_or(|until| until.elapsed() < FORGOTTEN_AFTER));
            bads.push(Bad { node, hurts, from, until: None, aftermath });
        }
        let outcome = fault.await;
        let mut bads = self.bads();
        let this = bads.iter_mut().find(|bad| bad.from == from && bad.node == node && bad.until.is_none());
        if let Some(bad) = this {
            bad.until = Some(Instant::now());
        }
        outcome
    }

    /// Whether something explains that this node could not answer what needs this: how long that was over when it was
    /// sent.
    pub(super) fn excuse(&self, node: usize, needs: Needs, sent: Instant, heard: Instant) -> Option<Duration> {
        let bads = self.bads();
        bads.iter().filter(|bad| bad.excuses(node, needs, sent, heard)).map(|bad| bad.lag(sent)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_excuses_its_node_and_what_it_hurts_while_it_is_on_and_some_seconds_longer() {
        let from = Instant::now();
        let until = Some(from + Duration::from_secs(1));
        let bad = Bad { node: Some(1), hurts: Needs::POSTGRES, from, until, aftermath: AFTERMATH };
        let at = |ms| from + Duration::from_millis(ms);
        assert!(bad.excuses(1, Needs::BOTH, at(500), at(900)));
        assert!(bad.excuses(1, Needs::BOTH, at(5_900), at(7_000)));
        assert!(!bad.excuses(1, Needs::BOTH, at(6_100), at(7_000)), "too late");
        assert!(!bad.excuses(0, Needs::BOTH, at(500), at(900)), "another node");
        assert!(!bad.excuses(1, Needs::REDIS, at(500), at(900)), "a claim does not need the database");
    }

    #[tokio::test]
    async fn nothing_is_excused_before_a_fault_begins() {
        let sky = Sky::default();
        let (sent, heard) = (Instant::now(), Instant::now());
        tokio::time::sleep(Duration::from_millis(2)).await;
        sky.over(0, Needs::REDIS, async { assert!(sky.excuse(0, Needs::REDIS, sent, heard).is_none()) }).await;
        assert!(sky.excuse(0, Needs::REDIS, Instant::now(), Instant::now()).is_some());
    }
}

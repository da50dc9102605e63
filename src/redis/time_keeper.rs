//! What does Redis' clock show? An estimate without asking, and how far it may be off.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fred::prelude::ClusterInterface;
use tokio_util::sync::CancellationToken;

use super::{Redis, RedisError};
use crate::clock::Millis;

/// What one question about the time has told.
#[derive(Debug, Clone, Copy)]
struct Reading {
    /// What the clock showed.
    shown: Millis,
    /// Somewhere between these two.
    sent: Instant,
    answered: Instant,
}

/// Between which moments Redis' clock is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeEstimate {
    /// Not before.
    pub earliest: Millis,
    /// Not after.
    pub latest: Millis,
}

/// What was told.
#[derive(Default)]
pub(super) struct TimeKeeper {
    /// By the last question, unless it failed; never in a cluster.
    sure: Mutex<Option<Reading>>,
    /// Whenever that was, and by whichever primary.
    last: Mutex<Option<Reading>>,
}

fn locked(reading: &Mutex<Option<Reading>>) -> MutexGuard<'_, Option<Reading>> {
    reading.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reading {
    /// The clock showed `shown` up to a millisecond ago at some moment between the two, and has run since.
    fn at(self, now: Instant) -> TimeEstimate {
        let ms = |of: Duration| i64::try_from(of.as_millis()).unwrap_or(i64::MAX);
        TimeEstimate {
            earliest: Millis(self.shown.0 + ms(now.saturating_duration_since(self.answered))),
            latest: Millis(self.shown.0 + ms(now.saturating_duration_since(self.sent)) + 2),
        }
    }
}

impl Redis {
    /// Redis' time by what it said last, unless that was longer ago than this. Nothing in a cluster, where each primary
    /// has a clock of its own.
    pub fn time_estimate(&self, age_max: Duration) -> Option<TimeEstimate> {
        let reading = (*locked(&self.time_keeper.sure))?;
        let now = Instant::now();
        (now.saturating_duration_since(reading.sent) <= age_max).then(|| reading.at(now))
    }

    /// About what time it is by Redis, whenever it was asked last: what a node goes by where a wrong answer is no decision,
    /// or where nobody can ask, such as for whether a token is over. In a cluster it is some primary's. `None`: Redis was
    /// never reached.
    pub fn time_about(&self) -> Option<Millis> {
        (*locked(&self.time_keeper.last)).map(|reading| reading.at(Instant::now()).earliest)
    }

    /// Asks for the time once.
    pub async fn learn_time(&self) {
        let reading = self.read_time().await;
        if let Err(error) = &reading {
            tracing::debug!(%error, "without Redis' time, Redis decides on each window");
        }
        let reading = reading.ok();
        let is_cluster = self.pool.next().cached_cluster_state().is_some();
        *locked(&self.time_keeper.sure) = reading.filter(|_| !is_cluster);
        let mut last = locked(&self.time_keeper.last);
        *last = reading.or(*last);
    }

    /// Asks for the time so often. Until told to stop.
    pub async fn follow_time(&self, every: Duration, stop: CancellationToken) {
        loop {
            self.learn_time().await;
            if stop.run_until_cancelled(tokio::time::sleep(every)).await.is_none() {
                return;
            }
        }
    }

    async fn read_time(&self) -> Result<Reading, RedisError> {
        let sent = Instant::now();
        let shown = self.time().await?;
        Ok(Reading { shown, sent, answered: Instant::now() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_holds_the_time_whenever_in_between_the_clock_was_read() {
        let sent = Instant::now();
        let after = |ms| sent + Duration::from_millis(ms);
        let reading = Reading { shown: Millis(1_000_000), sent, answered: after(40) };
        let estimate = reading.at(after(540));
        // Read at once: 540 ms have gone by. Read at the last moment: 500. The clock cuts off part of a millisecond.
        assert_eq!(estimate, TimeEstimate { earliest: Millis(1_000_500), latest: Millis(1_000_542) });
    }
}

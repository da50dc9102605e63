//! What time is it by Redis? Asked now and then, and estimated in between.

use std::time::{Duration, Instant};

use fred::prelude::ClusterInterface;
use tokio_util::sync::CancellationToken;

use super::error::RedisError;
use super::redis::Redis;
use super::time_keeper::{Reading, TimeEstimate, locked};
use crate::clock::Millis;

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

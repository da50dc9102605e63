//! Joins travel together, as claims do: one call gives a whole batch its places.

use std::sync::Arc;

use super::error::WaitingError;
use super::scripts::{Joined, Position, Scripts, Seen};
use crate::campaign::Campaign;
use crate::coalescer::{Decide, Limits, Meters};
use crate::config;
use crate::ids::UserId;
use crate::redis::{Head, Redis, RedisError};

/// Decides joins.
pub(super) struct Joins {
    pub(super) redis: Arc<Redis>,
    pub(super) limits: config::Waiting,
}

/// What one join met.
#[derive(Debug, Clone)]
pub(super) enum Join {
    Placed(Seen, Position),
    NotOpenYet(Head),
    Closed,
    NoRoom,
    Lost,
}

impl Decide for Joins {
    type Request = UserId;
    type Answer = Join;

    fn calls_max(&self, _: &Campaign) -> usize {
        if self.redis.is_loading() { 1 } else { 2 }
    }

    fn certain(&self, _: &Campaign) -> impl Fn(&UserId) -> Option<Join> {
        |_| None
    }

    async fn decide(&self, campaign: &Arc<Campaign>, users: &[UserId]) -> Result<Vec<Join>, RedisError> {
        let scripts = Scripts { redis: &self.redis, campaign, limits: &self.limits };
        let all = |join: Join| Ok(vec![join; users.len()]);
        match scripts.join(users).await {
            Ok(Joined::Placed(seen, positions)) => {
                Ok(positions.into_iter().map(|position| Join::Placed(seen, position)).collect())
            }
            Ok(Joined::NotOpenYet(head)) => all(Join::NotOpenYet(head)),
            Ok(Joined::Closed) => all(Join::Closed),
            Err(WaitingError::NoRoom) => all(Join::NoRoom),
            Err(WaitingError::Lost) => all(Join::Lost),
            Err(WaitingError::Redis(error)) => Err(error),
            Err(other) => Err(RedisError::Unexpected(other.to_string())),
        }
    }
}

/// How many may travel and wait.
pub(super) fn limits(config: &config::Waiting) -> Limits {
    Limits {
        batch_max: config.batch_max,
        second_call_min: config.second_call_min,
        in_flight_max: config.in_flight_max,
        campaign_in_flight_max: config.campaign_in_flight_max,
        queue_wait_ms_max: config.queue_wait_ms_max,
    }
}

/// Where they are counted.
pub(super) fn meters() -> Meters {
    Meters {
        batch_requests: metrics::histogram!("onrush_waiting_join_batch_requests"),
        call_seconds: metrics::histogram!("onrush_waiting_join_call_seconds"),
        call_failures: metrics::counter!("onrush_waiting_join_call_failures_total"),
        abandoned: metrics::counter!("onrush_waiting_join_abandoned_total"),
    }
}

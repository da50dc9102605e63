//! Which nodes are there, and how are they? Each says so in Redis, again and again; whoever watches reads it.
//!
//! What a node says is small and told once a second: who reads it takes the difference of two counts. A node that has said
//! nothing for long is gone.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::claim::ClaimTally;
use crate::clock::Millis;
use crate::config;
use crate::ledger::{Outboxes, OutboxesSeen, RoundsDone};
use crate::redis::{Redis, RedisError};
use crate::supervise::Board;

/// What a node says of itself. Times are Redis', in ms since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// When it said so.
    pub at: i64,
    /// When it said something for the first time.
    pub since: i64,
    /// It moves facts and posts.
    pub works: bool,
    /// It answers users.
    pub serves: bool,
    /// How often its loops have ended before their time.
    pub restarts: u64,
    /// Claims that it was asked for.
    pub claims: u64,
    /// Claims among them that were answered `unavailable`.
    pub claims_failed: u64,
    /// The outboxes, where it looks at them.
    pub outboxes: Option<OutboxesSeen>,
    /// When it last came through a round of audits, where it does them.
    pub audited_at: Option<i64>,
}

/// Says it. One a node.
pub struct Reporter {
    redis: Arc<Redis>,
    name: String,
    roles: (bool, bool),
    tally: Arc<ClaimTally>,
    outboxes: Option<(Outboxes, RoundsDone)>,
    board: Arc<Board>,
    settings: config::Health,
}

impl Reporter {
    /// Of a node that serves, and works if it has outboxes to look at.
    #[must_use]
    pub fn new(
        redis: Arc<Redis>,
        (serves, outboxes): (bool, Option<(Outboxes, RoundsDone)>),
        (tally, board): (Arc<ClaimTally>, Arc<Board>),
        settings: config::Health,
    ) -> Self {
        let name = format!("{:016x}", rand::random::<u64>());
        Self { redis, name, roles: (serves, outboxes.is_some()), tally, outboxes, board, settings }
    }

    /// Until told to stop. What was said last stays, and ages.
    pub async fn run(&self, stop: CancellationToken) {
        let mut due = interval(Duration::from_millis(self.settings.report_every_ms));
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut since = None;
        while stop.run_until_cancelled(due.tick()).await.is_some() {
            if let Err(error) = self.tick(&mut since).await {
                tracing::debug!(%error, "this node does not say how it is: Redis is away");
            }
        }
    }

    async fn tick(&self, since: &mut Option<i64>) -> Result<(), RedisError> {
        let Millis(at) = self.redis.time().await?;
        let (claims, claims_failed) = self.tally.read();
        let report = Report {
            at,
            since: *since.get_or_insert(at),
            serves: self.roles.0,
            works: self.roles.1,
            restarts: self.board.restarts(),
            claims,
            claims_failed,
            outboxes: self.outboxes.as_ref().and_then(|(outboxes, _)| outboxes.seen()),
            audited_at: self.outboxes.as_ref().and_then(|(_, rounds)| rounds.last()),
        };
        let text = serde_json::to_string(&report).expect("numbers and names are JSON");
        self.redis.set_fields(&self.redis.keys().nodes(), vec![(self.name.clone(), text)]).await
    }
}

/// What all nodes have said, by their names. What is older than this is forgotten.
pub async fn read(redis: &Redis, forget: Duration) -> Result<Vec<(String, Report)>, RedisError> {
    let key = redis.keys().nodes();
    let (found, now) = (redis.all_fields(&key).await?, redis.time().await?.0);
    let oldest = now.saturating_sub(i64::try_from(forget.as_millis()).unwrap_or(i64::MAX));
    let (mut reports, mut gone) = (Vec::new(), Vec::new());
    for (name, text) in found {
        // What another version says and this one cannot read is of a node that is there all the same.
        let report = serde_json::from_str(&text).unwrap_or_else(|_| Report { at: now, ..Report::default() });
        if report.at < oldest { gone.push(name) } else { reports.push((name, report)) }
    }
    if !gone.is_empty() {
        redis.delete_fields(&key, gone).await?;
    }
    Ok(reports)
}

//! May Redis decide again? A server that was restarted, promoted or replaced is held against all that anyone knows of
//! every campaign, before any script decides on it.
//!
//! The rules have names, which the model in `tests/models` and `docs/protocol.md` share:
//!
//! - `fence`: nothing decides on a server that lives another life before that one was verified (`redis/fence.rs`).
//! - `recall`: whoever meets one holds their own marks against it first, and who verifies gives all others the time to do so.
//! - `ask`: the ledger, what waits as dead letters, and Kafka's records that the ledger has not passed are asked for what they
//!   know. Without the database and Kafka nothing is verified.
//! - What is behind is lost, and marked so; a definition that is older than its row is put again; and what was never told is
//!   told. Only then is the server let decide.
//!
//! Where another node has verified the server, this one holds its marks against it and follows.

mod error;
mod known_elsewhere;

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use crate::campaign::{Campaigns, Recorded, call_unmarked_on};
use crate::config::{self, Config};
use crate::database::Database;
use crate::ids::CampaignId;
use crate::redis::{Inspection, Redis, RedisError, Reply, Script, Value};
use crate::script;

pub use error::FenceError;

static RECALL: Script<1> = script!("campaign/recall");
static HALT: Script<1> = script!("campaign/halt");

/// Campaigns that are asked about at the same time.
const AT_ONCE: usize = 64;

/// Verifies servers. One a node.
pub struct Fence {
    redis: Arc<Redis>,
    database: Database,
    campaigns: Arc<Campaigns>,
    kafka: config::Kafka,
    settle: Duration,
    retry: Duration,
}

/// What a look at the servers found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    /// Servers that live the life that this node knew.
    pub known: u64,
    /// Servers that another node had verified.
    pub adopted: u64,
    /// Servers that were verified now.
    pub verified: u64,
    /// Campaigns that were found to be lost.
    pub lost: u64,
}

impl Fence {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(redis: Arc<Redis>, database: Database, campaigns: Arc<Campaigns>, config: &Config) -> Self {
        Self {
            redis,
            database,
            campaigns,
            kafka: config.kafka.clone(),
            settle: Duration::from_millis(config.redis.fence_settle_ms),
            retry: Duration::from_millis(config.redis.fence_retry_ms),
        }
    }

    /// Until told to stop: looks when a connection was made again, when a call met a server that is not verified, and again
    /// and again while one is not.
    pub async fn run(&self, stop: CancellationToken) {
        let mut reconnects = self.redis.reconnects();
        while !stop.is_cancelled() {
            if self.redis.closed_for().is_some() {
                self.look().await;
            }
            let is_closed = self.redis.closed_for().is_some();
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.redis.unverified_server(), if !is_closed => {}
                () = reconnects.next() => self.look().await,
                () = tokio::time::sleep(self.retry), if is_closed => {}
            }
        }
    }

    /// One look, with its outcome in the log and in the figures.
    pub async fn look(&self) {
        match self.tick().await {
            Ok(_) => metrics::gauge!("onrush_redis_unverified_s").set(0.0),
            Err(error) => {
                let closed = self.redis.closed_for().unwrap_or_default();
                metrics::counter!("onrush_redis_verify_failures_total").increment(1);
                metrics::gauge!("onrush_redis_unverified_s").set(closed.as_secs_f64());
                tracing::warn!(%error, closed_ms = closed.as_millis(), "Redis is not verified: claims are refused; trying again");
            }
        }
    }

    /// One look at all servers that decide.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn tick(&self) -> Result<Looked, FenceError> {
        let mut looked = Looked::default();
        let (doubts, is_doubted) = self.redis.doubts();
        let was_emptied = is_doubted || self.has_nothing_recorded().await?;
        for server in self.redis.deciding_servers().await? {
            let inspection = self.redis.inspect(server).await?;
            if !is_doubted && inspection.is_open() {
                looked.known += 1;
                continue;
            }
            tracing::info!(server = inspection.name(), "Redis lives a life that this node does not know: verifying it");
            looked.lost += self.recall(&inspection, Rebuilds::GoOn).await?;
            if !was_emptied && inspection.is_verified().await? {
                inspection.adopt();
                looked.adopted += 1;
            } else {
                looked.lost += self.verify(&inspection).await?;
                looked.verified += 1;
            }
            tracing::info!(server = inspection.name(), ?looked, "Redis is verified: it decides");
        }
        self.redis.all_are_verified(doubts);
        metrics::counter!("onrush_redis_verified_total").increment(looked.adopted + looked.verified);
        metrics::counter!("onrush_redis_lost_at_verification_total").increment(looked.lost);
        Ok(looked)
    }

    /// Somebody may have emptied Redis in the life that was verified. Without the database nobody knows, and nothing that is not
    /// in Redis is sold either.
    async fn has_nothing_recorded(&self) -> Result<bool, FenceError> {
        Ok(self.redis.last_change().await? == 0
            && self.campaigns.recorded().await.is_ok_and(|recorded| !recorded.is_empty()))
    }

    /// All others connect again and hold their marks against the server meanwhile. So does this node, again and again: a reply
    /// of the server's last life may have been read only now.
    async fn let_others_recall(&self, inspection: &Inspection<'_>) -> Result<(), FenceError> {
        let until = tokio::time::Instant::now() + self.settle;
        while tokio::time::Instant::now() < until {
            tokio::time::sleep(self.retry.min(self.settle)).await;
            self.recall(inspection, Rebuilds::GoOn).await?;
        }
        Ok(())
    }

    /// Holds all that this node has seen against the server. Answers how many campaigns it has lost.
    async fn recall(&self, inspection: &Inspection<'_>, rebuilds: Rebuilds) -> Result<u64, FenceError> {
        let seen = self.redis.marks().all().into_iter().filter(|(campaign, _)| inspection.has(campaign));
        let found: Vec<Held> = futures::stream::iter(seen)
            .map(|(campaign, mark)| async move { self.hold(inspection, &campaign, (mark.get(), rebuilds)).await })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(found.iter().filter(|held| held.is_lost).count() as u64)
    }

    async fn verify(&self, inspection: &Inspection<'_>) -> Result<u64, FenceError> {
        // A server of which nobody has ever seen a campaign has nothing to lose.
        if self.redis.last_change().await? > 0 || !self.campaigns.recorded().await?.is_empty() {
            self.let_others_recall(inspection).await?;
        }
        let recorded = known_elsewhere::ask(&self.redis, &self.database, &self.campaigns, &self.kafka).await?;
        let lost = self.recall(inspection, Rebuilds::BeginAgain).await?;
        for (campaign, generation) in known_elsewhere::contradicted(&self.database).await? {
            if inspection.has(&campaign) {
                let key = self.redis.keys().of(&campaign).campaign();
                inspection.call(&HALT, [key], vec![Value::from(i64::from(generation))]).await?;
            }
        }
        let told: std::collections::HashSet<CampaignId> =
            self.redis.changed_since(0).await?.into_iter().map(|(campaign, _)| campaign).collect();
        let recorded: Vec<Recorded> = recorded.into_iter().filter(|found| inspection.has(found.id())).collect();
        let told = &told;
        futures::stream::iter(recorded)
            .map(|recorded| async move { self.bring_up_to_date(inspection, &recorded, told).await })
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<()>>()
            .await?;
        inspection.lift().await?;
        Ok(lost)
    }

    async fn bring_up_to_date(
        &self,
        inspection: &Inspection<'_>,
        recorded: &Recorded,
        told: &std::collections::HashSet<CampaignId>,
    ) -> Result<(), FenceError> {
        let mark = self.redis.marks().of(recorded.id());
        let held = self.hold(inspection, recorded.id(), (mark.get(), Rebuilds::GoOn)).await?;
        // Also one that came back as of before it was armed: its version may be the row's.
        if !held.is_lost && (held.version < recorded.version() || !held.is_armed) {
            self.campaigns.bring_up_to_date(inspection, recorded).await?;
        }
        if !told.contains(recorded.id()) {
            self.campaigns.announce_again(recorded).await?;
        }
        Ok(())
    }

    /// Holds one campaign against the server.
    async fn hold(
        &self,
        inspection: &Inspection<'_>,
        campaign: &CampaignId,
        ((generation, fact_no), rebuilds): ((u64, u64), Rebuilds),
    ) -> Result<Held, FenceError> {
        let again = i64::from(rebuilds == Rebuilds::BeginAgain);
        let args: Vec<Value> = vec![generation.to_string().into(), fact_no.to_string().into(), again.into()];
        let keys = [self.redis.keys().of(campaign).campaign()];
        let Reply { code, rest, .. } = call_unmarked_on(inspection, &RECALL, keys, args).await?;
        let numbers: Vec<u64> = rest.iter().map_while(Value::as_u64).collect();
        let [generation_here, fact_no_here, version, armed] = numbers[..] else {
            return Err(RedisError::Unexpected(format!("{numbers:?} as the answer to recall")).into());
        };
        let is_lost = code == "lost";
        if is_lost {
            // The node says so from now on, before anybody asks for a unit.
            let known = self.campaigns.catalog().get(campaign);
            let is_news = known.as_ref().is_none_or(|known| !known.is_lost());
            if let Some(known) = known {
                known.saw_lost();
            }
            // Once: it is held against the server again and again while that is being verified.
            if is_news {
                tracing::error!(
                    %campaign, generation, fact_no, generation_here, fact_no_here,
                    "lost in Redis: it has less than is known; refused until `onrush rebuild` has brought it back"
                );
            }
        }
        Ok(Held { is_lost, version, is_armed: armed == 1 })
    }
}

/// What becomes of rebuilds that are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rebuilds {
    /// They began in this life of the server, as far as is known.
    GoOn,
    /// They may have begun in an earlier one, and half of what they have loaded may be gone.
    BeginAgain,
}

/// How a campaign stands against what is known of it.
struct Held {
    is_lost: bool,
    version: u64,
    is_armed: bool,
}

//! The two loops of the room: keeping this node's memory up to date, and bringing rows to Redis that did not get there.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::campaigns::Campaigns;
use super::error::CampaignError;
use super::lifecycle::Published;
use super::table;
use crate::clock;
use crate::ids::CampaignId;
use crate::redis::{Channel, RedisError};

/// Hears of changes, and looks for those that it did not hear of.
pub struct Follower {
    campaigns: Arc<Campaigns>,
    read_up_to: u64,
    /// Of Redis, when it was read up to there.
    lives: u64,
}

impl Follower {
    /// Fills the memory from the database and from Redis; either may be away.
    pub async fn start(campaigns: Arc<Campaigns>) -> Self {
        if let Err(error) = campaigns.recorded().await {
            tracing::warn!(%error, "campaigns could not be read from the database: this node knows those in Redis only");
        }
        let mut follower = Self { campaigns, read_up_to: 0, lives: 0 };
        if let Err(error) = follower.tick().await {
            tracing::warn!(%error, "campaigns could not be read from Redis yet; trying again");
        }
        follower
    }

    /// Reads what has changed since the last tick. Answers how many campaigns that were.
    pub async fn tick(&mut self) -> Result<usize, RedisError> {
        let began_us = clock::uptime_us();
        let redis = &self.campaigns.redis;
        // A Redis that was emptied or went back in time is read anew. Its sequence may have passed the old one since.
        let lives = redis.lives();
        let went_back = redis.last_change().await? < self.read_up_to;
        if went_back && lives == self.lives {
            tracing::error!("Redis was emptied while it ran: nothing is decided until it was verified anew");
            redis.doubt();
        }
        if went_back || lives != self.lives {
            (self.lives, self.read_up_to) = (lives, 0);
        }
        let changed = redis.changed_since(self.read_up_to).await?;
        for (id, sequence) in &changed {
            self.campaigns.catalog.fetch(redis, id).await?;
            self.read_up_to = *sequence;
        }
        self.campaigns.catalog.is_as_of(began_us);
        Ok(changed.len())
    }

    /// Until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let redis = Arc::clone(&self.campaigns.redis);
        let listening =
            async { (redis.listen_soon(Channel::Changes).await, redis.listen_soon(Channel::Reopened).await) };
        let Some((mut messages, mut reopened)) = stop.run_until_cancelled(listening).await else { return };
        let mut reconnects = redis.reconnects();
        let mut look = interval(Duration::from_millis(self.campaigns.limits.reread_ms));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => self.tick().await.map(drop),
                () = reconnects.next() => self.tick().await.map(drop),
                // Where some were missed, their campaigns are offered a lease later.
                message = reopened.next() => {
                    if let Some(text) = message {
                        self.campaigns.catalog.hear_reopened(&text);
                    }
                    Ok(())
                }
                message = messages.next() => match message.and_then(|id| id.parse::<CampaignId>().ok()) {
                    Some(id) => self.campaigns.catalog.fetch(&redis, &id).await.map(drop),
                    None => self.tick().await.map(drop),
                },
            };
            if let Err(error) = outcome {
                metrics::counter!("onrush_campaign_reread_failures_total").increment(1);
                tracing::warn!(%error, "changes of campaigns could not be read; trying again");
            }
        }
    }
}

/// Puts rows into Redis that a node could not put when it wrote them.
pub struct Publisher {
    campaigns: Arc<Campaigns>,
}

impl Publisher {
    /// Works for all nodes; several at once do no harm.
    #[must_use]
    pub fn new(campaigns: Arc<Campaigns>) -> Self {
        Self { campaigns }
    }

    /// Puts what is behind. Answers how many rows that were.
    pub async fn tick(&self) -> Result<usize, CampaignError> {
        let behind = table::all(&self.campaigns.database, true).await?;
        let mut put = 0;
        for row in behind {
            match self.campaigns.publish(&row).await {
                Ok(Published::Done(_)) => put += 1,
                Ok(Published::StockKept) => {
                    tracing::warn!(campaign = %row.definition.id(), "the campaign opened before its stock was lowered: it keeps its stock");
                }
                Err(error) => {
                    metrics::counter!("onrush_campaign_put_failures_total").increment(1);
                    tracing::warn!(campaign = %row.definition.id(), %error, "a campaign could not be put into Redis; the publisher tries again");
                }
            }
        }
        Ok(put)
    }

    /// Until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut look = interval(Duration::from_millis(self.campaigns.limits.put_again_ms));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // A node that booted without the database knows no campaign that Redis has lost: it would say that there is none.
        let mut has_read_all = false;
        while stop.run_until_cancelled(look.tick()).await.is_some() {
            has_read_all = has_read_all || self.campaigns.recorded().await.is_ok();
            if let Err(error) = self.tick().await {
                tracing::warn!(%error, "cannot look for campaigns that Redis does not have");
            }
        }
    }
}

//! One caller's commands of one campaign: on a pinned connection where it matters what Redis keeps, else on the usual one.

use std::sync::Arc;
use std::time::Duration;

use fred::prelude::{ClusterInterface, HashesInterface};
use fred::types::config::Server;
use tokio::sync::OwnedSemaphorePermit;

use super::durability::Durability;
use super::error::RedisError;
use super::evalsha::is_unknown_script;
use super::outcome::once;
use super::pinned::{Connection, is_refusal};
use super::redis::Redis;
use super::script::{Arguments, Script};
use super::value::Value;
use crate::ids::CampaignId;

/// Where one caller's commands of one campaign travel, and what can be said of them.
pub struct Pinned<'a> {
    redis: &'a Redis,
    campaign: CampaignId,
    asked: Durability,
    own: Option<(Connection, OwnedSemaphorePermit)>,
}

impl Redis {
    /// A pinned connection for commands of this campaign that are to be kept so well. `memory` needs none of its own.
    pub async fn pinned(&self, campaign: &CampaignId, asked: Durability) -> Pinned<'_> {
        let own = if asked == Durability::Memory { None } else { self.own_connection(campaign).await };
        Pinned { redis: self, campaign: campaign.clone(), asked, own }
    }

    async fn own_connection(&self, campaign: &CampaignId) -> Option<(Connection, OwnedSemaphorePermit)> {
        let wait_max = Duration::from_millis(self.pinned.wait_ms_max.unsigned_abs());
        let permit = tokio::time::timeout(wait_max, Arc::clone(&self.pinned.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            metrics::counter!("onrush_redis_pinned_exhausted_total").increment(1);
            return None;
        };
        match self.pinned.connection(self.primary_of(campaign)).await {
            Ok(connection) => Some((connection, permit)),
            Err(error) => {
                tracing::warn!(%campaign, %error, "no pinned connection to Redis: claims are answered with durability memory");
                None
            }
        }
    }

    /// The server that has the campaign's slot; `None` where there is no cluster, and no choice.
    fn primary_of(&self, campaign: &CampaignId) -> Option<Server> {
        let slot = fred::util::redis_keyslot(self.keys.of(campaign).campaign().as_bytes());
        self.client_of(campaign).cached_cluster_state()?.get_server(slot).cloned()
    }
}

impl Pinned<'_> {
    /// Runs a script; loads it first where Redis does not know it.
    pub async fn call<const KEYS: usize>(
        &mut self,
        script: &Script<KEYS>,
        keys: [String; KEYS],
        args: impl Arguments,
    ) -> Result<Value, RedisError> {
        let slot = keys.first().map(|key| fred::util::redis_keyslot(key.as_bytes()));
        if let Some((connection, _)) = &mut self.own {
            let named = self.redis.name_of(script, slot)?;
            let mut outcome = connection.call(&named.sha, &keys, &args.values()).await;
            if outcome.as_ref().is_err_and(is_unknown_script) {
                self.redis.load_named(script, slot, &named).await?;
                outcome = connection.call(&named.sha, &keys, &args.values()).await;
            }
            match outcome {
                // The campaign is another server's now. Nothing has happened here, and the usual connection knows where.
                Err(error) if is_refusal(&error) => self.own = None,
                // Such a connection sends nothing twice.
                outcome => return outcome.map_err(once),
            }
        }
        self.redis.call(script, &self.campaign, keys, args).await
    }

    /// Several fields of a hash, in one step.
    pub async fn fields(&mut self, key: &str, fields: Vec<String>) -> Result<Vec<Option<String>>, RedisError> {
        if fields.is_empty() {
            return Ok(Vec::new());
        }
        if let Some((connection, _)) = &mut self.own {
            let client = connection.begin()?.clone();
            match connection.end(client.hmget(key, fields.clone()).await) {
                Err(error) if is_refusal(&error) => self.own = None,
                outcome => return Ok(outcome?),
            }
        }
        self.redis.fields(&self.campaign, key, fields).await
    }

    /// What holds for all that this connection has written and read. `wrote`: its last command was a write; after a mere
    /// read one is made, since what was read may be younger than anything this connection wrote.
    pub async fn reached(&mut self, wrote: bool) -> Durability {
        let mark = self.redis.keys.of(&self.campaign).mark();
        let (asked, to) = (self.asked, &self.redis.pinned);
        let Some((connection, _)) = &mut self.own else { return Durability::Memory };
        match connection.reached(asked, (!wrote).then_some(mark), to).await {
            Ok(reached) => reached,
            Err(error) => {
                tracing::warn!(campaign = %self.campaign, %error, "Redis did not say whether it has kept a write: claims are answered with durability memory");
                self.own = None;
                Durability::Memory
            }
        }
    }
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        // A connection with an answer under way is not for others.
        if let Some((connection, _)) = self.own.take().filter(|(connection, _)| connection.sound) {
            self.redis.pinned.rest(connection);
        }
    }
}

//! Connections to one Redis: commands, scripts, messages.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use fred::clients::{Client, Pool, SubscriberClient};
use fred::prelude::{
    Builder, ClientLike, ClusterInterface, Config, ConnectionConfig, EventInterface, HashesInterface, LuaInterface,
    PerformanceConfig, PubsubInterface, ReconnectPolicy, ServerConfig, SortedSetsInterface,
};
use fred::types::config::{ClusterDiscoveryPolicy, UnresponsiveConfig};
use fred::types::{ClusterHash, CustomCommand};

use super::error::RedisError;
use super::evalsha::{call_once, is_unknown_script, key_list};
use super::fitness::check_server;
use super::incarnation::Fence;
use super::keys::Keys;
use super::marks::Marks;
use super::messages::{Channel, Messages, Reconnects};
use super::outcome::{MadeAgain, Sent};
use super::pinned::PinnedConnections;
use super::script::{Arguments, Script};
use super::time_keeper::TimeKeeper;
use super::value::Value;
use crate::clock::Millis;
use crate::config;
use crate::ids::CampaignId;

/// How soon it is tried again to listen.
const LISTEN_AGAIN: Duration = Duration::from_millis(200);
/// Messages that each listener may be behind.
const MESSAGES_BEHIND_MAX: usize = 1_024;

/// How often a script is loaded for one call: a slot may move to another server in between.
const LOADS_MAX: usize = 3;

/// Connections to one Redis, and the names of our keys in it.
pub struct Redis {
    pub(super) pool: Pool,
    made_again: MadeAgain,
    pub(super) pinned: PinnedConnections,
    subscriber: SubscriberClient,
    pub(super) keys: Keys,
    hears_nothing: bool,
    pub(super) time_keeper: TimeKeeper,
    /// `None`: every server decides, as far as tools and tests are concerned.
    pub(super) fence: Option<Fence>,
    marks: Arc<Marks>,
}

impl Redis {
    /// Connects, and goes on connecting again whenever a connection breaks. Fails if Redis cannot be reached at all.
    pub async fn connect(config: &config::Redis) -> Result<Self, RedisError> {
        let mut client = Config::from_url(&config.url)?;
        let command_timeout = Duration::from_millis(config.command_timeout_ms);
        let mut connection = ConnectionConfig {
            connection_timeout: command_timeout,
            internal_command_timeout: command_timeout,
            max_command_buffer_len: config.waiting_commands_max,
            tcp: fred::types::config::TcpConfig { nodelay: Some(true), ..Default::default() },
            ..Default::default()
        };
        let performance = PerformanceConfig { default_command_timeout: command_timeout, ..Default::default() };
        let pinned = PinnedConnections::new(config, client.clone(), connection.clone(), performance.clone());
        if let ServerConfig::Clustered { policy, .. } = &mut client.server {
            // The node that the address names may be the one that died.
            *policy = ClusterDiscoveryPolicy::UseCache;
            // Nor does a node that hangs close its connections: what does not answer is given up, and the others are
            // asked who has its slots now.
            connection.unresponsive =
                UnresponsiveConfig { max_timeout: Some(command_timeout), interval: command_timeout / 4 };
        }
        let mut builder = Builder::from_config(client);
        builder
            .set_policy(ReconnectPolicy::new_constant(0, config.reconnect_ms))
            .set_connection_config(connection)
            .set_performance_config(performance);
        let pool = builder.build_pool(config.pool_max)?;
        // A burst of messages that a listener is too slow for counts as missed, and then it has to look by itself.
        builder.with_performance_config(|performance| performance.broadcast_channel_capacity = MESSAGES_BEHIND_MAX);
        let subscriber = builder.build_subscriber_client()?;
        pool.init().await?;
        subscriber.init().await?;
        // The task ends with the client.
        drop(subscriber.manage_subscriptions());
        Ok(Self {
            made_again: MadeAgain::of(&pool),
            pool,
            pinned,
            subscriber,
            keys: Keys::new(&config.key_prefix),
            hears_nothing: false,
            time_keeper: TimeKeeper::default(),
            fence: None,
            marks: Arc::default(),
        })
    }

    /// One that hears no message, as though all were lost: for tests and benchmarks.
    #[must_use]
    pub fn without_messages(mut self) -> Self {
        self.hears_nothing = true;
        self
    }

    /// Refuses a Redis that throws keys away when its memory is full, or is too old for the scripts: each primary of a
    /// cluster.
    pub async fn check_fitness(&self) -> Result<(), RedisError> {
        let client = self.pool.next();
        match client.cached_cluster_state() {
            None => check_server(client, ClusterHash::Random).await,
            Some(cluster) => {
                for range in cluster.slots() {
                    check_server(client, ClusterHash::Custom(range.start)).await?;
                }
                Ok(())
            }
        }
    }

    /// Every key that there is.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What this node has seen of each campaign.
    #[must_use]
    pub fn marks(&self) -> &Arc<Marks> {
        &self.marks
    }

    /// Whether Redis answers now.
    pub async fn ping(&self) -> Result<(), RedisError> {
        Ok(self.pool.next().ping(None).await?)
    }

    /// Redis' clock, by which everything is decided.
    pub async fn time(&self) -> Result<Millis, RedisError> {
        let command = CustomCommand::new_static("TIME", ClusterHash::Random, false);
        let (seconds, micros): (i64, i64) = self.pool.next().custom(command, Vec::<Value>::new()).await?;
        Ok(Millis(seconds * 1000 + micros / 1000))
    }

    /// Runs a script on the campaign's connection. Loads it first where Redis does not know it.
    pub async fn call<const KEYS: usize>(
        &self,
        script: &Script<KEYS>,
        campaign: &CampaignId,
        keys: [String; KEYS],
        args: impl Arguments,
    ) -> Result<Value, RedisError> {
        self.call_on(self.client_of(campaign), script, keys, args).await
    }

    /// Runs a script whose keys belong to no campaign.
    pub async fn call_anywhere<const KEYS: usize>(
        &self,
        script: &Script<KEYS>,
        keys: [String; KEYS],
        args: impl Arguments,
    ) -> Result<Value, RedisError> {
        self.call_on(self.pool.next(), script, keys, args).await
    }

    async fn call_on<const KEYS: usize>(
        &self,
        client: &Client,
        script: &Script<KEYS>,
        keys: [String; KEYS],
        args: impl Arguments,
    ) -> Result<Value, RedisError> {
        let slot = keys.first().map(|key| fred::util::redis_keyslot(key.as_bytes()));
        let sent = Sent::begin(client, &self.made_again);
        let mut loads = 0;
        loop {
            let named = self.name_of(script, slot)?;
            let outcome = if script.is_repeatable() {
                client.evalsha(&*named.sha, key_list(&keys), args.values()).await
            } else {
                call_once(client, &named.sha, &keys, args.values(), slot).await
            };
            match outcome {
                // It has not run.
                Err(error) if is_unknown_script(&error) && loads < LOADS_MAX => {
                    loads += 1;
                    let loaded = self.load_named(script, slot, &named).await;
                    // Unless it had been sent before, to a server that died of it.
                    if sent.may_be_twice() && loaded.is_err() {
                        return Err(error.into());
                    }
                    loaded?;
                }
                outcome => return outcome.map_err(|error| sent.judge(error)),
            }
        }
    }

    /// Several fields of a hash, in one step.
    pub async fn fields(
        &self,
        campaign: &CampaignId,
        key: &str,
        fields: Vec<String>,
    ) -> Result<Vec<Option<String>>, RedisError> {
        if fields.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.client_of(campaign).hmget(key, fields).await?)
    }

    /// All fields of a hash that belongs to no campaign. Only for small ones.
    pub async fn all_fields(&self, key: &str) -> Result<std::collections::HashMap<String, String>, RedisError> {
        Ok(self.pool.next().hgetall(key).await?)
    }

    /// Takes fields out of a hash that belongs to no campaign.
    pub async fn delete_fields(&self, key: &str, fields: Vec<String>) -> Result<(), RedisError> {
        Ok(self.pool.next().hdel(key, fields).await?)
    }

    /// One page of a hash: where to go on (`"0"` at the end), and pairs of field and value. A field may come twice.
    pub async fn scan_page(
        &self,
        campaign: &CampaignId,
        key: &str,
        cursor: &str,
        count: u32,
    ) -> Result<(String, Vec<String>), RedisError> {
        let command = CustomCommand::new_static("HSCAN", ClusterHash::FirstKey, false);
        let args: Vec<Value> = vec![key.into(), cursor.into(), "COUNT".into(), i64::from(count).into()];
        Ok(self.client_of(campaign).custom(command, args).await?)
    }

    /// One page of a sorted set: where to go on (`"0"` at the end), and members with their scores. A member may come twice.
    pub async fn scan_scores(
        &self,
        campaign: &CampaignId,
        key: &str,
        cursor: &str,
        count: u32,
    ) -> Result<(String, Vec<(String, f64)>), RedisError> {
        let command = CustomCommand::new_static("ZSCAN", ClusterHash::FirstKey, false);
        let args: Vec<Value> = vec![key.into(), cursor.into(), "COUNT".into(), i64::from(count).into()];
        Ok(self.client_of(campaign).custom(command, args).await?)
    }

    /// Writes a part of a text, from this byte on.
    pub async fn write_at(
        &self,
        campaign: &CampaignId,
        key: &str,
        offset: usize,
        text: &str,
    ) -> Result<(), RedisError> {
        let command = CustomCommand::new_static("SETRANGE", ClusterHash::FirstKey, false);
        let args: Vec<Value> = vec![key.into(), offset.to_string().into(), text.into()];
        Ok(self.client_of(campaign).custom(command, args).await?)
    }

    /// Lets a key go after so long, in ms.
    pub async fn expire(&self, campaign: &CampaignId, key: &str, in_ms: u64) -> Result<(), RedisError> {
        let command = CustomCommand::new_static("PEXPIRE", ClusterHash::FirstKey, false);
        let args: Vec<Value> = vec![key.into(), in_ms.to_string().into()];
        Ok(self.client_of(campaign).custom(command, args).await?)
    }

    /// A text, whole.
    pub async fn text(&self, campaign: &CampaignId, key: &str) -> Result<Option<String>, RedisError> {
        let command = CustomCommand::new_static("GET", ClusterHash::FirstKey, false);
        Ok(self.client_of(campaign).custom(command, vec![Value::from(key)]).await?)
    }

    /// The campaigns that changed after this sequence, with the sequence of each, in its order.
    pub async fn changed_since(&self, sequence: u64) -> Result<Vec<(CampaignId, u64)>, RedisError> {
        let above = format!("({sequence}");
        let found: Vec<(String, f64)> =
            self.pool.next().zrangebyscore(self.keys.directory(), above, "+inf", true, None).await?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts changes, from 1")]
        let pairs = found.into_iter().filter_map(|(id, sequence)| Some((id.parse().ok()?, sequence as u64)));
        Ok(pairs.collect())
    }

    /// The sequence of the last change of any campaign.
    pub async fn last_change(&self) -> Result<u64, RedisError> {
        let last: Vec<(String, f64)> = self.pool.next().zrevrange(self.keys.directory(), 0, 0, true).await?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts changes, from 1")]
        let sequence = last.first().map_or(0, |(_, sequence)| *sequence as u64);
        Ok(sequence)
    }

    /// Tells all nodes. Nothing depends on its arrival: whoever listens also looks by itself.
    pub async fn publish(&self, channel: Channel, text: &str) -> Result<(), RedisError> {
        Ok(self.pool.next().publish(self.keys.channel(channel), text).await?)
    }

    /// Hears what is published from now on, across reconnects.
    pub async fn listen(&self, channel: Channel) -> Result<Messages, RedisError> {
        let name = self.keys.channel(channel);
        let messages = Messages::new(name.clone(), self.subscriber.message_rx());
        if !self.hears_nothing {
            self.subscriber.subscribe(name).await?;
        }
        Ok(messages)
    }

    /// The same, and tries again for as long as Redis cannot be reached.
    pub async fn listen_soon(&self, channel: Channel) -> Messages {
        loop {
            match self.listen(channel).await {
                Ok(messages) => return messages,
                Err(error) => {
                    tracing::warn!(%error, ?channel, "subscribing to messages of other nodes failed; trying again");
                }
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }

    /// Hears whenever a connection was lost and made again.
    #[must_use]
    pub fn reconnects(&self) -> Reconnects {
        Reconnects::new(self.subscriber.reconnect_rx())
    }

    /// Closes all connections, after what is under way.
    pub async fn close(&self) {
        self.pinned.close();
        for outcome in [self.pool.quit().await, self.subscriber.quit().await] {
            if let Err(error) = outcome {
                tracing::debug!(%error, "closing a connection to Redis");
            }
        }
    }

    pub(super) fn client_of(&self, campaign: &CampaignId) -> &Client {
        let clients = self.pool.clients();
        let mut hasher = DefaultHasher::new();
        campaign.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % clients.len() as u64).expect("below the number of clients");
        &clients[index]
    }
}

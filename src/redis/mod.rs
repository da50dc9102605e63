//! How do we speak to Redis? The only door to it: connections, every key, script calls, the outbox, messages.
//!
//! - No other room names the client library, spells a key or knows a channel.
//! - All commands of one campaign travel on one connection, in the order in which they were given.
//! - A script is called with exactly the keys that its header lists, or the program does not compile.

mod fence;
mod fields;
mod keys;
mod lane;
mod lease;
mod marks;
mod messages;
mod outbox;
mod probe;
mod reply;
mod script;
mod sent;
mod time;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use fred::clients::{Client, Pool, SubscriberClient};
use fred::prelude::{
    Builder, ClientLike, ClusterInterface, Config, ConnectionConfig, EventInterface, HashesInterface, Key,
    LuaInterface, PerformanceConfig, PubsubInterface, ReconnectPolicy, ServerConfig, SortedSetsInterface,
};
use fred::types::config::{ClusterDiscoveryPolicy, Options, UnresponsiveConfig};
use fred::types::{ClusterHash, CustomCommand, MultipleKeys};
use thiserror::Error;

use crate::clock::Millis;
use crate::config;
use crate::ids::CampaignId;
pub use fence::{DecidingServer, Incarnation, Inspection};
pub use keys::{CampaignKeys, Keys};
use lane::Lanes;
pub use lane::{Durability, Lane};
pub use lease::Lease;
pub use marks::{Mark, Marks, pack};
pub use messages::{Channel, Messages, Reconnects};
pub use outbox::{Entry, read_outbox};
pub use reply::{Head, Reply};
pub use script::{Arguments, MadeBy, Script};
use sent::{MadeAgain, Sent};
pub use time::TimeEstimate;
use time::TimeKeeper;

/// What one argument or one part of a reply is.
pub type Value = fred::types::Value;

/// What a call to Redis can fail with. Its text is for logs: clients are told its [`RedisError::reason`].
#[derive(Debug, Error)]
pub enum RedisError {
    /// No answer, or none that says whether it happened. Repeat what is safe to repeat.
    #[error("Redis did not answer: {0}")]
    Unavailable(#[from] fred::error::Error),
    /// It did not happen: the server said no before it did anything.
    #[error("Redis refused: {0}")]
    Refused(fred::error::Error),
    /// It did not happen: there was no connection that it could have been sent over.
    #[error("nothing was sent to Redis: {0}")]
    Unsent(fred::error::Error),
    /// An answer that the scripts never give: a bug, or another program's keys.
    #[error("Redis answered what was not expected: {0}")]
    Unexpected(String),
    /// It did not happen: the server was restarted or replaced, and is not let decide before it is known that it has all that
    /// was promised.
    #[error("Redis was restarted, replaced or emptied and is being verified")]
    Fenced,
    /// A server that would lose promises: boot fails.
    #[error("this Redis is not fit for use: {0}")]
    Unfit(String),
}

/// Connections to one Redis, and the names of our keys in it.
pub struct Redis {
    pool: Pool,
    made_again: MadeAgain,
    lanes: Lanes,
    subscriber: SubscriberClient,
    keys: Keys,
    is_deaf: bool,
    time_keeper: TimeKeeper,
    /// `None`: every server decides, as far as tools and tests are concerned.
    fence: Option<fence::Fence>,
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
        let lanes = Lanes::new(config, client.clone(), connection.clone(), performance.clone());
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
        builder.with_performance_config(|performance| performance.broadcast_channel_capacity = UNHEARD_MAX);
        let subscriber = builder.build_subscriber_client()?;
        pool.init().await?;
        subscriber.init().await?;
        // The task ends with the client.
        drop(subscriber.manage_subscriptions());
        Ok(Self {
            made_again: MadeAgain::of(&pool),
            pool,
            lanes,
            subscriber,
            keys: Keys::new(&config.key_prefix),
            is_deaf: false,
            time_keeper: TimeKeeper::default(),
            fence: None,
            marks: Arc::default(),
        })
    }

    /// One that hears no message, as though all were lost: for tests and benchmarks.
    #[must_use]
    pub fn deafened(mut self) -> Self {
        self.is_deaf = true;
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
        if !self.is_deaf {
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
                    tracing::warn!(%error, ?channel, "messages of other nodes are not heard yet; trying again");
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
        self.lanes.close();
        for outcome in [self.pool.quit().await, self.subscriber.quit().await] {
            if let Err(error) = outcome {
                tracing::debug!(%error, "closing a connection to Redis");
            }
        }
    }

    fn client_of(&self, campaign: &CampaignId) -> &Client {
        let clients = self.pool.clients();
        let mut hasher = DefaultHasher::new();
        campaign.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % clients.len() as u64).expect("below the number of clients");
        &clients[index]
    }
}

/// How soon it is tried again to listen.
const LISTEN_AGAIN: Duration = Duration::from_millis(200);
/// Messages that each listener may be behind.
const UNHEARD_MAX: usize = 1_024;

fn key_list(keys: &[String]) -> MultipleKeys {
    keys.iter().map(Key::from).collect::<Vec<_>>().into()
}

/// How often a script is loaded for one call: a slot may move to another server in between.
const LOADS_MAX: usize = 3;

/// Runs a script that must not run twice for one call: where its reply is lost with the connection, the outcome is
/// unknown, and whoever asked is told so. (The library would send it again, and what the first run did would refuse the
/// second: a coupon that this very call has redeemed.)
async fn call_once<const KEYS: usize>(
    client: &Client,
    sha: &str,
    keys: &[String; KEYS],
    args: Vec<Value>,
    slot: Option<u16>,
) -> Result<Value, fred::error::Error> {
    let client_once = client.with_options(&Options { max_attempts: Some(1), ..Options::default() });
    let command = CustomCommand::new_static("EVALSHA", slot.map_or(ClusterHash::Random, ClusterHash::Custom), false);
    let mut words: Vec<Value> = vec![sha.into(), KEYS.to_string().into()];
    words.extend(keys.iter().map(|key| Value::from(key.as_str())));
    words.extend(args);
    client_once.custom(command, words).await
}

/// Whether the server does not know the script by this name, and so did nothing.
fn is_unknown_script(error: &fred::error::Error) -> bool {
    error.details().starts_with("NOSCRIPT")
}

/// Loads a script where its keys are.
async fn load(client: &Client, source: &'static str, slot: Option<u16>) -> Result<(), RedisError> {
    let command = CustomCommand::new_static("SCRIPT", slot.map_or(ClusterHash::Random, ClusterHash::Custom), false);
    let _sha: Value = client.custom(command, vec![Value::from_static_str("LOAD"), source.into()]).await?;
    Ok(())
}

/// Checks the server that has this slot.
async fn check_server(client: &Client, slot: ClusterHash) -> Result<(), RedisError> {
    let command = CustomCommand::new_static("INFO", slot, false);
    let memory: String = client.custom(command.clone(), vec!["memory"]).await?;
    let server: String = client.custom(command, vec!["server"]).await?;
    let field = |info: &str, name: &str| {
        info.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
    };
    let policy = field(&memory, "maxmemory_policy").unwrap_or_default();
    if policy != "noeviction" {
        return Err(RedisError::Unfit(format!("maxmemory-policy is {policy:?}, must be noeviction")));
    }
    let version = field(&server, "redis_version").unwrap_or_default();
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    if major < 7 {
        return Err(RedisError::Unfit(format!("version is {version:?}, must be 7.0 or newer")));
    }
    Ok(())
}

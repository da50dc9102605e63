//! What does Redis keep, and how is that known? Connections of one use at a time, on which it can be asked.
//!
//! - WAIT speaks of the writes of its own connection, so a script and its WAIT travel on one. Such a connection never
//!   connects again and sends nothing twice: one that broke in between tells less, never more.
//! - Whether Redis syncs its log at each write is asked on the connection that the writes travel on, anew when the last
//!   look is older than a second. What cannot be asked does not hold.
//! - Where no such connection can be had, the campaign's usual one is used, and tells `memory`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fred::clients::Client;
use fred::prelude::{
    ClientLike, ClusterInterface, Config, ConnectionConfig, Error, ErrorKind, HashesInterface, KeysInterface,
    LuaInterface, PerformanceConfig,
};
use fred::types::config::Server;
use fred::types::{ClusterHash, ConnectHandle, CustomCommand, InfoKind, MultipleKeys};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Arguments, Redis, RedisError, Script, Value, is_unknown_script};
use crate::config;
use crate::ids::CampaignId;

/// What a decision survives: what must hold before a claim is answered 201, and what did hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Survives the death of any process but Redis.
    Memory,
    /// Survives Redis' too.
    Fsynced,
    /// Survives the loss of the primary.
    Replicated,
}

impl Durability {
    /// All of them, weakest first.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Fsynced, Self::Replicated];

    /// The word in the contract and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Fsynced => "fsynced",
            Self::Replicated => "replicated",
        }
    }

    /// The durability of this name.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|durability| durability.as_str() == word)
    }
}

/// How old the last look at the log's settings may be.
const LOOK_AGE_MAX: Duration = Duration::from_secs(1);
/// A connection that rested for longer is tried before a script depends on it.
const REST_MAX: Duration = Duration::from_millis(100);

/// Where one caller's commands of one campaign travel, and what can be said of them.
pub struct Lane<'a> {
    redis: &'a Redis,
    campaign: CampaignId,
    asked: Durability,
    own: Option<(Connection, OwnedSemaphorePermit)>,
}

/// One connection to one server. Dropped, it is closed.
pub(super) struct Connection {
    client: Client,
    task: ConnectHandle,
    server: Option<Server>,
    looked: Option<(Instant, bool)>,
    rests_since: Instant,
    /// Nothing has failed or been given up half way on it.
    sound: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The connections that lanes have, by server: in a cluster each campaign has its primary.
pub(super) struct Lanes {
    pub(super) config: Config,
    connection: ConnectionConfig,
    performance: PerformanceConfig,
    replicas_min: i64,
    wait_ms_max: i64,
    permits: Arc<Semaphore>,
    idle: Mutex<HashMap<Option<Server>, Vec<Connection>>>,
}

impl Lanes {
    pub(super) fn new(
        settings: &config::Redis,
        config: Config,
        connection: ConnectionConfig,
        performance: PerformanceConfig,
    ) -> Self {
        Self {
            config,
            // Nothing is ever sent a second time.
            connection: ConnectionConfig { max_command_attempts: 1, max_redirections: 0, ..connection },
            performance,
            replicas_min: i64::from(settings.replicas_min),
            wait_ms_max: i64::from(settings.wait_ms_max),
            permits: Arc::new(Semaphore::new(settings.lanes_max)),
            idle: Mutex::default(),
        }
    }

    pub(super) fn close(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, HashMap<Option<Server>, Vec<Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One to this server, rested or new.
    async fn connection(&self, server: Option<Server>) -> Result<Connection, RedisError> {
        loop {
            let Some(found) = self.idle().get_mut(&server).and_then(Vec::pop) else { break };
            if found.task.is_finished() {
                continue;
            }
            if found.rests_since.elapsed() < REST_MAX || found.client.ping::<()>(None).await.is_ok() {
                return Ok(found);
            }
            // Where one does not answer the others would cost a timeout each.
            self.idle().remove(&server);
        }
        self.fresh(server).await
    }

    pub(super) async fn connect(&self, config: Config, server: Option<Server>) -> Result<Connection, RedisError> {
        let client = Client::new(config, Some(self.performance.clone()), Some(self.connection.clone()), None);
        let task = client.init().await?;
        Ok(Connection { client, task, server, looked: None, rests_since: Instant::now(), sound: true })
    }

    fn rest(&self, mut connection: Connection) {
        connection.rests_since = Instant::now();
        self.idle().entry(connection.server.clone()).or_default().push(connection);
    }
}

impl Redis {
    /// A lane for commands of this campaign that are to be kept so well. `memory` needs no connection of its own.
    pub async fn lane(&self, campaign: &CampaignId, asked: Durability) -> Lane<'_> {
        let own = if asked == Durability::Memory { None } else { self.own_connection(campaign).await };
        Lane { redis: self, campaign: campaign.clone(), asked, own }
    }

    async fn own_connection(&self, campaign: &CampaignId) -> Option<(Connection, OwnedSemaphorePermit)> {
        let wait_max = Duration::from_millis(self.lanes.wait_ms_max.unsigned_abs());
        let permit = tokio::time::timeout(wait_max, Arc::clone(&self.lanes.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            metrics::counter!("onrush_redis_lanes_exhausted_total").increment(1);
            return None;
        };
        match self.lanes.connection(self.primary_of(campaign)).await {
            Ok(connection) => Some((connection, permit)),
            Err(error) => {
                tracing::warn!(%campaign, %error, "no connection that could tell more than memory");
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

impl Lane<'_> {
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
                outcome => return outcome.map_err(super::sent::once),
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

    /// What holds for all that this lane has written and read. `wrote`: its last command was a write; after a mere
    /// read one is made, since what was read may be younger than anything this connection wrote.
    pub async fn reached(&mut self, wrote: bool) -> Durability {
        let mark = self.redis.keys.of(&self.campaign).mark();
        let (asked, lanes) = (self.asked, &self.redis.lanes);
        let Some((connection, _)) = &mut self.own else { return Durability::Memory };
        match connection.reached(asked, (!wrote).then_some(mark), lanes).await {
            Ok(reached) => reached,
            Err(error) => {
                tracing::warn!(campaign = %self.campaign, %error, "cannot tell how well a decision is kept");
                self.own = None;
                Durability::Memory
            }
        }
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        // A connection with an answer under way is not for others.
        if let Some((connection, _)) = self.own.take().filter(|(connection, _)| connection.sound) {
            self.redis.lanes.rest(connection);
        }
    }
}

impl Connection {
    /// The client, for who has the connection alone.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The client, for one command; until [`Connection::end`] this connection is not fit for anybody else.
    fn begin(&mut self) -> Result<&Client, Error> {
        self.sound = false;
        // Commands to a client without a connection would wait for their timeout.
        if self.task.is_finished() { Err(Error::new(ErrorKind::IO, "connection closed")) } else { Ok(&self.client) }
    }

    fn end<T>(&mut self, outcome: Result<T, Error>) -> Result<T, Error> {
        // A server that answers with an error has answered.
        self.sound = match &outcome {
            Ok(_) => true,
            Err(error) => !matches!(error.kind(), ErrorKind::IO | ErrorKind::Timeout | ErrorKind::Canceled),
        };
        outcome
    }

    async fn call<const KEYS: usize>(
        &mut self,
        sha: &str,
        keys: &[String; KEYS],
        args: &[Value],
    ) -> Result<Value, Error> {
        let client = self.begin()?.clone();
        let keys: MultipleKeys = keys.to_vec().into();
        let outcome = client.evalsha(sha, keys, Value::Array(args.to_vec())).await;
        self.end(outcome)
    }

    async fn reached(&mut self, asked: Durability, mark: Option<String>, to: &Lanes) -> Result<Durability, Error> {
        let client = self.begin()?.clone();
        let outcome = async {
            if let Some(mark) = mark {
                client.set::<(), _, _>(mark, 1, None, None, false).await?;
            }
            if asked == Durability::Replicated {
                let command = CustomCommand::new_static("WAIT", ClusterHash::Random, false);
                let replicas: i64 =
                    client.custom(command, vec![Value::from(to.replicas_min), Value::from(to.wait_ms_max)]).await?;
                if replicas >= to.replicas_min {
                    return Ok(Durability::Replicated);
                }
            }
            if self.looked.is_none_or(|(at, _)| at.elapsed() >= LOOK_AGE_MAX) {
                let at = Instant::now();
                self.looked = Some((at, syncs_each_write(&client).await?));
            }
            let fsynced = self.looked.is_some_and(|(_, fsynced)| fsynced);
            Ok(if fsynced { Durability::Fsynced } else { Durability::Memory })
        }
        .await;
        self.end(outcome)
    }
}

/// An answer by which the server says that it has done nothing and that another one should be asked.
fn is_refusal(error: &Error) -> bool {
    ["MOVED ", "ASK ", "CLUSTERDOWN", "READONLY", "NOSCRIPT"].iter().any(|word| error.details().starts_with(word))
}

/// Whether an answer to a write means that its log is on the disk. `false` where Redis does not let us ask.
async fn syncs_each_write(client: &Client) -> Result<bool, Error> {
    let config = CustomCommand::new_static("CONFIG", ClusterHash::Random, false);
    let names = ["GET", "appendonly", "appendfsync", "no-appendfsync-on-rewrite"].map(Value::from).to_vec();
    let settings: HashMap<String, String> = match client.custom(config, names).await {
        Ok(settings) => settings,
        Err(error) if matches!(error.kind(), ErrorKind::IO | ErrorKind::Timeout | ErrorKind::Canceled) => {
            return Err(error);
        }
        Err(_) => return Ok(false),
    };
    let persistence: String = client.info(Some(InfoKind::Persistence)).await?;
    let is = |name: &str, value: &str| settings.get(name).is_some_and(|found| found == value);
    let says = |line: &str| persistence.lines().any(|found| found.trim_end() == line);
    // A log that was switched on just now counts from the end of its first rewrite: before, a restart does not read it.
    let begun = !says("aof_base_size:0") || (says("aof_rewrite_in_progress:0") && says("aof_rewrite_scheduled:0"));
    Ok(is("appendonly", "yes")
        && is("appendfsync", "always")
        && is("no-appendfsync-on-rewrite", "no")
        && says("aof_enabled:1")
        && says("aof_last_write_status:ok")
        && begun)
}

//! Pinned connections: each has one use at a time, and on it Redis can be asked what it keeps.
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
    ClientLike, Config, ConnectionConfig, Error, ErrorKind, KeysInterface, LuaInterface, PerformanceConfig,
    ServerConfig,
};
use fred::types::config::Server;
use fred::types::{ClusterHash, ConnectHandle, CustomCommand, InfoKind, MultipleKeys};
use tokio::sync::Semaphore;

use super::durability::Durability;
use super::error::RedisError;
use super::value::Value;
use crate::config;

/// How old the last look at the log's settings may be.
const LOOK_AGE_MAX: Duration = Duration::from_secs(1);
/// A connection that rested for longer is tried before a script depends on it.
const REST_MAX: Duration = Duration::from_millis(100);

/// One connection to one server. Dropped, it is closed.
pub(super) struct Connection {
    client: Client,
    task: ConnectHandle,
    server: Option<Server>,
    looked: Option<(Instant, bool)>,
    rests_since: Instant,
    /// Nothing has failed or been given up half way on it.
    pub(super) sound: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The connections of one use at a time, by server: in a cluster each campaign has its primary.
pub(super) struct PinnedConnections {
    pub(super) config: Config,
    connection: ConnectionConfig,
    performance: PerformanceConfig,
    pub(super) replicas_min: i64,
    pub(super) wait_ms_max: i64,
    pub(super) permits: Arc<Semaphore>,
    idle: Mutex<HashMap<Option<Server>, Vec<Connection>>>,
}

impl PinnedConnections {
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
            permits: Arc::new(Semaphore::new(settings.pinned_connections_max)),
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
    pub(super) async fn connection(&self, server: Option<Server>) -> Result<Connection, RedisError> {
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

    /// A new connection to this server.
    pub(super) async fn fresh(&self, server: Option<Server>) -> Result<Connection, RedisError> {
        let mut config = self.config.clone();
        if let Some(server) = &server {
            config.server = ServerConfig::Centralized { server: server.clone() };
        }
        self.connect(config, server).await
    }

    async fn connect(&self, config: Config, server: Option<Server>) -> Result<Connection, RedisError> {
        let client = Client::new(config, Some(self.performance.clone()), Some(self.connection.clone()), None);
        let task = client.init().await?;
        Ok(Connection { client, task, server, looked: None, rests_since: Instant::now(), sound: true })
    }

    pub(super) fn rest(&self, mut connection: Connection) {
        connection.rests_since = Instant::now();
        self.idle().entry(connection.server.clone()).or_default().push(connection);
    }
}

impl Connection {
    /// The client, for who has the connection alone.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The client, for one command; until [`Connection::end`] this connection is not fit for anybody else.
    pub(super) fn begin(&mut self) -> Result<&Client, Error> {
        self.sound = false;
        // Commands to a client without a connection would wait for their timeout.
        if self.task.is_finished() { Err(Error::new(ErrorKind::IO, "connection closed")) } else { Ok(&self.client) }
    }

    pub(super) fn end<T>(&mut self, outcome: Result<T, Error>) -> Result<T, Error> {
        // A server that answers with an error has answered.
        self.sound = match &outcome {
            Ok(_) => true,
            Err(error) => !matches!(error.kind(), ErrorKind::IO | ErrorKind::Timeout | ErrorKind::Canceled),
        };
        outcome
    }

    pub(super) async fn call<const KEYS: usize>(
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

    pub(super) async fn reached(
        &mut self,
        asked: Durability,
        mark: Option<String>,
        to: &PinnedConnections,
    ) -> Result<Durability, Error> {
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
pub(super) fn is_refusal(error: &Error) -> bool {
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

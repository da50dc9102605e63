//! One installation of Onrush for one run: a Redis of its own, a schema and a topic, nodes as processes, and a proxy
//! between each node and each store.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{bail, ensure};
use testkit::client::Client;
use testkit::node::{Setting, binary, program};
use testkit::port::free_port;
use testkit::postgres::Postgres;
use testkit::process::{Process, Program};
use testkit::redis::{Fsync, Redis};

use crate::proxy::{Protocol, Proxy};
use crate::slots::Slot;
use crate::stores::{Stores, Use};

/// How long a node may take to get ready, its stores' recovery included.
const READY_MAX: Duration = Duration::from_mins(1);

/// The exit status of `onrush audit` when something is broken, and how often in turn it is believed to change its mind.
const AUDIT_BROKEN: i32 = 1;
/// One command may take so long, with what it waits by itself.
const COMMAND_MAX: Duration = Duration::from_secs(10);
const BROKEN_MAX: u32 = 5;

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Answers.
    Serve,
    /// Relays and writes.
    Work,
    /// Both.
    All,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Work => "work",
            Self::All => "all",
        }
    }

    /// Whether users may ask it.
    #[must_use]
    pub fn serves(self) -> bool {
        self != Self::Work
    }
}

/// A store, from a node's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// The one that decides.
    Redis,
    /// The one that carries.
    Kafka,
    /// The one that remembers.
    Postgres,
}

/// One installation.
pub struct Installation {
    /// What it shares with others.
    pub stores: Arc<Stores>,
    /// Where its logs are.
    pub folder: PathBuf,
    /// The schema of its tables, which also names its topic and its group.
    pub name: String,
    redis: Mutex<Arc<Redis>>,
    settings: Vec<Setting>,
    _use: Use,
}

/// A node as a process, with proxies that stay when it dies.
pub struct Node {
    /// What it does.
    pub role: Role,
    /// Where it answers.
    pub url: String,
    redis: Proxy,
    kafka: Slot,
    postgres: Proxy,
    name: String,
    port: u16,
    settings: Vec<Setting>,
    process: tokio::sync::Mutex<Option<Process>>,
}

impl Installation {
    /// A new one. `alone`: it is going to kill what others use.
    pub async fn start(
        stores: &Arc<Stores>,
        name: &str,
        fsync: Fsync,
        alone: bool,
        settings: &[Setting],
    ) -> anyhow::Result<Self> {
        let held = stores.take(name, alone).await?;
        let folder = stores.folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let redis = Redis::start(&folder.join("redis"), fsync).await?;
        let installation = Self {
            stores: Arc::clone(stores),
            folder,
            name: name.to_owned(),
            redis: Mutex::new(Arc::new(redis)),
            settings: settings.to_vec(),
            _use: held,
        };
        let migrate = installation.onrush("migrate", &[], None)?;
        migrate.succeed(&installation.folder.join("onrush.log"), READY_MAX).await?;
        Ok(installation)
    }

    /// Its Redis, as of now.
    #[must_use]
    pub fn redis(&self) -> Arc<Redis> {
        Arc::clone(&self.redis.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another Redis takes the place of the one before, which is dead.
    pub fn replace_redis(&self, with: Redis, nodes: &[Arc<Node>]) {
        for node in nodes {
            node.redis.redirect(with.address());
        }
        *self.redis.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(with);
    }

    /// Starts a node and waits until it is ready.
    pub async fn node(&self, role: Role, name: &str) -> anyhow::Result<Node> {
        self.node_with(role, name, Vec::new()).await
    }

    /// Starts a node with settings of its own and waits until it is ready.
    pub async fn node_with(&self, role: Role, name: &str, settings: Vec<Setting>) -> anyhow::Result<Node> {
        let port = free_port()?;
        let node = Node {
            role,
            url: format!("http://127.0.0.1:{port}"),
            redis: Proxy::start(Protocol::Redis, self.redis().address()).await?,
            kafka: self.stores.slots.borrow()?,
            postgres: Proxy::start(Protocol::Any, self.stores.postgres.address()).await?,
            name: name.to_owned(),
            port,
            settings,
            process: tokio::sync::Mutex::default(),
        };
        self.revive(&node).await?;
        Ok(node)
    }

    /// Starts a node's process again and waits until it is ready. One that gives up because a store is away is started
    /// again, as a supervisor would.
    pub async fn revive(&self, node: &Node) -> anyhow::Result<()> {
        let mut held = node.process.lock().await;
        let client = Client::new(&node.url)?;
        let deadline = tokio::time::Instant::now() + READY_MAX;
        let log = self.folder.join(format!("{}.log", node.name));
        while !client.is_ready().await {
            ensure!(tokio::time::Instant::now() < deadline, "{} does not get ready; see {}", node.name, log.display());
            if !held.as_mut().is_some_and(Process::is_alive) {
                let mut settings = vec![("HTTP__LISTEN", format!("127.0.0.1:{}", node.port))];
                settings.extend(node.settings.iter().cloned());
                *held = Some(self.onrush(node.role.as_str(), &settings, Some(node))?.start(&log)?);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The program itself, with this installation's settings; through a node's proxies, or past them.
    pub fn onrush(&self, subcommand: &str, more: &[(&str, String)], node: Option<&Node>) -> anyhow::Result<Program> {
        let redis = node.map_or(self.redis().address(), |node| node.redis.address());
        let kafka = node.map_or(self.stores.kafka.address(), |node| node.kafka.address());
        let postgres = node.map_or(self.stores.postgres.address(), |node| node.postgres.address());
        let own = [
            ("REDIS__URL", format!("redis://{redis}")),
            ("POSTGRES__URL", Postgres::url(postgres)),
            ("POSTGRES__SCHEMA", self.name.clone()),
            ("KAFKA__BROKERS", kafka.to_string()),
            ("KAFKA__FACTS_TOPIC", self.topic()),
            ("KAFKA__LEDGER_GROUP", self.name.clone()),
            // Nothing here is about posts.
            ("FEED__LANES", "[]".into()),
        ];
        // Soon rather than late: a run lasts seconds, and what a node notices after ten of them it never sees.
        let quick = [
            ("REDIS__COMMAND_TIMEOUT_MS", "1000"),
            ("POSTGRES__CONNECTIONS_MAX", "4"),
            ("POSTGRES__ACQUIRE_TIMEOUT_MS", "1000"),
            ("KAFKA__PARTITIONS", "4"),
            ("KAFKA__SESSION_TIMEOUT_MS", "6000"),
            ("KAFKA__REQUEST_TIMEOUT_MS", "3000"),
            ("KAFKA__DELIVERY_TIMEOUT_MS", "1000"),
            ("DEAD_LETTERS__RETRIES_MAX", "1"),
            ("DEAD_LETTERS__RETRY_MS", "50"),
            ("DEAD_LETTERS__DEAD_RETRY_MS", "100"),
            ("CAMPAIGN__REREAD_MS", "200"),
            ("CAMPAIGN__PUT_AGAIN_MS", "300"),
            ("RELAY__LEASE_MS", "2000"),
            ("RELAY__SWEEP_MS", "200"),
            ("RELAY__RETRY_MS", "200"),
            ("LEDGER__RETRY_MS", "200"),
            ("LEDGER__BATCH_EVERY_MS", "100"),
            ("HTTP__LAME_DUCK_MS", "0"),
        ];
        let quick = quick.into_iter().map(|(name, value)| (name, value.to_owned()));
        let all = own.into_iter().chain(quick).chain(self.settings.iter().cloned()).chain(more.iter().cloned());
        Ok(program(subcommand, all)?.folder(&self.folder))
    }

    /// The topic of facts.
    #[must_use]
    pub fn topic(&self) -> String {
        format!("{}.facts", self.name)
    }

    /// Kills Kafka, and starts it again after a while.
    pub async fn without_kafka(&self, down: Duration) -> anyhow::Result<()> {
        self.stores.kafka.kill();
        tokio::time::sleep(down).await;
        self.stores.kafka.start_again(&self.stores.checkout).await
    }

    /// Kills PostgreSQL, and starts it again after a while.
    pub async fn without_postgres(&self, down: Duration) -> anyhow::Result<()> {
        self.stores.postgres.kill();
        tokio::time::sleep(down).await;
        self.stores.postgres.start_again().await
    }

    /// Kills Redis, and starts it again after a while, with its log.
    pub async fn without_redis(&self, down: Duration) -> anyhow::Result<()> {
        let redis = self.redis();
        redis.kill();
        tokio::time::sleep(down).await;
        redis.start_again().await
    }

    /// Runs a command of the program past all proxies. Its exit status.
    pub async fn command(&self, arguments: &[&str], timeout: Duration) -> anyhow::Result<Option<i32>> {
        let Some((subcommand, rest)) = arguments.split_first() else { bail!("which command?") };
        let program = self.onrush(subcommand, &[("TELEMETRY__LOG", "warn".into())], None)?.args(rest);
        Ok(program.run(&self.folder.join("onrush.log"), timeout).await?.code())
    }

    /// What the program last said of a command, but for what is in order.
    #[must_use]
    pub fn last_said(&self) -> String {
        let said = std::fs::read_to_string(self.folder.join("onrush.log")).unwrap_or_default();
        let last = said.lines().rev().take_while(|line| !line.is_empty()).find(|line| !line.contains(": ok:"));
        last.unwrap_or_default().to_owned()
    }

    /// Whether the nodes' configuration knows this setting, by the words of the file that explains them all.
    #[must_use]
    pub fn knows_setting(&self, name: &str) -> bool {
        let file = self.stores.checkout.join("config/default.toml");
        std::fs::read_to_string(file).is_ok_and(|text| text.lines().any(|line| line.starts_with(name)))
    }

    /// Waits until `onrush audit` says `ok`. Otherwise what it said last: when there is no more time, or when it has said
    /// again and again that something is broken, which no waiting mends.
    /// `None`: of all campaigns.
    pub async fn settle(&self, campaign: Option<&str>, patience: Duration) -> anyhow::Result<Result<(), String>> {
        let words = ["audit", "--wait", "5s"].into_iter().chain(campaign).collect::<Vec<_>>();
        let deadline = tokio::time::Instant::now() + patience;
        let mut broken = 0;
        loop {
            // The command waits by itself: what it says then is what is wrong.
            let status = self.command(&words, patience.max(COMMAND_MAX)).await?;
            if status == Some(0) {
                return Ok(Ok(()));
            }
            broken = if status == Some(AUDIT_BROKEN) { broken + 1 } else { 0 };
            if broken >= BROKEN_MAX || tokio::time::Instant::now() > deadline {
                let last = self.last_said();
                return Ok(Err(format!(
                    "invariant 6: not everything arrives: onrush {words:?} ends with status {status:?}: {last}"
                )));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Takes its data and logs away.
    pub fn clean_up(self) -> anyhow::Result<()> {
        let folder = self.folder.clone();
        drop(self);
        Ok(std::fs::remove_dir_all(folder)?)
    }
}

impl Node {
    /// The proxy before one of its stores.
    #[must_use]
    pub fn proxy(&self, store: Store) -> &Proxy {
        match store {
            Store::Redis => &self.redis,
            Store::Kafka => &self.kafka,
            Store::Postgres => &self.postgres,
        }
    }

    /// Its name, as that of its log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of its process, while that lives.
    pub async fn pid(&self) -> Option<u32> {
        let mut held = self.process.lock().await;
        held.as_mut().and_then(|process| process.is_alive().then(|| process.id()))
    }

    /// SIGKILL.
    pub async fn kill(&self) {
        self.process.lock().await.take();
    }

    /// SIGTERM, and waits until it has ended.
    pub async fn terminate(&self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.lock().await.take() {
            let status = process.terminate(READY_MAX).await?;
            ensure!(status.success(), "{} stopped with {status}", self.name);
        }
        Ok(())
    }

    /// SIGSTOP, and after a while SIGCONT.
    pub async fn pause(&self, time: Duration) -> anyhow::Result<()> {
        // Held all the while: nobody else may find it silent and call it dead.
        let held = self.process.lock().await;
        if let Some(process) = held.as_ref() {
            process.pause()?;
            tokio::time::sleep(time).await;
            process.resume()?;
        }
        Ok(())
    }

    /// One of its metrics, as Prometheus would read it: the sum of a counter over its labels.
    pub async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = Client::new(&self.url)?.metrics().await?;
        let lines =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }
}

/// Says what is missing before anything is started.
pub fn check_binary() -> anyhow::Result<()> {
    binary().map(drop)
}

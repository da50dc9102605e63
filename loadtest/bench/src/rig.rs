//! What is loaded? Nodes as processes, with a Redis of their own, so that no other data weighs on it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use loadtest::wire::{Kind, Wire};
use onrush::database::{self, Database};
use serde_json::json;
use testkit::client::Client;
use testkit::node::{self, free_address, names, program};
use testkit::redis::{Fsync, Redis};

use crate::stores::Stores;

/// How long a node may take to get ready, or to stop.
const READY_MAX: Duration = Duration::from_secs(30);

/// A setting other than the default: `CLAIM__BATCH_MAX` and its value.
pub type Setting<'a> = (&'a str, &'a str);

/// One installation: a Redis, a schema, a topic.
pub struct Rig {
    /// Its Redis.
    pub redis: Redis,
    /// Its tables.
    pub database: Database,
    stores: Arc<Stores>,
    folder: PathBuf,
    name: String,
}

/// A node that answers.
pub struct Node {
    /// Where it answers.
    pub address: SocketAddr,
    /// For what operators do.
    pub client: Client,
    running: node::Node,
}

impl Rig {
    /// A new one for a section.
    pub async fn start(stores: &Arc<Stores>, section: &str) -> anyhow::Result<Self> {
        let name = stores.name(section);
        let folder = stores.folder.join(&name);
        std::fs::create_dir_all(&folder)?;
        let redis = Redis::start(&folder.join("redis"), Fsync::EverySecond).await?;
        let database = stores.database(&name)?;
        database::migrate(&database, &stores.postgres(&name)).await.context("making the tables")?;
        Ok(Self { redis, database, stores: Arc::clone(stores), folder, name })
    }

    /// Starts a node and waits until it is ready. Its Redis is the rig's, or reached through this address.
    pub async fn node(&self, role: &str, settings: &[Setting<'_>], redis: Option<SocketAddr>) -> anyhow::Result<Node> {
        let address = free_address()?;
        let config = &self.stores.config;
        let own = [
            ("REDIS__URL", format!("redis://{}", redis.unwrap_or(self.redis.address()))),
            ("POSTGRES__URL", config.postgres.url.clone()),
            ("KAFKA__BROKERS", config.kafka.brokers.clone()),
            // Only who measures the feed wants its work done.
            ("FEED__LANES", "[]".into()),
        ];
        let more = settings.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let all = names(&self.name).into_iter().chain(own).chain(more);
        let log = self.folder.join(format!("{}.log", address.port()));
        let program = program(role, all)?.folder(&self.folder);
        let running = node::Node::start(program, address, &log, READY_MAX).await?;
        Ok(Node { address, client: running.client.clone(), running })
    }

    /// What its keys begin with.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("{}:", self.name)
    }

    /// Waits until so many claims of a campaign are rows.
    pub async fn rows_arrive(&self, campaign: &str, count: u64, max: Duration) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + max;
        loop {
            let rows = self.rows_of(campaign).await?;
            if rows >= count {
                return Ok(());
            }
            ensure!(tokio::time::Instant::now() < deadline, "{rows} of {count} claims are rows after {max:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// How many claims of a campaign are rows.
    pub async fn rows_of(&self, campaign: &str) -> anyhow::Result<u64> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM claims WHERE campaign_id = $1")
            .bind(campaign)
            .fetch_one(&self.database)
            .await?;
        Ok(u64::try_from(count)?)
    }

    /// Its Redis writes its log and never writes it anew: a rewrite is a fork and seconds of a core, and would be all
    /// that one window of many sees.
    pub async fn never_rewrite_log(&self) -> anyhow::Result<()> {
        self.redis.say(&["CONFIG", "SET", "auto-aof-rewrite-percentage", "0"]).await.map(drop)
    }

    /// Takes its data away. Its nodes have to be gone.
    pub async fn end(self) -> anyhow::Result<()> {
        self.redis.kill();
        self.database.close().await;
        let (stores, name, folder) = (self.stores, self.name, self.folder);
        stores.forget(&name).await?;
        Ok(std::fs::remove_dir_all(folder)?)
    }
}

impl Node {
    /// Makes a campaign that is open at once.
    pub async fn campaign(&self, id: &str, stock: u64) -> anyhow::Result<()> {
        self.campaign_with(id, stock, &serde_json::Value::Null).await
    }

    /// The same with a waiting room.
    pub async fn campaign_with(&self, id: &str, stock: u64, waiting: &serde_json::Value) -> anyhow::Result<()> {
        let body = json!({ "id": id, "name": "A benchmark", "stock": stock, "listed": false, "waiting": waiting });
        let answer = self.client.create(&body).await.context("no answer to a new campaign")?;
        ensure!(answer.status == 201, "campaign {id}: {} {}", answer.status, answer.body);
        Ok(())
    }

    /// Whether it has heard of a campaign.
    pub async fn knows(&self, campaign: &str) -> bool {
        let ask = async {
            let mut wire = Wire::open(self.address).await?;
            let request = format!("GET /v1/campaigns/{campaign} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address);
            let kind = wire.exchange(request.as_bytes()).await?.kind;
            std::io::Result::Ok(kind)
        };
        ask.await.is_ok_and(|kind| kind == Kind::Ok)
    }

    /// The number of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Whether it has not ended by itself.
    pub fn is_alive(&mut self) -> bool {
        self.running.is_alive()
    }

    /// SIGTERM, and waits until it has ended.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.running.stop(READY_MAX).await
    }
}

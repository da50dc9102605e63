//! What do all sections share? Kafka and PostgreSQL, in which each has names of its own that are taken away at the end.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use onrush::config::{self, Config};
use onrush::database::{self, Database};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use sqlx::{AssertSqlSafe, Executor};
use testkit::folder::{checkout, own};

use crate::proc;

/// What names in the stores begin with.
const PREFIX: &str = "onrushbench";

/// The shared stores, and where the private ones live.
pub struct Stores {
    /// The top folder of the sources.
    pub checkout: PathBuf,
    /// Data and logs of this program.
    pub folder: PathBuf,
    /// Where the stores are, as the program itself would find them.
    pub config: Config,
    made: Mutex<Vec<String>>,
}

impl Stores {
    /// Reads where they are, and makes room.
    pub fn new() -> anyhow::Result<Self> {
        let checkout = checkout()?;
        let config = Config::load(None).context("reading the settings")?;
        let folder = own(&checkout.join(".local/bench"), "")?;
        Ok(Self { checkout, folder, config, made: Mutex::default() })
    }

    /// A name that nothing else has, for a schema, a topic and a group.
    pub fn name(&self, section: &str) -> String {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{PREFIX}_{}_{section}_{}", std::process::id(), made.len());
        made.push(name.clone());
        name
    }

    /// The database, with this schema first.
    pub fn database(&self, schema: &str) -> anyhow::Result<Database> {
        Ok(database::open(&self.postgres(schema))?)
    }

    /// How the database is reached by a node with this schema.
    #[must_use]
    pub fn postgres(&self, schema: &str) -> config::Postgres {
        config::Postgres { schema: schema.to_owned(), connections_max: 4, ..self.config.postgres.clone() }
    }

    /// The number of Kafka's process, if it runs here.
    #[must_use]
    pub fn kafka_pid(&self) -> Option<u32> {
        let first = self.config.kafka.brokers.split(',').next()?;
        proc::listener(first.rsplit_once(':')?.1.parse().ok()?)
    }

    /// The number of PostgreSQL's first process, if it runs here.
    #[must_use]
    pub fn postgres_pid(&self) -> Option<u32> {
        let after = self.config.postgres.url.split_once("://")?.1;
        let host = after.split(['/', '?']).next()?;
        proc::listener(host.rsplit_once(':').map_or(Some(5432), |(_, port)| port.parse().ok())?)
    }

    /// Takes away what one name holds in the shared stores.
    pub async fn forget(&self, name: &str) -> anyhow::Result<()> {
        let database = self.database(name)?;
        database.execute(AssertSqlSafe(format!("DROP SCHEMA IF EXISTS {name} CASCADE"))).await?;
        database.close().await;
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.config.kafka.brokers).create()?;
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
        // A section whose nodes did not work has made no topic.
        let topics = ["facts", "post.original", "post.inspected"].map(|topic| format!("{name}.{topic}"));
        let dead = topics.each_ref().map(|topic| format!("{topic}.dead"));
        let all: Vec<&str> = topics.iter().chain(&dead).map(String::as_str).collect();
        admin.delete_topics(&all, &options).await?;
        self.made.lock().unwrap_or_else(PoisonError::into_inner).retain(|made| made != name);
        Ok(())
    }

    /// Takes away what was made and not yet forgotten, and the private data. The logs may stay.
    pub async fn clean_up(&self, keep_logs: bool) {
        let left = self.made.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for name in left {
            if let Err(error) = self.forget(&name).await {
                eprintln!("bench: {name} stays in the stores: {error:#}");
            }
        }
        // What cannot be removed now is removed by the next run.
        if keep_logs {
            for installation in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
                let _none = std::fs::remove_dir_all(installation.path().join("redis/appendonlydir"));
            }
        } else {
            let _stays = std::fs::remove_dir_all(&self.folder);
        }
    }
}

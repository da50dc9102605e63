//! Stores of a run's own: a prefix in Redis, a schema in PostgreSQL, a topic in Kafka, and nothing left of them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use fred::clients::{Client, SubscriberClient};
use fred::prelude::{Builder, ClientLike, KeysInterface};
use futures::StreamExt;
use onrush::clock::Millis;
use onrush::config::Config;
use onrush::database::{self, Database};
use onrush::ids::AttemptId;
use onrush::kafka::ensure_topic;
use onrush::redis::Redis;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;
use sqlx::{AssertSqlSafe, Executor};

use crate::ways::TABLES;

/// A strategy that waits for its turn waits for long.
const TIMEOUT_MS: u64 = 60_000;

/// The stores that are configured, with names of this run's own.
pub struct Stores {
    /// The settings, with those names.
    pub config: Config,
    /// Where the tables are.
    pub database: Database,
    /// Onrush's own client of Redis.
    pub redis: Arc<Redis>,
    /// A plain client of it, for the strategies that are not Onrush's.
    pub client: Client,
}

impl Stores {
    /// Makes schema, tables and topic. The strategies that sell in rows share so many connections.
    pub async fn make(connections: u32) -> anyhow::Result<Self> {
        let mut config = Config::load(None)?;
        let random: String =
            AttemptId::random().as_str().chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        let name = format!("strategies_{}_{}", Millis::now().0 / 1000, random.to_lowercase());
        config.redis.key_prefix = format!("{name}:");
        config.postgres.schema.clone_from(&name);
        config.postgres.connections_max = connections;
        config.postgres.acquire_timeout_ms = TIMEOUT_MS;
        config.postgres.statement_timeout_ms = TIMEOUT_MS;
        config.kafka.facts_topic = format!("{name}.facts");
        config.kafka.ledger_group = name;
        let database = database::open(&config.postgres)?;
        let redis = Arc::new(Redis::connect(&config.redis).await.context("connecting to Redis")?);
        let client = builder(&config)?.build()?;
        client.init().await.context("connecting to Redis")?;
        let stores = Self { config, database, redis, client };
        if let Err(error) = stores.prepare().await {
            stores.remove().await?;
            return Err(error);
        }
        Ok(stores)
    }

    async fn prepare(&self) -> anyhow::Result<()> {
        database::migrate(&self.database, &self.config.postgres).await.context("preparing the schema")?;
        for table in TABLES {
            self.database.execute(table).await?;
        }
        Ok(ensure_topic(&self.config.kafka).await?)
    }

    /// A connection that only listens.
    pub async fn subscriber(&self) -> anyhow::Result<SubscriberClient> {
        let subscriber = builder(&self.config)?.build_subscriber_client()?;
        subscriber.init().await?;
        Ok(subscriber)
    }

    /// A key of this run's own.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.config.redis.key_prefix)
    }

    /// Takes all of it away.
    pub async fn remove(self) -> anyhow::Result<()> {
        let drop = format!("DROP SCHEMA IF EXISTS {} CASCADE", self.config.postgres.schema);
        self.database.execute(AssertSqlSafe(drop)).await.context("dropping the schema")?;
        self.database.close().await;
        let mut keys = Box::pin(self.client.scan_buffered(self.key("*"), Some(1_000), None));
        while let Some(key) = keys.next().await {
            let () = self.client.unlink(key?).await?;
        }
        drop_client(&self.client).await;
        self.redis.close().await;
        let kafka = &self.config.kafka;
        let mut admin = ClientConfig::new();
        admin.set("bootstrap.servers", &kafka.brokers);
        let admin: AdminClient<DefaultClientContext> = admin.create()?;
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
        // A topic of dead letters is there only if a writer has asked for it, and a group if one has joined.
        for outcome in admin.delete_topics(&[&kafka.facts_topic, &kafka.dead_letters_topic()], &options).await? {
            match outcome {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((topic, code)) => bail!("the topic {topic} stays: {code}"),
            }
        }
        admin.delete_groups(&[&kafka.ledger_group], &options).await?;
        Ok(())
    }
}

async fn drop_client(client: &Client) {
    // What was asked of it is answered; a connection that is gone need not be closed.
    let _gone = client.quit().await;
}

fn builder(config: &Config) -> anyhow::Result<Builder> {
    let mut builder = Builder::from_config(fred::types::config::Config::from_url(&config.redis.url)?);
    builder.with_connection_config(|connection| connection.tcp.nodelay = Some(true));
    Ok(builder)
}

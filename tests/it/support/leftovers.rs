//! What earlier runs left in the stores. A test that fails keeps its topic, schema and keys for whoever looks into it;
//! the first test of a later run takes away what is older than an hour.

use std::time::Duration;

use fred::prelude::{ClientLike, KeysInterface};
use futures::StreamExt;
use onrush::config::Config;
use onrush::database;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use sqlx::{AssertSqlSafe, Executor, Row};
use tokio::sync::OnceCell;

use super::names::{self, PREFIX};

const OLD: Duration = Duration::from_hours(1);

/// Once a process.
pub(crate) async fn sweep(config: &Config) {
    static SWEPT: OnceCell<()> = OnceCell::const_new();
    SWEPT
        .get_or_init(async || {
            topics(config).await;
            schemas(config).await;
            keys(config).await;
        })
        .await;
}

fn is_old(name: &str) -> bool {
    names::made_at(name).is_some_and(|made_at| made_at + OLD.as_secs() < names::now_s())
}

async fn topics(config: &Config) {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.kafka.brokers);
    let lister: BaseConsumer = client.create().unwrap();
    let all = tokio::task::spawn_blocking(move || {
        let metadata = lister.fetch_metadata(None, Duration::from_secs(10)).unwrap();
        metadata.topics().iter().map(|topic| topic.name().to_owned()).collect::<Vec<_>>()
    });
    let all = all.await.unwrap();
    let old: Vec<&str> = all.iter().map(String::as_str).filter(|topic| is_old(topic)).collect();
    if !old.is_empty() {
        let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
        admin.delete_topics(&old, &AdminOptions::new()).await.unwrap();
    }
}

async fn schemas(config: &Config) {
    let database = database::open(&config.postgres).unwrap();
    let rows = database.fetch_all("SELECT nspname FROM pg_namespace").await.unwrap();
    let all: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    for schema in all.iter().filter(|schema| is_old(schema)) {
        // Another run may be at it too.
        let drop = format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE");
        if let Err(error) = database.execute(AssertSqlSafe(drop)).await {
            eprintln!("schema {schema} stays for now: {error}");
        }
    }
    database.close().await;
}

async fn keys(config: &Config) {
    let url = fred::types::config::Config::from_url(&config.redis.url).unwrap();
    let client = fred::clients::Client::new(url, None, None, None);
    client.init().await.unwrap();
    let mut found = Box::pin(client.scan_buffered(format!("{PREFIX}*"), Some(1_000), None));
    while let Some(key) = found.next().await {
        let key = key.unwrap();
        if key.as_str().is_some_and(is_old) {
            let _: () = client.unlink(key).await.unwrap();
        }
    }
    client.quit().await.unwrap();
}

//! Real stores, with names of its own for each test: key prefix, topic, consumer group, schema.

use fred::prelude::{ClientLike, KeysInterface};
use onrush::config::Config;
use onrush::database;
use onrush::redis::Keys;
use sha2::{Digest, Sha256};
use sqlx::Row;

/// A name that nothing else has, fit for a key, a topic, a schema and a campaign.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}_{:016x}", rand::random::<u64>())
}

/// The stores that are configured, with names of this test's own.
pub(crate) fn config() -> Config {
    let mut config = Config::load(None).unwrap();
    let name = unique("test");
    config.redis.key_prefix = format!("{name}:");
    config.postgres.schema.clone_from(&name);
    config.postgres.connections_max = 4;
    config.kafka.facts_topic = format!("{name}.facts");
    config.kafka.ledger_group = name;
    config
}

pub(crate) fn sha256_hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// Takes a campaign's keys away, as a Redis that was emptied would.
pub(crate) async fn delete_campaign(config: &Config, campaign: &str) {
    let client =
        fred::clients::Client::new(fred::types::config::Config::from_url(&config.redis.url).unwrap(), None, None, None);
    client.init().await.unwrap();
    let keys = Keys::new(&config.redis.key_prefix).of(&campaign.parse().unwrap());
    let keys = vec![keys.campaign(), keys.holders(), keys.claims(), keys.outbox()];
    let deleted: u32 = client.del(keys).await.unwrap();
    assert!(deleted > 0, "there was nothing to take away");
    client.quit().await.unwrap();
}

/// Number and user of each row of the campaign's claims.
pub(crate) async fn claim_rows(config: &Config, campaign: &str) -> Vec<(u64, String)> {
    let database = database::open(&config.postgres).unwrap();
    let rows = sqlx::query("SELECT number, user_id FROM claims WHERE campaign_id = $1")
        .bind(campaign)
        .fetch_all(&database)
        .await
        .unwrap();
    rows.iter().map(|row| (row.get::<i64, _>(0).unsigned_abs(), row.get(1))).collect()
}

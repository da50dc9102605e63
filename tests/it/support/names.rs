//! Names of a test's own for its key prefix, topic, consumer group and schema: tests run side by side in the same stores.

use onrush::config::Config;
use sha2::{Digest, Sha256};

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

//! Names of a test's own for its key prefix, topic, consumer group and schema: tests run side by side in the same stores.

use onrush::clock::Millis;
use onrush::config::Config;
use sha2::{Digest, Sha256};

/// What the names in the stores begin with.
pub(crate) const PREFIX: &str = "onrushtest_";

/// A name that nothing else has, fit for a key, a topic, a schema and a campaign.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}_{:016x}", rand::random::<u64>())
}

/// The stores that are configured, with names of this test's own. They tell when they were made.
pub(crate) fn config() -> Config {
    let mut config = Config::load(None).unwrap();
    let now = now_s();
    let name = unique(&format!("{PREFIX}{now}"));
    config.redis.key_prefix = format!("{name}:");
    config.postgres.schema.clone_from(&name);
    config.postgres.connections_max = 4;
    config.kafka.facts_topic = format!("{name}.facts");
    config.feed.original_topic = format!("{name}.original");
    config.feed.inspected_topic = format!("{name}.inspected");
    config.feed.group = format!("{name}-feed");
    // Six consumers and as many topics a node: who tests the feed's way asks for them.
    config.feed.lanes = Vec::new();
    config.feed.partitions = 2;
    config.kafka.ledger_group = name;
    // Retries are awaited in many tests.
    config.dead_letters.retry_ms = 20;
    // Most tests turn the ledger by hand: who sends letters back by itself asks for it.
    config.dead_letters.dead_retries_max = 0;
    config.dead_letters.dead_retry_ms = 20;
    config.feed.connections_max = 3;
    // The machine is busy with all the other tests.
    config.cache.redis_timeout_ms = 5_000;
    config.feed.retry_ms = 50;
    config.feed.relay_every_ms = 20;
    config
}

/// Seconds since 1970.
pub(crate) fn now_s() -> u64 {
    Millis::now().0.unsigned_abs() / 1000
}

/// The second since 1970 in which a name was made; `None` if it is none of ours.
pub(crate) fn made_at(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.split('_').next()?.parse().ok()
}

pub(crate) fn sha256_hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

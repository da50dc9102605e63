//! What is set? Every setting, read once at boot from the embedded defaults, a file and the environment, and checked.
//!
//! `config/default.toml` says what each setting means, in which unit and within which limits.

mod address;
mod keys;
mod waiting;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use serde::Deserialize;
use thiserror::Error;

/// The settings that are built in.
pub const DEFAULT: &str = include_str!("../config/default.toml");

/// Where `make run` leaves the settings of a development machine.
const DEVELOPMENT_FILE: &str = ".local/onrush.toml";

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A value of the wrong type, an unknown setting, an unreadable file.
    #[error("configuration: {}: {}", .0.path.join("."), .0)]
    Unreadable(#[from] Box<figment::Error>),
    /// Settings outside their limits, all of them.
    #[error("configuration: {}", .0.join("; "))]
    OutOfLimits(Vec<String>),
}

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(missing_docs, reason = "config/default.toml documents each setting, once")]
        pub struct $name { $(pub $field: $kind),+ }
    };
}

mod alarm;
mod audit;
mod auth;
mod cache;
mod feed;
mod http;
mod node;
mod page;
#[cfg(test)]
mod tests;

pub use address::{PublicUrl, origin};
pub use alarm::Alarm;
pub use audit::{Audit, Rebuild};
pub use auth::{Auth, AuthMode};
pub use cache::Cache;
pub use feed::{CategoryRule, Feed, FeedLane, Inspector, InspectorKind, Search, Upstream};
pub use http::{Http, Http2};
pub use node::{Health, Supervisor};
pub use page::Page;

section!(
    /// All settings, by section.
    Config {
        http: Http, auth: Auth, coupon: Coupon, claim: Claim, campaign: Campaign, redis: Redis, postgres: Postgres,
        waiting: Waiting, cache: Cache, upstream: Upstream, inspector: Inspector, feed: Feed, search: Search, page: Page, kafka: Kafka, relay: Relay, ledger: Ledger, dead_letters: DeadLetters, audit: Audit, rebuild: Rebuild, alarm: Alarm,
        telemetry: Telemetry,
        supervisor: Supervisor, health: Health, bench: Bench,
    }
);
section!(
    /// How coupon codes are signed.
    Coupon { key_id: u8, key_hex: String, old_keys: Vec<CouponKey> }
);
section!(
    /// A key that codes were signed with once.
    CouponKey { key_id: u8, key_hex: String }
);
section!(
    /// Claims on their way to Redis.
    Claim {
        batch_max: usize, second_call_min: usize, in_flight_max: usize, campaign_in_flight_max: usize, queue_wait_ms_max: u64,
        latch_lease_ms: u64, clock_every_ms: u64, clock_margin_ms: u64,
    }
);
section!(
    /// A key that passes and tickets were signed with once.
    WaitingKey { key_id: String, key_hex: String }
);
section!(
    /// Campaigns and how nodes keep up with them.
    Campaign {
        campaigns_max: usize, reread_ms: u64, put_again_ms: u64, counters_age_ms_max: u64,
        claims_per_user_factor: u32, outbox_facts_max: u64,
    }
);
section!(
    /// Waiting rooms.
    Waiting {
        pass_key_id: String, pass_key_hex: String, pass_old_keys: Vec<WaitingKey>, passes_cached_max: u64,
        batch_max: usize, second_call_min: usize, in_flight_max: usize, campaign_in_flight_max: usize, queue_wait_ms_max: u64,
        places_max: u64, admit_every_ms: u64, admit_batch_max: u64, expire_batch_max: u64, resurvey_ms: u64,
        idle_resurvey_ms: u64, age_ms_max: u64, keep_closed_ms: u64, keep_draw_list_ms: u64, poll_s_min: u64, poll_s_max: u64, poll_sold_out_s: u64,
        streams_max: usize, heartbeat_ms: u64, near_places: u64,
    }
);
section!(
    /// The store that decides.
    Redis {
        url: String, key_prefix: String, pool_max: usize, command_timeout_ms: u64, reconnect_ms: u32,
        waiting_commands_max: usize, replicas_min: u32, wait_ms_max: u32, pinned_connections_max: usize, fence_settle_ms: u64,
        fence_retry_ms: u64,
    }
);
section!(
    /// The store that remembers.
    Postgres {
        url: String, schema: String, connections_max: u32, acquire_timeout_ms: u64, statement_timeout_ms: u64,
    }
);
section!(
    /// What carries.
    Kafka {
        brokers: String, facts_topic: String, dead_letters_topic: String, ledger_group: String, partitions: i32, replication: i32,
        min_insync_replicas: i32, retention_h: u64, delivery_timeout_ms: u64, request_timeout_ms: u64,
        session_timeout_ms: u64,
    }
);
section!(
    /// From the outbox to Kafka.
    Relay {
        lease_ms: u64, entries_max: u64, sweep_ms: u64, sweep_campaigns_max: usize, retry_ms: u64,
        campaigns_at_once_max: usize,
    }
);
section!(
    /// From Kafka to the database.
    Ledger {
        batch_every_ms: u64, batch_max: usize, buffer_facts_max: usize, rows_per_second_max: u64,
        throttle_reread_ms: u64, retry_ms: u64,
    }
);
section!(
    /// Records that cannot become rows.
    DeadLetters { retries_max: u32, retry_ms: u64, dead_retries_max: u32, dead_retry_ms: u64, copy_max: usize }
);
section!(
    /// From which value on a rule is in which state.
    Thresholds { caution: u64, critical: u64 }
);
section!(
    /// What is said about it all.
    Telemetry { log: String, log_format: LogFormat }
);
section!(
    /// What only benchmarks and tests want.
    Bench { bare: bool, without_messages: bool, clock_ahead_ms: i64, broken_loop: String }
);

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Kafka {
    /// The topic of dead letters: the one that is set, or the facts' with `.dead`.
    #[must_use]
    pub fn dead_letters_topic(&self) -> String {
        if self.dead_letters_topic.is_empty() {
            format!("{}.dead", self.facts_topic)
        } else {
            self.dead_letters_topic.clone()
        }
    }
}

impl Config {
    /// Reads the defaults, then the file, then the environment. Checks types and limits, but not that the secrets are
    /// there: see [`Config::check_secrets`].
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Toml::string(DEFAULT));
        if let Some(path) = file {
            figment = figment.merge(Toml::file_exact(path));
        } else if let Some(path) = Self::usual_file() {
            figment = figment.merge(Toml::file_exact(path));
        }
        // An empty variable is one that is not set: scripts pass on what they may not have.
        let env = Env::prefixed("ONRUSH__").filter_map(|key| {
            let name = format!("ONRUSH__{}", key.as_str());
            #[expect(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]
            let is_set = std::env::var(name).is_ok_and(|value| !value.is_empty());
            is_set.then(|| key.into())
        });
        let config: Self = figment.merge(env.split("__")).extract().map_err(Box::new)?;
        config.check()?;
        Ok(config)
    }

    fn usual_file() -> Option<PathBuf> {
        #[expect(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]
        let named = std::env::var_os("ONRUSH_CONFIG").filter(|name| !name.is_empty()).map(PathBuf::from);
        named.or_else(|| Some(PathBuf::from(DEVELOPMENT_FILE)).filter(|path| path.exists()))
    }

    /// What only a server needs: the secrets that have no default, and that its addresses are some.
    pub fn check_secrets(&self) -> Result<(), ConfigError> {
        let mut wrong = Limits::default();
        self.auth.check_secrets(&mut wrong);
        // Again, for who has made or changed the settings in a program.
        address::check(&mut wrong, self);
        keys::check(&mut wrong, &self.coupon, &self.waiting);
        wrong.verdict()
    }

    /// The server.
    fn check_edge(&self, is: &mut Limits) {
        self.http.check(is);
        is.within("coupon.key_id", self.coupon.key_id, 0..=15);
    }

    fn check(&self) -> Result<(), ConfigError> {
        let mut is = Limits::default();
        self.check_edge(&mut is);
        self.auth.check(&mut is);
        address::check(&mut is, self);
        let (claim, campaign, redis) = (&self.claim, &self.campaign, &self.redis);
        let (kafka, relay, ledger, postgres) = (&self.kafka, &self.relay, &self.ledger, &self.postgres);
        is.within("claim.batch_max", claim.batch_max, 1..=1_000);
        is.within("claim.second_call_min", claim.second_call_min, 1..=1_000_000);
        is.within("claim.in_flight_max", claim.in_flight_max, 1..=1_000_000);
        is.within("claim.campaign_in_flight_max", claim.campaign_in_flight_max, 1..=1_000_000);
        is.within("claim.queue_wait_ms_max", claim.queue_wait_ms_max, 10..=60_000);
        is.within("claim.latch_lease_ms", claim.latch_lease_ms, 0..=1_000);
        is.within("claim.clock_every_ms", claim.clock_every_ms, 50..=60_000);
        is.within("claim.clock_margin_ms", claim.clock_margin_ms, 1..=10_000);
        is.within("campaign.campaigns_max", campaign.campaigns_max, 1..=1_000_000);
        is.within("campaign.reread_ms", campaign.reread_ms, 50..=60_000);
        is.within("campaign.put_again_ms", campaign.put_again_ms, 100..=600_000);
        is.within("campaign.counters_age_ms_max", campaign.counters_age_ms_max, 0..=1_000);
        is.within("campaign.claims_per_user_factor", campaign.claims_per_user_factor, 1..=100);
        is.within("campaign.outbox_facts_max", campaign.outbox_facts_max, 1..=10_000_000);
        self.waiting.check(&mut is);
        is.within("bench.clock_ahead_ms", self.bench.clock_ahead_ms, -86_400_000..=86_400_000);
        self.cache.check(&mut is);
        self.upstream.check(&mut is);
        self.inspector.check(&mut is);
        self.feed.check(&mut is);
        self.search.check(&mut is);
        self.page.check(&mut is);
        is.within("redis.pool_max", redis.pool_max, 1..=64);
        is.within("redis.command_timeout_ms", redis.command_timeout_ms, 50..=60_000);
        is.within("redis.reconnect_ms", redis.reconnect_ms, 10..=10_000);
        is.within("redis.waiting_commands_max", redis.waiting_commands_max, 100..=1_000_000);
        is.within("redis.replicas_min", redis.replicas_min, 1..=9);
        is.within("redis.wait_ms_max", redis.wait_ms_max, 1..=10_000);
        is.unless(
            u64::from(redis.wait_ms_max) < redis.command_timeout_ms,
            "redis.wait_ms_max must be below redis.command_timeout_ms",
        );
        is.within("redis.pinned_connections_max", redis.pinned_connections_max, 1..=1_000);
        is.within("redis.fence_settle_ms", redis.fence_settle_ms, 10..=60_000);
        is.within("redis.fence_retry_ms", redis.fence_retry_ms, 10..=60_000);
        is.unless(
            redis.fence_settle_ms >= 2 * redis.fence_retry_ms,
            "redis.fence_retry_ms must be at most half of redis.fence_settle_ms: what a node learns late counts, too",
        );
        is.unless(
            redis.fence_settle_ms >= 2 * u64::from(redis.reconnect_ms),
            "redis.fence_settle_ms must be at least twice redis.reconnect_ms: all nodes have connected again by then",
        );
        is.unless(
            !redis.key_prefix.contains(['{', '}']) && redis.key_prefix.len() <= 64,
            "redis.key_prefix must have at most 64 bytes and no braces: those mark a campaign's slot",
        );
        is.within("postgres.connections_max", postgres.connections_max, 2..=200);
        is.within("postgres.acquire_timeout_ms", postgres.acquire_timeout_ms, 100..=60_000);
        is.within("postgres.statement_timeout_ms", postgres.statement_timeout_ms, 100..=60_000);
        is.unless(
            !postgres.schema.is_empty()
                && postgres.schema.len() <= 63
                && postgres.schema.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
            "postgres.schema must be 1 to 63 of a-z 0-9 _",
        );
        is.within("kafka.partitions", kafka.partitions, 1..=1_000);
        is.within("kafka.replication", kafka.replication, 1..=9);
        is.within("kafka.min_insync_replicas", kafka.min_insync_replicas, 1..=kafka.replication.max(1));
        is.within("kafka.retention_h", kafka.retention_h, 1..=87_600);
        is.within("kafka.delivery_timeout_ms", kafka.delivery_timeout_ms, 1_000..=600_000);
        is.within("kafka.request_timeout_ms", kafka.request_timeout_ms, 1_000..=60_000);
        is.within("kafka.session_timeout_ms", kafka.session_timeout_ms, 6_000..=300_000);
        is.within("relay.lease_ms", relay.lease_ms, 500..=600_000);
        is.within("relay.entries_max", relay.entries_max, 1..=1_000);
        is.within("relay.sweep_ms", relay.sweep_ms, 50..=60_000);
        is.within("relay.sweep_campaigns_max", relay.sweep_campaigns_max, 1..=1_000_000);
        is.within("relay.retry_ms", relay.retry_ms, 10..=60_000);
        is.within("relay.campaigns_at_once_max", relay.campaigns_at_once_max, 1..=1_000);
        is.within("ledger.batch_every_ms", ledger.batch_every_ms, 10..=10_000);
        is.within("ledger.batch_max", ledger.batch_max, 1..=10_000);
        is.within("ledger.buffer_facts_max", ledger.buffer_facts_max, ledger.batch_max..=1_000_000);
        is.within("ledger.rows_per_second_max", ledger.rows_per_second_max, ROWS_PER_SECOND);
        is.within("ledger.throttle_reread_ms", ledger.throttle_reread_ms, 50..=800);
        is.within("ledger.retry_ms", ledger.retry_ms, 50..=60_000);
        let dead_letters = &self.dead_letters;
        is.unless(
            kafka.dead_letters_topic() != kafka.facts_topic,
            "kafka.dead_letters_topic must not be the facts' topic",
        );
        dead_letters.check(&mut is, self.audit.every_ms);
        self.audit.check(&mut is);
        self.rebuild.check(&mut is);
        self.alarm.check(&mut is);
        self.supervisor.check(&mut is);
        self.health.check(&mut is);
        is.verdict()
    }
}

impl DeadLetters {
    fn check(&self, is: &mut Limits, audit_every_ms: u64) {
        is.within("dead_letters.retries_max", self.retries_max, 0..=10);
        is.within("dead_letters.retry_ms", self.retry_ms, 10..=60_000);
        is.within("dead_letters.dead_retries_max", self.dead_retries_max, 0..=100);
        is.within("dead_letters.dead_retry_ms", self.dead_retry_ms, 10..=600_000);
        is.unless(
            self.dead_retries_max == 0
                || u64::from(self.dead_retries_max) * self.dead_retry_ms < audit_every_ms,
            "dead_letters.dead_retries_max times dead_retry_ms must be below audit.every_ms: a letter is in its table before an \
             audit misses its fact for the second time",
        );
        is.within("dead_letters.copy_max", self.copy_max, 1..=10_000);
    }
}

/// What `rows_per_second_max` may be, at boot and when an operator sets it.
pub const ROWS_PER_SECOND: RangeInclusive<u64> = 1..=10_000_000;

/// Collects what is wrong, so that one boot names all of it.
#[derive(Default)]
struct Limits(Vec<String>);

impl Limits {
    #[expect(clippy::needless_pass_by_value, reason = "a range literal reads better at every call than a borrowed one")]
    fn within<N: PartialOrd + std::fmt::Display>(&mut self, name: &str, value: N, limits: RangeInclusive<N>) {
        let text = format!("{name} is {value}, must be {} to {}", limits.start(), limits.end());
        self.unless(limits.contains(&value), &text);
    }

    fn unless(&mut self, holds: bool, text: &str) {
        if !holds {
            self.0.push(text.to_owned());
        }
    }

    fn verdict(self) -> Result<(), ConfigError> {
        if self.0.is_empty() { Ok(()) } else { Err(ConfigError::OutOfLimits(self.0)) }
    }
}

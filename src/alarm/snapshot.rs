//! What do the rules want to know? Asked of whoever knows, all at the same time; what is not said in time is not known.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::rates::Rates;
use super::rules::Reading;
use crate::campaign::Campaigns;
use crate::config::{self, Config};
use crate::database::Database;
use crate::feed::PostOutbox;
use crate::kafka::{KafkaError, Offsets};
use crate::ledger::{LedgerHealth, Waiting};
use crate::nodes::{self, Report};
use crate::redis::Redis;

/// Campaigns that are named.
const NAMED_MAX: usize = 5;
/// Below so many claims in the window their failures are no rate.
const CLAIMS_MIN: u64 = 20;

/// Asks. One a node.
pub struct Snapshot {
    redis: Arc<Redis>,
    database: Database,
    campaigns: Arc<Campaigns>,
    offsets: Arc<Offsets>,
    outbox_facts_max: u64,
    forget: Duration,
    rates: Mutex<Rates>,
}

impl Snapshot {
    /// Connects to nothing yet.
    pub fn new(
        redis: Arc<Redis>,
        database: Database,
        campaigns: Arc<Campaigns>,
        config: &Config,
    ) -> Result<Self, KafkaError> {
        Ok(Self {
            redis,
            database,
            campaigns,
            offsets: Arc::new(Offsets::new(&config.kafka)?),
            outbox_facts_max: config.campaign.outbox_facts_max,
            forget: Duration::from_millis(config.health.forget_node_ms),
            rates: Mutex::default(),
        })
    }

    /// What each rule of [`config::Alarm::RULES`] wants to know, in their order.
    pub(super) async fn read(&self, settings: &config::Alarm, now_ms: i64) -> Vec<Reading> {
        let limit = Duration::from_millis(settings.read_timeout_ms);
        let window = Duration::from_millis(settings.window_ms);
        let (health, posts, lag, memory, nodes) = tokio::join!(
            in_time("PostgreSQL", limit, LedgerHealth::read(&self.database, window)),
            in_time("PostgreSQL", limit, PostOutbox::read(&self.database)),
            in_time("Kafka", limit, self.offsets.backlog()),
            in_time("Redis", limit, self.redis.memory_percent()),
            in_time("Redis", limit, nodes::read(&self.redis, self.forget)),
        );
        let nodes = nodes.map(|reports| Nodes::of(self, &reports, settings, now_ms));
        config::Alarm::RULES
            .iter()
            .map(|rule| match *rule {
                "dead_letters_waiting" => waiting(health.as_ref().map(|it| &it.dead_letters)),
                "contradictions" => waiting(health.as_ref().map(|it| &it.contradictions)),
                "audits_broken" => waiting(health.as_ref().map(|it| &it.audits_broken)),
                "campaigns_lost" => self.lost(),
                "lag_records" => Reading::of(lag.as_ref().map(|it| it.records)),
                "lag_oldest_s" => Reading::of(lag.as_ref().map(|it| it.oldest_at.map_or(0, |at| age_s(at, now_ms)))),
                "redis_memory_percent" => Reading::of(memory),
                "feed_outbox_waiting_s" => Reading::of(posts.as_ref().map(|it| it.oldest_waiting_s.unsigned_abs())),
                "feed_outbox_failed" => Reading::of(posts.as_ref().map(|it| it.failed.unsigned_abs())),
                "feed_unmended" => Reading::of(posts.as_ref().map(|it| it.unmended.unsigned_abs())),
                of_nodes => nodes.as_ref().map_or_else(Reading::default, |nodes| nodes.reading(of_nodes)),
            })
            .collect()
    }

    fn lost(&self) -> Reading {
        // Without knowing whether it is the Redis that it was, nobody knows what it has.
        if self.redis.closed_for().is_some() {
            return Reading::default();
        }
        let lost = self.campaigns.catalog().lost(usize::MAX);
        let campaigns = lost.iter().take(NAMED_MAX).map(ToString::to_string).collect();
        Reading { value: Some(lost.len() as u64), newest: 0, campaigns }
    }
}

/// What the nodes say, all together.
struct Nodes {
    outbox_percent: Reading,
    outbox_oldest_s: Reading,
    audits_late_s: Reading,
    claims_failed_percent: Reading,
    loops_restarted: Reading,
    workers_gone_s: Reading,
}

impl Nodes {
    fn of(snapshot: &Snapshot, reports: &[(String, Report)], settings: &config::Alarm, now_ms: i64) -> Self {
        let (window_ms, gone_ms) = (signed(settings.window_ms), signed(settings.node_gone_ms));
        let rate = snapshot.rates.lock().unwrap_or_else(PoisonError::into_inner).see(reports, now_ms, window_ms);
        let last_worked = reports.iter().filter(|(_, it)| it.works).map(|(_, it)| it.at).max();
        let audited_at = reports.iter().filter_map(|(_, it)| it.audited_at).max();
        let first_worker = reports.iter().filter(|(_, it)| it.works).map(|(_, it)| it.since).min();
        let here: Vec<&Report> =
            reports.iter().map(|(_, report)| report).filter(|it| now_ms - it.at <= gone_ms).collect();
        let outboxes: Vec<_> = here.iter().filter_map(|it| it.outboxes.as_ref()).collect();
        let is_seen = !outboxes.is_empty();
        let fullest = outboxes.iter().max_by_key(|it| it.fullest);
        let oldest = outboxes.iter().filter(|it| it.oldest_at.is_some()).min_by_key(|it| it.oldest_at);
        let named = |of: Option<&String>| of.cloned().into_iter().collect();
        Self {
            outbox_percent: Reading {
                value: fullest.map(|it| it.fullest.saturating_mul(100) / snapshot.outbox_facts_max),
                campaigns: named(fullest.and_then(|it| it.fullest_of.as_ref())),
                newest: 0,
            },
            outbox_oldest_s: Reading {
                value: is_seen.then(|| oldest.and_then(|it| it.oldest_at).map_or(0, |at| age_s(at, now_ms))),
                campaigns: named(oldest.and_then(|it| it.oldest_of.as_ref())),
                newest: 0,
            },
            // A worker that has just come has not been through a round yet.
            audits_late_s: Reading::of(audited_at.max(first_worker).map(|at| age_s(at, now_ms))),
            claims_failed_percent: Reading::of(Some(match rate.claims {
                0..CLAIMS_MIN => 0,
                claims => rate.claims_failed * 100 / claims,
            })),
            loops_restarted: Reading::of(Some(rate.restarts)),
            // One that was never there is as gone as one can be: since the first node has said so.
            workers_gone_s: Reading::of(Some(
                last_worked.or_else(|| reports.iter().map(|(_, it)| it.since).min()).map_or(0, |at| age_s(at, now_ms)),
            )),
        }
    }

    fn reading(&self, rule: &str) -> Reading {
        match rule {
            "outbox_percent" => self.outbox_percent.clone(),
            "outbox_oldest_s" => self.outbox_oldest_s.clone(),
            "audits_late_s" => self.audits_late_s.clone(),
            "claims_failed_percent" => self.claims_failed_percent.clone(),
            "loops_restarted" => self.loops_restarted.clone(),
            "workers_gone_s" => self.workers_gone_s.clone(),
            unknown => unreachable!("nobody reads {unknown}"),
        }
    }
}

fn waiting(found: Option<&Waiting>) -> Reading {
    found.map_or_else(Reading::default, |Waiting { count, newest, campaigns }| Reading {
        value: Some(*count),
        newest: *newest,
        campaigns: campaigns.clone(),
    })
}

fn age_s(at_ms: i64, now_ms: i64) -> u64 {
    u64::try_from((now_ms - at_ms) / 1000).unwrap_or(0)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What a store says, if it does in time. What it says instead goes into the log.
async fn in_time<T, E: std::fmt::Display>(
    store: &str,
    limit: Duration,
    asking: impl Future<Output = Result<T, E>>,
) -> Option<T> {
    match tokio::time::timeout(limit, asking).await {
        Ok(Ok(found)) => Some(found),
        Ok(Err(error)) => {
            tracing::debug!(store, %error, "a rule cannot be computed: it is UNKNOWN");
            None
        }
        Err(_) => {
            tracing::debug!(store, ?limit, "a rule cannot be computed in time: it is UNKNOWN");
            None
        }
    }
}

//! How all rules stand, for every node to see.

use serde::Serialize;

use super::rules::{RuleStatus, State};
use crate::clock::Millis;
use crate::config;
use crate::redis::{Redis, RedisError};

/// A rule, its thresholds and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RuleView {
    /// Its name.
    #[schema(example = "dead_letters_waiting")]
    pub rule: &'static str,
    /// How it stands.
    pub state: State,
    /// The last value that could be read; null if none was yet.
    pub value: Option<u64>,
    /// From this value on it is CAUTION.
    pub caution: u64,
    /// From this value on it is CRITICAL.
    pub critical: u64,
    /// Campaigns that it is about, a few of them.
    pub campaigns: Vec<String>,
    /// Since when it is in this state; null before it was first looked at.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Millis>,
}

/// All rules. What nobody has looked at, and all of them where Redis does not say, are UNKNOWN.
pub async fn read_board(redis: &Redis, settings: &config::Alarm) -> Vec<RuleView> {
    let statuses = read(redis, settings).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the states of the alarms could not be read from Redis; trying again");
        vec![RuleStatus::default(); config::Alarm::RULES.len()]
    });
    let views = settings.thresholds().into_iter().zip(statuses).map(|((rule, thresholds), status)| RuleView {
        rule,
        state: if status.since == 0 { State::Unknown } else { status.state },
        value: status.value,
        caution: thresholds.caution,
        critical: thresholds.critical,
        campaigns: status.campaigns,
        since: (status.since != 0).then_some(Millis(status.since)),
    });
    views.collect()
}

/// How the rules stand, in the order of the settings.
pub(super) async fn read(redis: &Redis, settings: &config::Alarm) -> Result<Vec<RuleStatus>, RedisError> {
    let mut found = redis.all_fields(&redis.keys().alarms()).await?;
    // What another version wrote and this one cannot read counts as not looked at yet.
    let status = |rule: &str| found.remove(rule).and_then(|text| serde_json::from_str(&text).ok());
    Ok(settings.thresholds().map(|(rule, _)| rule).map(status).map(Option::unwrap_or_default).into())
}

/// Keeps them for the others.
pub(super) async fn write(redis: &Redis, settings: &config::Alarm, statuses: &[RuleStatus]) -> Result<(), RedisError> {
    let fields = settings.thresholds().into_iter().zip(statuses).map(|((rule, _), status)| {
        let text = serde_json::to_string(status).expect("a status has no map with keys that are no strings");
        (rule.to_owned(), text)
    });
    redis.set_fields(&redis.keys().alarms(), fields.collect()).await
}

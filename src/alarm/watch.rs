//! The loop: look, decide, tell.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::AlarmError;
use super::board::{read, write};
use super::rules::{Due, RuleStatus, State, Times};
use super::settings::Settings;
use super::snapshot::Snapshot;
use super::webhook::Webhook;
use crate::config;
use crate::database::Database;
use crate::redis::{Lease, Redis};

/// What a round takes at most beside its own pause and message: the stores' time limits.
const STORES_MAX: Duration = Duration::from_secs(15);

/// Watches the rules. One a node, of which one tells.
pub struct Alarm {
    redis: Arc<Redis>,
    snapshot: Snapshot,
    database: Database,
    settings: Arc<Settings>,
    webhook: Option<Webhook>,
    lease: Lease,
    blind: Mutex<Blind>,
}

/// Since when nobody can watch, and whether that was told.
#[derive(Debug, Default)]
struct Blind {
    since: Option<Instant>,
    is_told: bool,
}

/// What a round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// Another node tells.
    AnotherNode,
    /// So many rules were told of, in one message.
    Sent(usize),
    /// The chat did not take the message; it is tried again in the next round.
    NotTold,
}

impl Alarm {
    /// Connects to nothing yet.
    pub fn new(
        redis: Arc<Redis>,
        snapshot: Snapshot,
        database: Database,
        settings: Arc<Settings>,
    ) -> Result<Self, AlarmError> {
        let now = settings.now();
        let lasts = Duration::from_millis(now.every_ms * 3 + now.timeout_ms) + STORES_MAX;
        let lease = Lease::new(Arc::clone(&redis), "alarm", lasts);
        let webhook = Webhook::new(&now)?;
        Ok(Self { redis, snapshot, database, settings, webhook, lease, blind: Mutex::default() })
    }

    /// Until it is told to stop; a message that is under way is sent first.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut due = interval(Duration::from_millis(self.settings.now().every_ms));
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(due.tick()).await.is_some() {
            match Box::pin(self.tick()).await {
                Ok(_) => self.sees_again().await,
                Err(error) => {
                    tracing::warn!(%error, "alarms are not being watched: all of them are UNKNOWN");
                    self.is_blind().await;
                }
            }
        }
        self.lease.release().await;
    }

    /// One look at all rules.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn tick(&self) -> Result<Watched, AlarmError> {
        let settings = self.settings.read_again(&self.database).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "the rules' settings; those that were read before stay");
            self.settings.now()
        });
        if !self.lease.take().await? {
            Self::show(&read(&self.redis, &settings).await?);
            return Ok(Watched::AnotherNode);
        }
        let now_ms = self.redis.time().await?.0;
        let readings = Box::pin(self.snapshot.read(&settings, now_ms)).await;
        let times = Times { window_ms: signed(settings.window_ms), pending_ms: signed(settings.pending_ms) };
        let mut statuses = read(&self.redis, &settings).await?;
        for ((status, (_, thresholds)), reading) in statuses.iter_mut().zip(settings.thresholds()).zip(&readings) {
            status.see(reading, thresholds, now_ms, times.window_ms);
        }
        Self::show(&statuses);
        // Before the message: who takes over knows the states, and a message that is told twice is better than none.
        write(&self.redis, &settings, &statuses).await?;
        let watched = self.tell(&mut statuses, &settings, (now_ms, times)).await;
        if watched != Watched::Sent(0) {
            write(&self.redis, &settings, &statuses).await?;
        }
        Ok(watched)
    }

    async fn tell(
        &self,
        statuses: &mut [RuleStatus],
        settings: &config::Alarm,
        (now_ms, times): (i64, Times),
    ) -> Watched {
        let Some(webhook) = &self.webhook else { return Watched::Sent(0) };
        let due = |(rule, status): (usize, &RuleStatus)| Some((rule, status.due(now_ms, times)?));
        let due: Vec<(usize, Due)> = statuses.iter().enumerate().filter_map(due).collect();
        if due.is_empty() {
            return Watched::Sent(0);
        }
        let lines: Vec<String> = due.iter().map(|(rule, due)| line(settings, *rule, *due, &statuses[*rule])).collect();
        match webhook.send(&lines.join("\n")).await {
            Ok(()) => {
                metrics::counter!("onrush_alarm_messages_total", "outcome" => "sent").increment(1);
                for (rule, due) in &due {
                    statuses[*rule].tell(*due, now_ms);
                }
                Watched::Sent(due.len())
            }
            Err(error) => {
                metrics::counter!("onrush_alarm_messages_total", "outcome" => "failed").increment(1);
                tracing::warn!(%error, "the chat did not take a message");
                for ((rule, due), line) in due.iter().zip(lines) {
                    let status = &mut statuses[*rule];
                    status.tries += 1;
                    if status.tries >= settings.tries_max {
                        tracing::error!(message = line, "a message to the chat is given up");
                        status.tell(*due, now_ms);
                    }
                }
                Watched::NotTold
            }
        }
    }

    fn show(statuses: &[RuleStatus]) {
        for (rule, status) in config::Alarm::RULES.into_iter().zip(statuses) {
            metrics::gauge!("onrush_alarm_state", "rule" => rule).set(status.state.as_number());
        }
    }

    /// Redis is away, and with it what was told and who tells. Each node says so for itself, once: several messages are better
    /// than none.
    async fn is_blind(&self) {
        for rule in config::Alarm::RULES {
            metrics::gauge!("onrush_alarm_state", "rule" => rule).set(State::Unknown.as_number());
        }
        let settings = self.settings.now();
        let since = *self.blind().since.get_or_insert_with(Instant::now);
        if self.blind().is_told || since.elapsed() < Duration::from_millis(settings.pending_ms) {
            return;
        }
        let Some(webhook) = &self.webhook else { return };
        let text = format!(
            "Onrush: UNKNOWN: a node cannot watch its alarms: Redis does not answer{}",
            runbook(&settings, "redis_away")
        );
        match webhook.send(&text).await {
            Ok(()) => self.blind().is_told = true,
            Err(error) => tracing::warn!(%error, "the chat did not take a message"),
        }
    }

    async fn sees_again(&self) {
        let was_told = {
            let mut blind = self.blind();
            blind.since = None;
            std::mem::take(&mut blind.is_told)
        };
        if let Some(webhook) = self.webhook.as_ref().filter(|_| was_told)
            && let Err(error) = webhook.send("Onrush: recovered: the node watches its alarms again").await
        {
            tracing::warn!(%error, "the chat did not take a message");
        }
    }

    fn blind(&self) -> std::sync::MutexGuard<'_, Blind> {
        self.blind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line(settings: &config::Alarm, rule: usize, due: Due, status: &RuleStatus) -> String {
    let (name, thresholds) = settings.thresholds()[rule];
    let value = status.value.unwrap_or(0);
    let campaigns = match &status.campaigns[..] {
        [] => String::new(),
        campaigns => format!(": {}", campaigns.join(", ")),
    };
    let said = match due {
        Due::Critical => format!("CRITICAL: {name} is {value} (critical from {}){campaigns}", thresholds.critical),
        Due::Another => format!("still CRITICAL, and there is a new one: {name} is {value}{campaigns}"),
        Due::Unknown => match status.value {
            Some(value) => format!("UNKNOWN: {name} cannot be computed; the last value was {value}{campaigns}"),
            None => format!("UNKNOWN: {name} cannot be computed"),
        },
        Due::Recovered => return format!("Onrush: recovered: {name} is {value}"),
    };
    format!("Onrush: {said}{}", runbook(settings, name))
}

/// Where it says what to do.
fn runbook(settings: &config::Alarm, heading: &str) -> String {
    if settings.runbook_url.is_empty() { String::new() } else { format!(" {}#{heading}", settings.runbook_url) }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

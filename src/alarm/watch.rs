//! The loop: look, decide, tell.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::AlarmError;
use super::board::{read, write};
use super::rules::{Due, Standing};
use super::webhook::Webhook;
use crate::config::{self, Config};
use crate::database::Database;
use crate::feed::PostOutbox;
use crate::ledger::{Vitals, VitalsReader};
use crate::redis::{Lease, Redis};

/// What a round takes at most beside its own pause and message: the stores' time limits.
const STORES_MAX: Duration = Duration::from_secs(15);

/// Watches the rules. One a node, of which one tells.
pub struct Alarm {
    redis: Arc<Redis>,
    vitals: VitalsReader,
    database: Database,
    settings: config::Alarm,
    webhook: Option<Webhook>,
    lease: Lease,
}

/// What a round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// Another node tells.
    AnotherNode,
    /// So many rules were told of, in one message.
    Told(usize),
    /// The chat did not take the message; it is tried again in the next round.
    NotTold,
}

impl Alarm {
    /// Connects to nothing yet.
    pub fn new(
        redis: Arc<Redis>,
        vitals: VitalsReader,
        database: Database,
        config: &Config,
    ) -> Result<Self, AlarmError> {
        let settings = config.alarm.clone();
        let lasts = Duration::from_millis(settings.every_ms * 3 + settings.timeout_ms) + STORES_MAX;
        let lease = Lease::new(Arc::clone(&redis), "alarm", lasts);
        Ok(Self { redis, vitals, database, webhook: Webhook::new(&settings)?, settings, lease })
    }

    /// Until it is told to stop; a message that is under way is sent first.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut due = interval(Duration::from_millis(self.settings.every_ms));
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(due.tick()).await.is_some() {
            if let Err(error) = self.tick().await {
                tracing::warn!(%error, "alarms are not being watched");
            }
        }
        self.lease.release().await;
    }

    /// One look at all rules.
    pub async fn tick(&self) -> Result<Watched, AlarmError> {
        if !self.lease.take().await? {
            self.show(&read(&self.redis, &self.settings).await?);
            return Ok(Watched::AnotherNode);
        }
        let vitals = self.vitals.read().await;
        // What the other figures say goes on being watched.
        let outbox = PostOutbox::read(&self.database).await;
        let outbox = outbox.inspect_err(|error| tracing::debug!(%error, "the outbox of posts")).ok();
        let now_ms = self.redis.time().await?.0;
        let window_ms = i64::try_from(self.settings.window_ms).unwrap_or(i64::MAX);
        let mut standings = read(&self.redis, &self.settings).await?;
        let newest = newest(&vitals);
        for ((standing, (_, thresholds)), value) in
            standings.iter_mut().zip(self.settings.thresholds()).zip(values(vitals, outbox))
        {
            standing.see(value, thresholds, now_ms, window_ms);
        }
        for (standing, (rule, _)) in standings.iter_mut().zip(self.settings.thresholds()) {
            standing.see_newest(newest.iter().find(|(known, _)| *known == rule).map_or(0, |(_, newest)| *newest));
        }
        self.show(&standings);
        // Before the message: who takes over knows the states, and a message that is told twice is better than none.
        write(&self.redis, &self.settings, &standings).await?;
        let watched = self.tell(&mut standings, now_ms, window_ms).await;
        if watched != Watched::Told(0) {
            write(&self.redis, &self.settings, &standings).await?;
        }
        Ok(watched)
    }

    async fn tell(&self, standings: &mut [Standing], now_ms: i64, window_ms: i64) -> Watched {
        let Some(webhook) = &self.webhook else { return Watched::Told(0) };
        let due = |(rule, standing): (usize, &Standing)| Some((rule, standing.due(now_ms, window_ms)?));
        let due: Vec<(usize, Due)> = standings.iter().enumerate().filter_map(due).collect();
        if due.is_empty() {
            return Watched::Told(0);
        }
        let lines: Vec<String> = due.iter().map(|(rule, due)| self.line(*rule, *due, &standings[*rule])).collect();
        match webhook.send(&lines.join("\n")).await {
            Ok(()) => {
                metrics::counter!("onrush_alarm_messages_total", "outcome" => "sent").increment(1);
                for (rule, due) in &due {
                    standings[*rule].tell(*due, now_ms);
                }
                Watched::Told(due.len())
            }
            Err(error) => {
                metrics::counter!("onrush_alarm_messages_total", "outcome" => "failed").increment(1);
                tracing::warn!(%error, "the chat did not take a message");
                for ((rule, due), line) in due.iter().zip(lines) {
                    let standing = &mut standings[*rule];
                    standing.tries += 1;
                    if standing.tries >= self.settings.tries_max {
                        tracing::error!(message = line, "a message to the chat is given up");
                        standing.tell(*due, now_ms);
                    }
                }
                Watched::NotTold
            }
        }
    }

    fn line(&self, rule: usize, due: Due, standing: &Standing) -> String {
        let (name, thresholds) = self.settings.thresholds()[rule];
        let value = standing.value.unwrap_or(0);
        match due {
            Due::Critical => format!("Onrush: CRITICAL: {name} is {value} (critical from {})", thresholds.critical),
            Due::Another => format!("Onrush: still CRITICAL, and there is a new one: {name} is {value}"),
            Due::Recovered => format!("Onrush: recovered: {name} is {value}"),
        }
    }

    fn show(&self, standings: &[Standing]) {
        for ((rule, _), standing) in self.settings.thresholds().into_iter().zip(standings) {
            metrics::gauge!("onrush_alarm_state", "rule" => rule).set(standing.state.as_number());
        }
    }
}

/// What names the newest, of the rules that count things.
fn newest(vitals: &Vitals) -> [(&'static str, u64); 3] {
    [
        ("dead_letters_waiting", vitals.newest_dead_letter),
        ("contradictions", vitals.newest_contradiction),
        ("audits_broken", vitals.newest_broken_audit),
    ]
}

/// In the order of [`config::Alarm::thresholds`].
fn values(vitals: Vitals, outbox: Option<PostOutbox>) -> [Option<u64>; 8] {
    let Vitals { dead_letters_waiting, contradictions, outbox_percent, lag_records, audits_broken, .. } = vitals;
    let posts_waiting_s = outbox.map(|outbox| outbox.oldest_waiting_s.unsigned_abs());
    let posts_failed = outbox.map(|outbox| outbox.failed.unsigned_abs());
    let posts_unmended = outbox.map(|outbox| outbox.unmended.unsigned_abs());
    [
        dead_letters_waiting,
        contradictions,
        outbox_percent,
        lag_records,
        audits_broken,
        posts_waiting_s,
        posts_failed,
        posts_unmended,
    ]
}

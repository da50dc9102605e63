//! Entries that no relay can read, beside good ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Storm;
use crate::plan::Garbage;

const UNIT_SEPARATOR: &str = "\u{1f}";

/// How often an outbox is looked at.
const LOOKS_EVERY: Duration = Duration::from_millis(25);
/// Facts that nobody asked for: the campaign was made, or rebuilt.
const OF_ITSELF: usize = 20;

impl Storm {
    /// Sees to it that no more facts wait than may, until told to stop. What is not a claim is not refused for it.
    pub async fn watch_outbox(self, facts_max: u64, stop: Arc<AtomicBool>) {
        let campaign = format!("onrush:{{{}}}:campaign", self.rush.campaign);
        let (mut most, facts_max) = (0, i64::try_from(facts_max).unwrap_or(i64::MAX));
        while !stop.load(Ordering::Relaxed) {
            let waiting = self.installation.redis().number(&campaign, "outbox_facts").await.unwrap_or(0);
            let others = || {
                let events = self.rush.history.events();
                events.iter().filter(|event| event.claim().is_none() && event.campaign == self.rush.campaign).count()
            };
            if waiting > most.max(facts_max) && waiting - facts_max > i64::try_from(others() + OF_ITSELF).unwrap_or(0) {
                most = waiting;
                self.complain(format!("invariant 11: {waiting} facts wait in the outbox, {facts_max} are the most"));
            }
            tokio::time::sleep(LOOKS_EVERY).await;
        }
    }

    pub(super) async fn break_outbox(&self, kind: Garbage) -> anyhow::Result<()> {
        let _turn = self.redis_turn.lock().await;
        let redis = self.installation.redis();
        let outbox = format!("onrush:{{{}}}:outbox", self.rush.campaign);
        let generation = redis.number(&format!("onrush:{{{}}}:campaign", self.rush.campaign), "generation").await?;
        let generation = generation.to_string();
        // No counter counts them: they say nothing that has happened.
        let fact = ["0", "gifted", "0", "0", "0", "", ""].join(UNIT_SEPARATOR);
        let fields: &[&str] = match kind {
            Garbage::Nonsense => &["nonsense", "1"],
            Garbage::Version => &["v", "99", "g", &generation, "at", "1", "n", "0", "f", "?"],
            Garbage::Kind => &["v", "1", "g", &generation, "at", "1", "n", "0", "f", &fact],
        };
        let mut words = vec!["XADD", &outbox, "*"];
        words.extend(fields);
        // Where Redis is away at the moment there is no outbox to be broken.
        if redis.say(&words).await.is_ok() {
            self.noted().has_garbage = true;
        }
        Ok(())
    }
}

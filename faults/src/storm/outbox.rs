//! Entries that no relay can read, beside good ones.

use super::Storm;
use crate::plan::Garbage;

const UNIT_SEPARATOR: &str = "\u{1f}";

impl Storm {
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

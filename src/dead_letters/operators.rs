//! What waits for an operator, and sending it back.
//!
//! A dead letter is sent back as it was: the same key and the same value. One of the ledger goes to the topic of facts, and so
//! through the writer like every fact: throttled, compared, and a new dead letter if it cannot become a row again. One of
//! a lane goes to the topic of dead letters, where only that lane sees it. What nobody wants back is discarded, with a reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::FromRow;

use super::DeadLettersError;
use super::record::Headers;
use crate::clock::Millis;
use crate::config::Config;
use crate::database::Database;
use crate::kafka::{Outgoing, Producer};

/// Letters that one transaction sends back.
const REPLAY_AT_ONCE: i64 = 200;

/// What operators do with dead letters.
#[derive(Clone)]
pub struct DeadLetters {
    database: Database,
    producer: Arc<Producer>,
    facts_topic: String,
}

/// A record that was set aside.
#[derive(Debug, Clone, FromRow)]
pub struct DeadLetter {
    /// Where it stands in the topic of dead letters, after the lane's name if it is a lane's.
    pub id: String,
    /// Its place in the list.
    pub position: i64,
    /// Why it cannot be dealt with.
    pub reason: String,
    /// How often that was tried.
    pub attempts: i32,
    /// The topic that it was in.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub record_offset: i64,
    /// Who could not deal with it; `None`: the ledger.
    pub lane: Option<String>,
    /// What it says.
    pub record: Vec<u8>,
    /// `waiting`, `replayed` or `discarded`.
    pub state: String,
    /// Why it was discarded.
    pub discard_reason: Option<String>,
    noticed_at_ms: i64,
    discarded_at_ms: Option<i64>,
}

impl DeadLetter {
    /// When it was copied into the table, by the database's clock.
    #[must_use]
    pub fn noticed_at(&self) -> Millis {
        Millis(self.noticed_at_ms)
    }

    /// When it was discarded, by the same clock.
    #[must_use]
    pub fn discarded_at(&self) -> Option<Millis> {
        self.discarded_at_ms.map(Millis)
    }
}

/// Which dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// These.
    Ids(Vec<String>),
    /// All that wait now.
    All,
}

impl DeadLetters {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(database: Database, producer: Arc<Producer>, config: &Config) -> Self {
        Self { database, producer, facts_topic: config.kafka.facts_topic.clone() }
    }

    /// Letters after this position, in the order in which they were noticed, at most so many.
    pub async fn page(&self, after: i64, count_max: usize) -> Result<Vec<DeadLetter>, DeadLettersError> {
        let letters = sqlx::query_as(
            "SELECT id, position, reason, attempts, topic, partition, record_offset, lane, record, state, discard_reason,
                    floor(extract(epoch FROM noticed_at) * 1000)::bigint AS noticed_at_ms,
                    floor(extract(epoch FROM discarded_at) * 1000)::bigint AS discarded_at_ms
             FROM dead_letters WHERE position > $1 ORDER BY position LIMIT $2",
        )
        .bind(after)
        .bind(i64::try_from(count_max).unwrap_or(i64::MAX))
        .fetch_all(&self.database)
        .await?;
        Ok(letters)
    }

    /// Sends dead letters back, and answers how many; those that were sent back before are left alone. `None`, and nothing
    /// is done, if one of the ids is no dead letter's.
    pub async fn replay(&self, which: &Which) -> Result<Option<u64>, DeadLettersError> {
        if let Which::Ids(ids) = which
            && !self.knows_all(ids).await?
        {
            return Ok(None);
        }
        // What becomes a dead letter again meanwhile stays one: otherwise `all` might never end.
        let last: Option<i64> =
            sqlx::query_scalar("SELECT max(position) FROM dead_letters").fetch_one(&self.database).await?;
        let mut replayed = 0;
        loop {
            let some = self.replay_some(which, last.unwrap_or(0)).await?;
            if some == 0 {
                return Ok(Some(replayed));
            }
            replayed += some;
        }
    }

    /// Leaves dead letters at that, for this reason, and answers how many; those that do not wait are left alone. They stay in the
    /// list, and nobody is told of them any more. `None`, and nothing is done, if one of the ids is no dead letter's.
    pub async fn discard(&self, ids: &[String], reason: &str) -> Result<Option<u64>, DeadLettersError> {
        if !self.knows_all(ids).await? {
            return Ok(None);
        }
        let discarded = sqlx::query(
            "UPDATE dead_letters SET state = 'discarded', discarded_at = clock_timestamp(), discard_reason = $2
             WHERE id = ANY ($1) AND state = 'waiting'",
        )
        .bind(ids)
        .bind(reason)
        .execute(&self.database)
        .await?
        .rows_affected();
        metrics::counter!("onrush_ledger_dead_letters_discarded_total").increment(discarded);
        tracing::warn!(discarded, ?ids, reason, "an operator has discarded dead letters: they stay in the list");
        Ok(Some(discarded))
    }

    async fn knows_all(&self, ids: &[String]) -> Result<bool, sqlx::Error> {
        let known: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM unnest($1::text[]) AS asked (id)
             WHERE EXISTS (SELECT FROM dead_letters d WHERE d.id = asked.id)",
        )
        .bind(ids)
        .fetch_one(&self.database)
        .await?;
        Ok(known.unsigned_abs() >= ids.len() as u64)
    }

    /// Some of them, in one transaction: Kafka has acknowledged them when it is committed. If it cannot be committed they
    /// go on waiting, and may be published once more: the ledger drops doubles, and lanes bear them.
    async fn replay_some(&self, which: &Which, last: i64) -> Result<u64, DeadLettersError> {
        let ids = match which {
            Which::Ids(ids) => Some(ids),
            Which::All => None,
        };
        let mut transaction = self.database.begin().await?;
        let letters: Vec<Waiting> = sqlx::query_as(
            "SELECT id, record_key, record, reason, attempts, topic, partition, record_offset, lane, replay_topic
             FROM dead_letters
             WHERE state = 'waiting' AND position <= $1 AND ($2::text[] IS NULL OR id = ANY ($2))
             ORDER BY position LIMIT $3 FOR UPDATE",
        )
        .bind(last)
        .bind(ids)
        .bind(REPLAY_AT_ONCE)
        .fetch_all(&mut *transaction)
        .await?;
        let done: Vec<String> = letters.iter().map(|letter| letter.id.clone()).collect();
        if done.is_empty() {
            return Ok(0);
        }
        for (topic, records) in self.by_topic(letters) {
            if let Some(failure) = self.producer.publish_records(&topic, &records).await.failure {
                return Err(failure.into());
            }
        }
        sqlx::query("UPDATE dead_letters SET state = 'replayed', replayed_at = clock_timestamp() WHERE id = ANY ($1)")
            .bind(&done)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.len() as u64)
    }

    fn by_topic(&self, letters: Vec<Waiting>) -> BTreeMap<String, Vec<Outgoing>> {
        let mut by_topic = BTreeMap::<String, Vec<Outgoing>>::new();
        for letter in letters {
            let topic = letter.replay_topic.clone().unwrap_or_else(|| self.facts_topic.clone());
            by_topic.entry(topic).or_default().push(letter.outgoing());
        }
        by_topic
    }
}

/// A dead letter that is sent back.
#[derive(FromRow)]
struct Waiting {
    id: String,
    record_key: Vec<u8>,
    record: Vec<u8>,
    reason: String,
    attempts: i32,
    topic: String,
    partition: i32,
    record_offset: i64,
    lane: Option<String>,
    replay_topic: Option<String>,
}

impl Waiting {
    fn outgoing(self) -> Outgoing {
        let Self { record_key: key, record: value, reason, attempts, topic, partition, record_offset, lane, .. } = self;
        if lane.is_none() {
            return Outgoing { key, value, headers: Vec::new() };
        }
        Headers { reason, attempts, topic, partition, offset: record_offset, lane, dead_tries: 0 }.outgoing(key, value)
    }
}

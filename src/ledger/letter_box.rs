//! What waits for an operator, and sending it back.
//!
//! A letter is sent back as it was: the same key and the same value, to the topic of facts. So it goes through the writer
//! like every fact: throttled, compared, and a new dead letter if it cannot become a row again.

use std::sync::Arc;

use sqlx::FromRow;

use super::LedgerError;
use crate::clock::Millis;
use crate::config::Config;
use crate::database::Database;
use crate::kafka::{Outgoing, Producer};

/// Letters that one transaction sends back.
const REPLAY_AT_ONCE: i64 = 200;

/// The operators' door to dead letters.
pub struct LetterBox {
    database: Database,
    producer: Arc<Producer>,
    facts_topic: String,
}

/// A record that was set aside.
#[derive(Debug, Clone, FromRow)]
pub struct Letter {
    /// Where it stands in the topic of dead letters.
    pub id: String,
    /// Its place in the list.
    pub position: i64,
    /// Why it cannot become a row.
    pub reason: String,
    /// How often that was tried.
    pub attempts: i32,
    /// The topic that it was in.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub record_offset: i64,
    /// What it says.
    pub record: Vec<u8>,
    /// `waiting` or `replayed`.
    pub state: String,
    noticed_at_ms: i64,
}

impl Letter {
    /// When it was copied into the table, by the database's clock.
    #[must_use]
    pub fn noticed_at(&self) -> Millis {
        Millis(self.noticed_at_ms)
    }
}

/// Which letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// These.
    Ids(Vec<String>),
    /// All that wait now.
    All,
}

impl LetterBox {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(database: Database, producer: Arc<Producer>, config: &Config) -> Self {
        Self { database, producer, facts_topic: config.kafka.facts_topic.clone() }
    }

    /// Letters after this position, in the order in which they were noticed, at most so many.
    pub async fn page(&self, after: i64, count_max: usize) -> Result<Vec<Letter>, LedgerError> {
        let letters = sqlx::query_as(
            "SELECT id, position, reason, attempts, topic, partition, record_offset, record, state,
                    floor(extract(epoch FROM noticed_at) * 1000)::bigint AS noticed_at_ms
             FROM dead_letters WHERE position > $1 ORDER BY position LIMIT $2",
        )
        .bind(after)
        .bind(i64::try_from(count_max).unwrap_or(i64::MAX))
        .fetch_all(&self.database)
        .await?;
        Ok(letters)
    }

    /// Sends letters back, and answers how many; those that were sent back before are left alone. `None`, and nothing
    /// is done, if one of the ids is no letter's.
    pub async fn replay(&self, which: &Which) -> Result<Option<u64>, LedgerError> {
        if let Which::Ids(ids) = which {
            let known: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM unnest($1::text[]) AS asked (id)
                 WHERE EXISTS (SELECT FROM dead_letters d WHERE d.id = asked.id)",
            )
            .bind(ids)
            .fetch_one(&self.database)
            .await?;
            if known.unsigned_abs() < ids.len() as u64 {
                return Ok(None);
            }
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

    /// Some of them, in one transaction: Kafka has acknowledged them when it is committed. If it cannot be committed they
    /// go on waiting, and may be published once more: the ledger drops doubles.
    async fn replay_some(&self, which: &Which, last: i64) -> Result<u64, LedgerError> {
        let ids = match which {
            Which::Ids(ids) => Some(ids),
            Which::All => None,
        };
        let mut transaction = self.database.begin().await?;
        let letters: Vec<(String, Vec<u8>, Vec<u8>)> = sqlx::query_as(
            "SELECT id, record_key, record FROM dead_letters
             WHERE state = 'waiting' AND position <= $1 AND ($2::text[] IS NULL OR id = ANY ($2))
             ORDER BY position LIMIT $3 FOR UPDATE",
        )
        .bind(last)
        .bind(ids)
        .bind(REPLAY_AT_ONCE)
        .fetch_all(&mut *transaction)
        .await?;
        let (done, records): (Vec<String>, Vec<Outgoing>) =
            letters.into_iter().map(|(id, key, value)| (id, Outgoing { key, value, headers: Vec::new() })).unzip();
        if done.is_empty() {
            return Ok(0);
        }
        if let Some(failure) = self.producer.publish_records(&self.facts_topic, &records).await.failure {
            return Err(failure.into());
        }
        sqlx::query("UPDATE dead_letters SET state = 'replayed', replayed_at = clock_timestamp() WHERE id = ANY ($1)")
            .bind(&done)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.len() as u64)
    }
}

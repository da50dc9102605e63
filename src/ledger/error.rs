//! Why is there no answer? What the ledger says of stores that could not be asked.

use thiserror::Error;

use crate::config::ROWS_PER_SECOND;
use crate::kafka::KafkaError;
use crate::redis::RedisError;

/// A store that could not be asked. All of it is worth another try.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// Redis is away.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Kafka is away.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The database is away.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A setting beyond its limits.
    #[error("rows_per_second_max is {0}, must be {start} to {end}", start = ROWS_PER_SECOND.start(), end = ROWS_PER_SECOND.end())]
    OutOfLimits(u64),
}

//! Why could a server not be verified?

use thiserror::Error;

use crate::campaign::CampaignError;
use crate::kafka::KafkaError;
use crate::redis::RedisError;

/// Why a server could not be verified. It is tried again.
#[derive(Debug, Error)]
pub enum FenceError {
    /// Redis is away, or became another server meanwhile.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Kafka is away: what it has acknowledged and the ledger has not is not known.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The database is away: what it has recorded is not known.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A campaign could not be brought up to its row.
    #[error(transparent)]
    Campaign(#[from] CampaignError),
}

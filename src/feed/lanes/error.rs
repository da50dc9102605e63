//! Why a message about a post is not dealt with, and whether that is the message's fault.

use thiserror::Error;

use super::super::inspect::InspectError;
use crate::cache::CacheError;
use crate::kafka::KafkaError;
use crate::upstream::UpstreamError;

/// Why a message is not dealt with.
#[derive(Debug, Error)]
pub enum LaneError {
    /// It is no message that this version knows. Trying again does not help; an operator may.
    #[error("no message about a post: {0}")]
    Unreadable(String),
    /// Nobody says who the author is. Worth some more tries.
    #[error(transparent)]
    Author(#[from] UpstreamError),
    /// There is no verdict. Worth some more tries.
    #[error(transparent)]
    Inspector(#[from] InspectError),
    /// What is kept could not be taken back, or loaded: Redis is away. Worth waiting for.
    #[error("the cache: {0}")]
    Cache(#[from] CacheError),
    /// Kafka is away, or refuses what was to be said.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The database is away, or refuses what was to be written.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The node stops. Another goes on.
    #[error("the node stops")]
    Stopping,
}

impl LaneError {
    /// Whether it is the message, or what it needs of other teams, that fails: then it is tried so often and no more. Our
    /// own stores are waited for: everything else would fail, too.
    #[must_use]
    pub fn is_of_the_message(&self) -> bool {
        match self {
            Self::Unreadable(_) | Self::Author(_) | Self::Inspector(_) => true,
            Self::Kafka(error) => error.is_of_the_record(),
            Self::Database(error) => is_of_the_data(error),
            Self::Cache(_) | Self::Stopping => false,
        }
    }
}

/// Whether the database refuses the data, and would again.
fn is_of_the_data(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

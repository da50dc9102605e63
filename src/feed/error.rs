//! Why something could not be written or read.

use thiserror::Error;

use crate::cache::CacheError;

/// Why something could not be written or read. What was asked for may have happened.
#[derive(Debug, Error)]
pub enum FeedError {
    /// The database is away or refused. Worth another try.
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
    /// The cache has nothing to say, or could not be told. Worth another try.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

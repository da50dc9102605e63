//! What a call to Redis can fail with.

use thiserror::Error;

/// What a call to Redis can fail with. Its text is for logs: clients are told its [`RedisError::reason`].
#[derive(Debug, Error)]
pub enum RedisError {
    /// No answer, or none that says whether it happened. Repeat what is safe to repeat.
    #[error("Redis did not answer: {0}")]
    Unavailable(#[from] fred::error::Error),
    /// It did not happen: the server said no before it did anything.
    #[error("Redis refused: {0}")]
    Refused(fred::error::Error),
    /// It did not happen: there was no connection that it could have been sent over.
    #[error("nothing was sent to Redis: {0}")]
    Unsent(fred::error::Error),
    /// An answer that the scripts never give: a bug, or another program's keys.
    #[error("Redis answered what was not expected: {0}")]
    Unexpected(String),
    /// It did not happen: the server was restarted or replaced, and is not let decide before it is known that it has all that
    /// was promised.
    #[error("Redis was restarted, replaced or emptied and is being verified")]
    Fenced,
    /// A server that would lose promises: boot fails.
    #[error("this Redis is not fit for use: {0}")]
    Unfit(String),
}

//! What a cache answers: what was found and where, or why nothing can be said.

use std::sync::Arc;

use thiserror::Error;

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// The process.
    Local,
    /// Redis.
    Redis,
    /// The source.
    Source,
}

/// What was found.
#[derive(Debug)]
pub struct Found<T> {
    /// `None`: there is no such thing.
    pub value: Option<Arc<T>>,
    /// It may have changed since: Redis or the source could not be asked.
    pub is_stale: bool,
    /// Where it came from.
    pub tier: Tier,
}

/// Why nothing can be said. All of it is worth another try.
#[derive(Debug, Clone, Error)]
pub enum CacheError {
    /// Redis is away, and this kind may not be loaded without it; or too many are at it.
    #[error("{0}")]
    Refused(&'static str),
    /// The source failed, and nothing older is known.
    #[error("{0}")]
    Source(String),
}

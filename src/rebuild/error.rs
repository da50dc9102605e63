//! Why could a campaign not be rebuilt?

use std::time::Duration;

use thiserror::Error;

use crate::facts::GENERATION_MAX;
use crate::kafka::KafkaError;
use crate::redis::{RedisError, Reply};

/// Letters that an error names.
const NAMED_MAX: usize = 10;

/// Why a campaign could not be rebuilt. It stays refused, and the rebuild may be run again.
#[derive(Debug, Error)]
pub enum RebuildError {
    /// Redis is away.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Kafka is away.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The database is away.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// Facts did not arrive in time: a worker must run.
    #[error("{0} did not arrive within {1:?}; is a worker running?")]
    StillOnTheWay(&'static str, Duration),
    /// Another rebuild of the same campaign began later.
    #[error("another rebuild of this campaign has taken over")]
    Overtaken,
    /// Redis may lack a part of what was loaded.
    #[error(
        "Redis was restarted, replaced or emptied meanwhile, or was not verified yet, and may lack a part of what was loaded: run it again"
    )]
    Restarted,
    /// Codes have no room for another generation.
    #[error("the campaign has had {GENERATION_MAX} generations, the most that a coupon code has room for")]
    GenerationsExhausted,
    /// Dead letters that may hold claims, and cannot be read.
    #[error(
        "{} dead letters of this campaign cannot be read, and may hold claims whose units would be sold again: {}. Replay \
         or discard them, or say --without-unreadable",
        .0.len(), .0.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ")
    )]
    UnreadableLetters(Vec<String>),
    /// More letters than are held in memory.
    #[error("more than {0} facts wait as dead letters (rebuild.letters_max): replay or discard some of them first")]
    TooManyLetters(usize),
}

/// A script of a rebuild has done what it was called for.
pub(super) fn expect_ok(reply: &Reply) -> Result<(), RebuildError> {
    match reply.code.as_str() {
        "ok" => Ok(()),
        "overtaken" => Err(RebuildError::Overtaken),
        "restarted" => Err(RebuildError::Restarted),
        _ => Err(reply.unknown_code().into()),
    }
}

//! Why is there no answer?

use thiserror::Error;

use crate::campaign::ScriptError;
use crate::coalescer::CoalescerError;
use crate::redis::RedisError;

/// Why there is no answer. Clients hear `unavailable` and may repeat; the same attempt never takes two units.
#[derive(Debug, Error)]
pub enum ClaimError {
    /// It may have happened.
    #[error("it may have happened; repeat it, with the same Idempotency-Key if it had one")]
    Unknown,
    /// It did not happen, for this reason.
    #[error("{0}: nothing was done")]
    NothingDone(&'static str),
    /// Nothing was to happen: it was only asked for, and could not be read, for this reason.
    #[error("{0}")]
    Unread(&'static str),
    /// It did not happen: too much is under way already.
    #[error("too many claims in flight")]
    TooManyInFlight,
    /// It did not happen: its turn did not come in time.
    #[error("waited too long for its turn")]
    WaitedTooLong,
    /// It did not happen: the campaign was lost in Redis and has to be rebuilt.
    #[error("the campaign was lost in Redis and has to be rebuilt")]
    Lost,
    /// It did not happen: the campaign is being made.
    #[error("the campaign is being made")]
    BeingMade,
    /// It did not happen: facts wait for Kafka, and there is no room for more.
    #[error("too many facts of the campaign wait for Kafka")]
    OutboxFull,
}

impl From<RedisError> for ClaimError {
    fn from(error: RedisError) -> Self {
        error.note();
        if error.has_done_nothing() { Self::NothingDone(error.reason()) } else { Self::Unknown }
    }
}

impl ClaimError {
    /// An answer of Redis that no script gives.
    pub(super) fn unexpected(answer: String) -> Self {
        RedisError::Unexpected(answer).into()
    }

    /// The same, of what changes nothing.
    pub(super) fn of_a_read(self) -> Self {
        match self {
            Self::Unknown => Self::Unread("Redis did not answer"),
            Self::NothingDone(why) => Self::Unread(why),
            other => other,
        }
    }
}

impl From<ScriptError> for ClaimError {
    fn from(error: ScriptError) -> Self {
        match error {
            ScriptError::Redis(error) => error.into(),
            ScriptError::Lost => Self::Lost,
            ScriptError::Missing => Self::BeingMade,
        }
    }
}

impl From<CoalescerError> for ClaimError {
    fn from(error: CoalescerError) -> Self {
        match error {
            CoalescerError::Unknown => Self::Unknown,
            CoalescerError::NothingDone(why) => Self::NothingDone(why),
            CoalescerError::TooManyInFlight => Self::TooManyInFlight,
            CoalescerError::WaitedTooLong => Self::WaitedTooLong,
        }
    }
}

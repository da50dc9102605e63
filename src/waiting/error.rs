//! Why the waiting room has no answer.

use thiserror::Error;

use crate::coalescer::CoalescerError;
use crate::redis::RedisError;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum WaitingError {
    /// Redis is away. What was asked for may have happened; it is safe to repeat.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// It may have happened; it is safe to repeat.
    #[error("it may have happened; repeat it")]
    Unknown,
    /// It did not happen, for this reason.
    #[error("{0}: nothing was done")]
    NothingDone(&'static str),
    /// The room began anew at this moment: what was just seen is of another one.
    #[error("the room began anew at this moment; ask again")]
    BeganAnew,
    /// It did not happen: too much is under way already.
    #[error("too many joins in flight")]
    TooManyInFlight,
    /// It did not happen: its turn did not come in time.
    #[error("waited too long for its turn")]
    WaitedTooLong,
    /// It did not happen: the order is being drawn just now.
    #[error("the order is being drawn just now")]
    BeingDrawn,
    /// It did not happen: as many have joined as may.
    #[error("no place is left in the waiting room")]
    Full,
    /// It did not happen: neither the cap nor the units leave room for one more.
    #[error("neither cap nor units leave room for one more inside")]
    NoRoomInside,
    /// The campaign was lost in Redis and has to be rebuilt.
    #[error("the campaign was lost in Redis and has to be rebuilt")]
    Lost,
    /// The campaign has no waiting room.
    #[error("the campaign has no waiting room")]
    NoRoom,
    /// A draw of which this node does not know the seed.
    #[error("the seed of the draw is not known here")]
    NoSeed,
}

impl From<CoalescerError> for WaitingError {
    fn from(error: CoalescerError) -> Self {
        match error {
            CoalescerError::Unknown => Self::Unknown,
            CoalescerError::NothingDone(why) => Self::NothingDone(why),
            CoalescerError::TooManyInFlight => Self::TooManyInFlight,
            CoalescerError::WaitedTooLong => Self::WaitedTooLong,
        }
    }
}

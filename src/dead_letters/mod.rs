//! What could not be done, and who looks at it? Records of any topic that were tried often enough.
//!
//! - Such a record goes to its topic's dead letters, and only then is an offset committed past it.
//! - A dead letter is tried again some times, at its turn like every record, before it waits for an operator: what was wrong
//!   may have been mended, or the one that could not read it replaced.
//! - What an operator has to look at is a row, with an id that no other dead letter has, of whatever topic.
//! - A dead letter knows what it is: its topic and place, the lane that could not deal with it, and where a replay sends it. Only
//!   that lane sees it again.

mod ingester;
mod operators;
mod record;
mod rows;

use thiserror::Error;

pub use ingester::Ingester;
pub use operators::{DeadLetter, DeadLetters, Which};
pub use record::{FromOutbox, Headers, Refused, is_retried, key_and_lane, set_aside, set_unreadable_aside};
pub use rows::keep;

use crate::kafka::KafkaError;

/// A store that could not be asked. All of it is worth another try.
#[derive(Debug, Error)]
pub enum DeadLettersError {
    /// Kafka is away.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The database is away.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

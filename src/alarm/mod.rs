//! Who has to be told? Rules over what the stores and the nodes say, and a message to a chat when one becomes critical, when it
//! cannot be computed, and when it is healthy again.
//!
//! - Up a rule goes at once; down only when its value has been below for the whole window. It is told of when it has lasted.
//! - What cannot be computed is UNKNOWN, never HEALTHY: no news is news.
//! - Where a rule counts things and stays critical, it is told of again when there is a new one, once a window at most: one that
//!   nobody has dealt with hides no other.
//! - Each rule is told of once when it is critical and once when it is healthy again, however many nodes watch: the one
//!   that holds the lease sends, and what was told is kept in Redis, so that the next one does not tell it again.
//! - All nodes watch, also those that only serve: somebody has to notice that no worker is left.
//! - The database may be away: the lease and the states are in Redis, and what the other stores say goes on being watched.
//!   Where Redis is away each node says so for itself.

mod board;
mod rates;
mod rules;
mod settings;
mod snapshot;
mod watch;
mod webhook;

use thiserror::Error;

pub use board::{RuleView, read_board};
pub use rules::State;
pub use settings::{Change, Settings, change};
pub use snapshot::Snapshot;
pub use watch::{Alarm, Watched};

use crate::kafka::KafkaError;
use crate::redis::RedisError;

/// Why alarms cannot be watched.
#[derive(Debug, Error)]
pub enum AlarmError {
    /// Redis is away: nobody knows who has told what.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The client for Kafka cannot be made.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The client for the chat cannot be made.
    #[error("the webhook's client: {0}")]
    Client(#[source] reqwest::Error),
}

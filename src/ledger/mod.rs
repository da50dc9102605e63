//! What happened, for good? Facts on their way from the outbox to the database, and the comparison of all stores.
//!
//! - The relay publishes facts in order and deletes from the outbox only what Kafka has acknowledged.
//! - The writer commits an offset only after the database has committed its fact.
//! - Facts may arrive twice, late and in any order: the rows are the same. A contradiction is recorded, never applied.
//! - What cannot become a row delays no neighbour and is not lost: it waits for an operator as a dead letter.
//! - No more facts than `rows_per_second_max` reach the database in any second, all writers together.
//!
//! The room reads what others wrote into Redis, and knows none of them.

mod auditor;
mod evidence;
mod figure;
mod findings;
mod fold;
mod halter;
mod reconciler;
mod relay;
mod repair;
mod rounds;
mod rows;
mod rows_again;
mod snapshot;
mod throttle_setting;
mod vitals;
mod writer;

use thiserror::Error;

pub use auditor::{Audit, Auditor, Verdict};
pub use figure::{Outboxes, OutboxesSeen, RoundsDone};
pub use fold::Placed;
pub use halter::Halter;
pub use reconciler::{Reconciled, Reconciler};
pub use relay::{Drained, Head, PublishedHead, Relay};
pub use rows::{Written, write as write_facts};
pub use throttle_setting::{read_rows_per_second_max, set_rows_per_second_max};
pub use vitals::{Vitals, Waiting};
pub use writer::{Step, Tick, Writer};

use crate::kafka::KafkaError;
use crate::redis::RedisError;

/// A store that could not be asked. All of it is worth another try.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// Redis is away.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Kafka is away.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The database is away.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A setting beyond its limits.
    #[error("rows_per_second_max is {0}, must be 1 to 10,000,000")]
    OutOfLimits(u64),
}

//! What happened, for good? Facts on their way from the outbox to the database, and the comparison of all stores.
//!
//! - The relay publishes facts in order and deletes from the outbox only what Kafka has acknowledged.
//! - The writer commits an offset only after the database has committed its fact.
//! - Facts may arrive twice, late and in any order: the rows are the same. A contradiction is recorded, never applied.
//! - What cannot become a row delays no neighbour and is not lost: it waits for an operator as a dead letter.
//! - No more facts than `rows_per_second_max` reach the database in any second, all writers together.
//!
//! The room reads what others wrote into Redis, and knows none of them.

mod audit;
mod auditor;
mod error;
mod evidence;
mod findings;
mod fold;
mod gauges;
mod health;
mod quarantine;
mod reconciler;
mod relay;
mod relay_order;
mod repair;
mod rows;
mod rows_again;
mod snapshot;
mod throttle_setting;
mod writer;

pub use audit::{Audit, Verdict};
pub use auditor::Auditor;
pub use error::LedgerError;
pub use fold::FactAt;
pub use gauges::{Outboxes, OutboxesSeen, RoundsDone};
pub use health::{LedgerHealth, Waiting};
pub use quarantine::Quarantine;
pub use reconciler::{Reconciled, Reconciler};
pub use relay::{Drained, Head, PublishedHead, Relay};
pub use rows::{Written, write as write_facts};
pub use throttle_setting::{ROWS_PER_SECOND, read_rows_per_second_max, set_rows_per_second_max};
pub use writer::{Step, Tick, Writer};

//! How do lost campaigns come back? From what the database and Kafka have, into their next generation.
//!
//! - Only what is lost is rebuilt: a campaign whose Redis knows as much as the database is left alone.
//! - Everything that is on its way arrives first: the outbox as far as it is left, then Kafka, then the dead letters. What
//!   waits as a dead letter happened all the same: its facts count as the rows that they will be.
//! - Until the end the campaign is refused to everyone. A rebuild that dies in the middle leaves it so and has taken no
//!   generation; the next one begins anew.
//! - It ends on the server on which it began: one that was restarted meanwhile may lack a part.
//! - Numbers go on above the highest that was ever seen; what Kafka had acknowledged is kept.
//! - Nothing of a campaign is held in memory but a page.

mod arrival;
mod begun;
mod dead_letters;
mod error;
mod generation;
mod load;
mod rebuilder;
mod recorded;

pub use error::RebuildError;
pub use rebuilder::{Outcomes, Rebuilder, Rebuilt};

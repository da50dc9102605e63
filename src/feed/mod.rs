//! What is there to read? Posts of authors, their inspection, the inboxes of subscribers, search.
//!
//! - A post and the message about it are written by one transaction; the relay sends the messages in their order.
//! - What was not inspected, was rejected or is gone is read by nobody but its author.
//! - A post is in each due inbox once, whatever is killed.
//! - Bulk work has a rate of its own: the ledger of claims does not notice it.

pub mod inspect;
mod message;
mod post;
pub mod search;

pub use message::{Happened, Inspected, Original, Outcome, SCHEMA_VERSION};
pub use post::{Inspection, InvalidPostId, Post, PostId};

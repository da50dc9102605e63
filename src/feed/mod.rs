//! What is there to read? Posts of authors, their inspection, the inboxes of subscribers, search.
//!
//! - A post and the message about it are written by one transaction; the relay sends the messages in their order.
//! - What was not inspected, was rejected or is gone is read by nobody but its author.
//! - A post is in each due inbox once, whatever is killed.
//! - Bulk work has a rate of its own: the ledger of claims does not notice it.

mod inbox;
pub mod inspect;
mod lanes;
mod message;
mod pace;
mod post;
mod posts;
mod relay;
pub mod search;
mod work;

pub use inbox::Inboxes;
pub use lanes::{Lane, LaneError, Means};
pub use message::{Happened, Inspected, Original, Outcome, SCHEMA_VERSION};
pub use pace::Pace;
pub use post::{Inspection, InvalidPostId, Post, PostId};
pub use posts::Posts;
pub use relay::{PostOutbox, PostRelay, PostRelayError, Relayed};
pub use work::{LaneWorker, Reads};

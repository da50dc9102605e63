//! How do we speak to Redis? The only door to it: connections, every key, script calls, the outbox, messages.
//!
//! - No other room names the client library, spells a key or knows a channel.
//! - All commands of one campaign travel on one connection, in the order in which they were given.
//! - A script is called with exactly the keys that its header lists, or the program does not compile.

mod durability;
mod error;
mod evalsha;
mod fence;
mod fields;
mod fitness;
mod incarnation;
mod keys;
mod lease;
mod marks;
mod messages;
mod outbox;
mod outcome;
mod pinned;
mod pinned_calls;
mod probe;
#[expect(clippy::module_inception, reason = "the type of this name is what the folder is about")]
mod redis;
mod reply;
mod script;
mod time;
mod time_keeper;
mod value;

pub use durability::Durability;
pub use error::RedisError;
pub use fence::{DecidingServer, Inspection};
pub use incarnation::Incarnation;
pub use keys::{CampaignKeys, Keys};
pub use lease::Lease;
pub use marks::{Mark, Marks, pack};
pub use messages::{Channel, Messages, Reconnects};
pub use outbox::{Entry, read_outbox};
pub use pinned_calls::Pinned;
pub use redis::Redis;
pub use reply::{Head, Reply};
pub use script::{Arguments, MadeBy, Script};
pub use time_keeper::TimeEstimate;
pub use value::Value;

//! How can a stock be sold? Each way does the same job: one unit a user, numbered from 1, and a record of the claim.

mod decided_in_redis;
mod get_then_decr;
mod in_rows;
mod onrush;
mod redis_lock;
mod way;

pub(crate) use decided_in_redis::ISSUE;
pub use decided_in_redis::OneCall;
pub use get_then_decr::GetThenDecr;
pub(crate) use in_rows::TABLES;
pub use in_rows::{InRows, Locking};
pub use onrush::InOnrush;
pub use redis_lock::{Lock, RedisLock, Waiting};
pub use way::Way;

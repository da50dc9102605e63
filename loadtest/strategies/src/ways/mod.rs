//! How can a stock be sold? Each way does the same job: one unit a user, numbered from 1, and a record of the claim.

mod decided_in_redis;
mod get_then_decr;
mod in_rows;
mod onrush;
mod redis_lock;

use ::onrush::ids::UserId;

use crate::judge::{Decision, Sale};

pub(crate) use decided_in_redis::ISSUE;
pub use decided_in_redis::OneCall;
pub use get_then_decr::GetThenDecr;
pub(crate) use in_rows::TABLES;
pub use in_rows::{InRows, Locking};
pub use onrush::InOnrush;
pub use redis_lock::{Lock, RedisLock, Waiting};

/// A way to sell, ready to be asked.
pub trait Way: Send + Sync + 'static {
    /// What people call it.
    fn name(&self) -> &'static str;

    /// Whether it sells exactly, by its construction.
    fn is_correct(&self) -> bool;

    /// What else should be known of it, before anything was sold.
    fn note(&self) -> String;

    /// One unit for this user.
    fn ask(&self, user: UserId) -> impl Future<Output = anyhow::Result<Decision>> + Send;

    /// Waits until what was sold is where it is to stay; says what is to be said of that.
    fn settle(&self) -> impl Future<Output = anyhow::Result<Option<String>>> + Send {
        async { Ok(None) }
    }

    /// Every claim that is in the store.
    fn sales(&self) -> impl Future<Output = anyhow::Result<Vec<Sale>>> + Send;
}

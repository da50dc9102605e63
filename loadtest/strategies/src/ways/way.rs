//! What each way to sell can be asked for.

use ::onrush::ids::UserId;

use crate::judge::{Decision, Sale};

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

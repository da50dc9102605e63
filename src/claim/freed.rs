//! Whom does it concern that a unit or a pass has become free?

use std::sync::Arc;

use crate::campaign::Campaign;

/// Hears of it from [`super::Claims`], which knows nobody who waits.
pub trait Freed: Send + Sync {
    /// Somebody else may come in: a pass may have ended, or a unit has come back. Called on the way to an answer, so it only notes it.
    fn freed(&self, campaign: &Arc<Campaign>);
}

//! What is to change while it runs.

use serde::Deserialize;

use crate::chat::ChatManner;
use crate::manners::Manners;

/// What is to change; what is not said stays as it is.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// See [`Manners`].
    pub fail_percent: Option<u64>,
    /// See [`Manners`].
    pub fail_after_ms: Option<u64>,
    /// See [`Manners`].
    pub down: Option<bool>,
    /// See [`Manners`].
    pub seed: Option<u64>,
    /// See [`Manners`].
    pub chat: Option<ChatManner>,
}

impl Change {
    /// `None`: a percentage above 100.
    pub(crate) fn apply(self, manners: Manners) -> Option<Manners> {
        let changed = Manners {
            fail_percent: self.fail_percent.unwrap_or(manners.fail_percent),
            fail_after_ms: self.fail_after_ms.unwrap_or(manners.fail_after_ms),
            down: self.down.unwrap_or(manners.down),
            seed: self.seed.unwrap_or(manners.seed),
            chat: self.chat.unwrap_or(manners.chat),
        };
        (changed.fail_percent <= 100).then_some(changed)
    }
}

//! A rebuild that is under way.

use crate::ids::CampaignId;

/// A campaign that is refused to everyone until this rebuild has finished.
pub(super) struct Begun {
    pub(super) id: CampaignId,
    pub(super) token: String,
    /// The names of the server in which it began.
    pub(super) server: String,
    pub(super) generation_here: u64,
    pub(super) highest_here: u64,
}

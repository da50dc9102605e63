//! What claims tell a waiting room: somebody else may come in.

use std::sync::Arc;

use super::WaitingRooms;
use crate::campaign::Campaign;
use crate::claim::Freed;

impl Freed for WaitingRooms {
    fn freed(&self, campaign: &Arc<Campaign>) {
        // The room's own of this name, which wakes its usher.
        Self::freed(self, campaign);
    }
}

//! What all rooms of a node use.

use std::sync::Arc;

use crate::config;
use crate::redis::Redis;

/// What all rooms of a node use.
pub(super) struct Shared {
    pub(super) redis: Arc<Redis>,
    pub(super) limits: config::Waiting,
}

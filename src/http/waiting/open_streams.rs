//! How many event streams are open on this node?

use std::sync::atomic::AtomicUsize;

/// Streams that are open on this node.
#[derive(Default)]
pub(crate) struct OpenStreams(pub(crate) AtomicUsize);

//! A client's place in a queue.

use std::sync::Arc;

use crate::soak::ledger::Ledger;
/// A place in a queue.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) ledger: Arc<Ledger>,
    pub(super) ticket: String,
    /// As it was told; `None`: nothing is left just now.
    pub(super) number: Option<u64>,
}

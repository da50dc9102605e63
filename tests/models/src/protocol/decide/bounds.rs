//! How much happens in one exploration? What is not bounded here happens in any order and at any moment.

/// Nodes.
pub(crate) const NODES: usize = 2;
/// Requests for a claim, by index.
pub(crate) const CLAIMS: usize = 3;
/// Who makes them: the third is the first user again, who may have one unit.
pub(crate) const USER: [u8; CLAIMS] = [0, 1, 0];
/// Units on offer.
pub(crate) const STOCK: u32 = 2;
/// Units that a user may have.
pub(crate) const LIMIT: u32 = 1;

/// How often something goes wrong, at most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Bounds {
    /// Requests that are made.
    pub(crate) claims: u8,
    /// Redis comes back with an earlier state of its log, empty, or as another server.
    pub(crate) losses: u8,
    /// Its log is further than at the beginning: so many times, at any moment. The loss returns to the last of them.
    pub(crate) syncs: u8,
    /// Nodes that verify the same incarnation at the same time.
    pub(crate) lifters: u8,
    /// SCRIPT FLUSH.
    pub(crate) flushes: u8,
    /// A node dies, and boots.
    pub(crate) deaths: u8,
    /// A record is poison to the ledger, and becomes a dead letter.
    pub(crate) poisons: u8,
    /// What a relay has in hand expires in its producer.
    pub(crate) expiries: u8,
    /// An operator starts a rebuild of what is lost.
    pub(crate) rebuilds: u8,
    /// A rebuild fails in the middle.
    pub(crate) failures: u8,
}

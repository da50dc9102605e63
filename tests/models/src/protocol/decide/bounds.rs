//! How much happens in one exploration? What is not bounded here happens in any order and at any moment.

/// Nodes.
pub(crate) const NODES: usize = 2;
/// Requests for a claim, at most.
pub(crate) const CLAIMS: usize = 3;
/// Units that a user may have.
pub(crate) const LIMIT: usize = 1;

/// The campaign, who wants a unit of it, and what goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bounds {
    /// Units on offer.
    pub(crate) stock: usize,
    /// Requests for one.
    pub(crate) claims: u8,
    /// Who makes them. A user's second request is made when the first has ended, however it did.
    pub(crate) users: [u8; CLAIMS],
    /// Nodes that verify the same incarnation at the same time.
    pub(crate) lifters: usize,
    /// Rebuilds that an operator starts, one after the other or while the one before is under way.
    pub(crate) rebuilds: u8,
    /// How often something goes wrong.
    pub(crate) troubles: Troubles,
}

/// How often something may still go wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Troubles {
    /// Redis comes back as another incarnation: with what its log has, empty, or a replica in its place.
    pub(crate) losses: u8,
    /// Its log, or the replica, comes further than the beginning, at any moment. A loss returns to where it is.
    pub(crate) syncs: u8,
    /// SCRIPT FLUSH.
    pub(crate) flushes: u8,
    /// A node dies, and boots.
    pub(crate) deaths: u8,
    /// A record is poison to the ledger, and becomes a dead letter.
    pub(crate) poisons: u8,
    /// What a relay has in hand expires in its producer.
    pub(crate) expiries: u8,
    /// A rebuild fails in the middle.
    pub(crate) failures: u8,
}

impl Troubles {
    pub(crate) const NONE: Self =
        Self { losses: 0, syncs: 0, flushes: 0, deaths: 0, poisons: 0, expiries: 0, failures: 0 };
}

impl Bounds {
    /// Redis goes back once, and two users want the one unit.
    pub(crate) const ONE_LOSS: Self = Self {
        stock: 1,
        claims: 2,
        users: [0, 1, 0],
        lifters: 1,
        rebuilds: 0,
        troubles: Troubles { losses: 1, syncs: 1, ..Troubles::NONE },
    };

    pub(crate) const fn user(&self, claim: u8) -> u8 {
        self.users[claim as usize]
    }
}

//! How a campaign stands, as numbers.

use crate::redis::Head;

/// How a campaign stands in Redis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peek {
    /// Time and counters.
    pub head: Head,
    /// The highest number that was given.
    pub next: u64,
    /// Claims that were given back.
    pub given_back: u64,
    /// Numbers that a rebuild found no claim of.
    pub lost_numbers: u64,
}

//! What does a seed decide? A sequence of draws of our own, so that a seed means the same plan whatever a library does.

use std::ops::Range;
use std::time::Duration;

/// A sequence of draws (`SplitMix64`).
pub struct Draw(u64);

impl Draw {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of this range.
    pub fn number(&mut self, range: Range<u64>) -> u64 {
        // The bias towards small numbers is far below what anyone here could notice.
        range.start + self.next() % (range.end - range.start)
    }

    /// A place in a list of this length.
    pub fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.number(0..length as u64)).unwrap_or(0)
    }

    /// So many milliseconds.
    pub fn ms(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.number(range))
    }

    /// Yes in so many cases of a hundred.
    pub fn percent(&mut self, yes: u64) -> bool {
        self.number(0..100) < yes
    }
}

//! How it behaves.

use std::time::Duration;

use serde::Serialize;

use crate::chat::ChatManner;

/// How it behaves. What is not said: well.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Manners {
    /// Of a hundred calls so many fail. 0 to 100.
    pub fail_percent: u64,
    /// What fails takes so long to do so, in ms.
    pub fail_after_ms: u64,
    /// Every call fails at once.
    pub down: bool,
    /// Which calls fail.
    pub seed: u64,
    /// How the language model answers.
    pub chat: ChatManner,
}

impl Manners {
    /// Whether the call of this number fails.
    pub(crate) fn fails(&self, call: u64) -> bool {
        mixed(self.seed ^ mixed(call)) % 100 < self.fail_percent
    }

    pub(crate) fn fail_after(&self) -> Duration {
        Duration::from_millis(self.fail_after_ms)
    }
}

/// A number that looks like chance and is none (splitmix64).
pub(crate) fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(fail_percent: u64, seed: u64) -> Vec<u64> {
        let manners = Manners { fail_percent, seed, ..Manners::default() };
        (0..10_000).filter(|call| manners.fails(*call)).collect()
    }

    #[test]
    fn about_the_share_that_was_asked_for_fails_and_the_seed_says_which() {
        assert!(failing(0, 1).is_empty());
        assert_eq!(failing(100, 1).len(), 10_000);
        assert!((1_900..2_100).contains(&failing(20, 1).len()), "{}", failing(20, 1).len());
        assert_eq!(failing(20, 1), failing(20, 1));
        assert_ne!(failing(20, 1), failing(20, 2));
    }
}

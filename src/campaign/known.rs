//! What this node has seen of a campaign, so that a Redis that has gone back in time is noticed.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::redis::Value;

/// The highest generation that this node has seen of a campaign, and in it the highest fact. One word, so that both
/// move together; 48 bits of facts are 281 billion for each of 65,535 generations.
#[derive(Debug, Default)]
pub(crate) struct Known(AtomicU64);

const FACT_BITS: u32 = 48;

/// Both in one word, the generation above.
pub(super) fn pack(generation: u32, fact_no: u64) -> u64 {
    (u64::from(generation) << FACT_BITS) | fact_no
}

impl Known {
    /// Remembers what a reply said.
    pub(crate) fn raise(&self, generation: u32, fact_no: u64) {
        // Relaxed: nothing else is read by the order of this word; a call that misses the newest value is only a little
        // less suspicious than it could be.
        self.0.fetch_max(pack(generation, fact_no), Ordering::Relaxed);
    }

    /// Whether this is all that was seen.
    pub(crate) fn is(&self, generation: u32, fact_no: u64) -> bool {
        self.0.load(Ordering::Relaxed) == pack(generation, fact_no)
    }

    /// What each script of a campaign gets first: no time of its own, the generation, the fact.
    pub(crate) fn args(&self) -> Vec<Value> {
        let known = self.0.load(Ordering::Relaxed);
        let (generation, fact_no) = (known >> FACT_BITS, known & ((1 << FACT_BITS) - 1));
        vec![Value::from_static_str(""), generation.to_string().into(), fact_no.to_string().into()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_generation_counts_more_than_any_fact_of_an_older_one() {
        let known = Known::default();
        known.raise(1, 500);
        known.raise(2, 3);
        known.raise(1, 900);
        assert_eq!(known.args()[1..], [Value::from("2"), Value::from("3")]);
        known.raise(2, 7);
        assert_eq!(known.args()[2], Value::from("7"));
    }
}

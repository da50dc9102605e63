//! What has this node seen of each campaign? The marks against which a Redis that has gone back in time is held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::value::Value;
use crate::ids::CampaignId;

/// The highest generation that this node has seen of a campaign, and in it the highest fact. One word, so that both
/// move together; 48 bits of facts are 281 billion for each of 65,535 generations.
#[derive(Debug, Default)]
pub struct Mark(AtomicU64);

const FACT_BITS: u32 = 48;

/// Both in one word, the generation above.
#[must_use]
pub fn pack(generation: u32, fact_no: u64) -> u64 {
    (u64::from(generation) << FACT_BITS) | fact_no
}

impl Mark {
    /// Remembers what a reply said.
    pub fn raise(&self, generation: u32, fact_no: u64) {
        // Relaxed: nothing else is read by the order of this word; a call that misses the newest value is only a little
        // less suspicious than it could be.
        self.0.fetch_max(pack(generation, fact_no), Ordering::Relaxed);
    }

    /// Whether this is all that was seen.
    #[must_use]
    pub fn is(&self, generation: u32, fact_no: u64) -> bool {
        self.0.load(Ordering::Relaxed) == pack(generation, fact_no)
    }

    /// The generation and the fact; zeros, if nothing was seen.
    #[must_use]
    pub fn get(&self) -> (u64, u64) {
        let seen = self.0.load(Ordering::Relaxed);
        (seen >> FACT_BITS, seen & ((1 << FACT_BITS) - 1))
    }

    /// What each script of a campaign gets first: no time of its own, the generation, the fact.
    #[must_use]
    pub fn args(&self) -> Vec<Value> {
        let (generation, fact_no) = self.get();
        vec![Value::from_static_str(""), generation.to_string().into(), fact_no.to_string().into()]
    }
}

/// The marks of all campaigns that this node has met, one entry for each campaign of the installation at most.
#[derive(Debug, Default)]
pub struct Marks(RwLock<HashMap<CampaignId, Arc<Mark>>>);

impl Marks {
    /// The one mark of this campaign.
    pub fn of(&self, campaign: &CampaignId) -> Arc<Mark> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(campaign).cloned();
        known.unwrap_or_else(|| {
            let mut marks = self.0.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(marks.entry(campaign.clone()).or_default())
        })
    }

    /// All of them of which something was seen.
    #[must_use]
    pub fn all(&self) -> Vec<(CampaignId, Arc<Mark>)> {
        let marks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let seen = marks.iter().filter(|(_, mark)| mark.get().0 > 0);
        seen.map(|(campaign, mark)| (campaign.clone(), Arc::clone(mark))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_generation_counts_more_than_any_fact_of_an_older_one() {
        let mark = Mark::default();
        mark.raise(1, 500);
        mark.raise(2, 3);
        mark.raise(1, 900);
        assert_eq!(mark.args()[1..], [Value::from("2"), Value::from("3")]);
        mark.raise(2, 7);
        assert_eq!(mark.get(), (2, 7));
    }

    #[test]
    fn a_campaign_has_one_mark_and_one_of_which_nothing_was_seen_is_not_listed() {
        let marks = Marks::default();
        let (seen, other) = ("seen".parse().unwrap(), "other".parse().unwrap());
        marks.of(&seen).raise(1, 4);
        assert_eq!(marks.of(&other).get(), (0, 0));
        let all: Vec<_> = marks.all().into_iter().map(|(campaign, mark)| (campaign, mark.get())).collect();
        assert_eq!(all, [(seen, (1, 4))]);
    }
}

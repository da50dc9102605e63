//! How often was this asked for lately? A count-min sketch of atomics, halved now and then, and the names of what is hot.
//!
//! It may say too much, where others share all of an entry's counters, and never too little but for the halving.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::names::Id;

const ROWS: usize = 4;
/// Counters of a row: 64 KiB in all. What is hot stands out from 100,000 others that were asked for once.
const WIDTH: usize = 4_096;
/// Names that are remembered.
const NAMES_MAX: usize = 32;

/// Counts what is asked for.
pub(super) struct Sketch {
    counters: Box<[AtomicU32]>,
    names: Mutex<Vec<(Id, String)>>,
}

impl Sketch {
    pub(super) fn new() -> Self {
        Self { counters: (0..ROWS * WIDTH).map(|_| AtomicU32::new(0)).collect(), names: Mutex::default() }
    }

    fn counters_of(&self, id: Id) -> impl Iterator<Item = &AtomicU32> {
        (0..ROWS).map(move |row| {
            let at = id.bits(u32::try_from(row * 24).expect("small")) % WIDTH;
            &self.counters[row * WIDTH + at]
        })
    }

    /// Counts one more, and answers how many that makes.
    pub(super) fn add(&self, id: Id) -> u32 {
        // Relaxed: nothing else is read by their order.
        let counted = self.counters_of(id).map(|counter| counter.fetch_add(1, Ordering::Relaxed).saturating_add(1));
        counted.min().unwrap_or(0)
    }

    fn count(&self, id: Id) -> u32 {
        self.counters_of(id).map(|counter| counter.load(Ordering::Relaxed)).min().unwrap_or(0)
    }

    /// What was long ago counts half as much.
    pub(super) fn halve(&self) {
        for counter in &self.counters {
            // What is added in between is lost to a store that comes late: one count of thousands.
            counter.store(counter.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
        }
    }

    /// Remembers the name of what has become hot, instead of what is asked for least.
    pub(super) fn note(&self, id: Id, field: String) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.iter().any(|(known, _)| *known == id) {
            return;
        }
        if names.len() >= NAMES_MAX {
            let counts = names.iter().map(|(known, _)| self.count(*known)).enumerate();
            let Some((coldest, least)) = counts.min_by_key(|(_, count)| *count) else { return };
            if least >= self.count(id) {
                return;
            }
            names.swap_remove(coldest);
        }
        names.push((id, field));
    }

    /// Names and counts of what is asked for most, most first.
    pub(super) fn hottest(&self) -> Vec<(String, u32)> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hottest: Vec<(String, u32)> =
            names.iter().map(|(id, field)| (field.clone(), self.count(*id))).filter(|(_, count)| *count > 0).collect();
        hottest.sort_by(|(one, count), (other, other_count)| other_count.cmp(count).then_with(|| one.cmp(other)));
        hottest
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::Names;
    use super::*;

    #[test]
    fn what_is_hot_stands_out_from_many_others_and_cools() {
        let (names, sketch) = (Names::default(), Sketch::new());
        let hot = names.id("post", "hot");
        let counted = (0..500).map(|_| sketch.add(hot)).last();
        assert!(counted >= Some(500));
        for key in 0..20_000 {
            sketch.add(names.id("post", &key.to_string()));
        }
        assert!((500..600).contains(&sketch.count(hot)), "{}", sketch.count(hot));
        assert!(sketch.count(names.id("post", "never")) < 50);
        sketch.halve();
        assert!((250..300).contains(&sketch.count(hot)), "{}", sketch.count(hot));
    }

    #[test]
    fn the_hottest_names_are_kept_and_few() {
        let (names, sketch) = (Names::default(), Sketch::new());
        for key in 1..=100_u32 {
            let id = names.id("post", &key.to_string());
            assert!((0..key * 10).map(|_| sketch.add(id)).last() >= Some(key * 10));
            sketch.note(id, format!("post:{key}"));
            sketch.note(id, format!("post:{key}"));
        }
        let hottest = sketch.hottest();
        assert_eq!(hottest.len(), NAMES_MAX);
        assert_eq!(hottest[0].0, "post:100");
        assert!(hottest.iter().all(|(_, count)| *count >= 600), "{hottest:?}");
    }
}

//! Was the queue a queue? What all visitors of a waiting room were told, in the order of time.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How old a node may be in telling somebody that they wait.
const AGE_MAX: Duration = Duration::from_secs(1);

/// Places that were told.
#[derive(Default)]
pub(crate) struct Queue {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    places: HashSet<u64>,
    joined: Marks,
    inside: Marks,
}

/// The highest place so far, and since when.
#[derive(Default)]
struct Marks(Vec<(Instant, u64)>);

impl Marks {
    fn note(&mut self, place: u64) {
        let highest = self.0.last().map_or(0, |(_, highest)| *highest);
        self.0.push((Instant::now(), highest.max(place)));
    }

    fn before(&self, moment: Instant) -> u64 {
        let count = self.0.partition_point(|(at, _)| *at < moment);
        count.checked_sub(1).map_or(0, |last| self.0[last].1)
    }
}

impl Queue {
    /// Somebody who asked at this moment was given this place. What is wrong with it.
    pub(crate) fn joined(&self, place: u64, asked: Instant) -> Result<(), String> {
        let mut entries = self.entries();
        let earlier = entries.joined.before(asked);
        entries.joined.note(place);
        if !entries.places.insert(place) {
            return Err(format!("the place {place} was given twice"));
        }
        if place < earlier {
            return Err(format!("the place {place} was given after {earlier}"));
        }
        Ok(())
    }

    /// Somebody heard that they are inside.
    pub(crate) fn inside(&self, place: u64) {
        self.entries().inside.note(place);
    }

    /// Somebody who asked at this moment heard that they wait. What is wrong with it.
    pub(crate) fn waits(&self, place: u64, asked: Instant) -> Result<(), String> {
        let known = asked.checked_sub(AGE_MAX).map_or(0, |moment| self.entries().inside.before(moment));
        if place < known { Err(format!("{place} waits, and {known} has been inside for a second")) } else { Ok(()) }
    }

    /// How many places were told.
    pub(crate) fn places(&self) -> u64 {
        self.entries().places.len() as u64
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_once_and_places_ascend() {
        let (queue, begun) = (Queue::default(), Instant::now());
        queue.joined(2, begun).unwrap();
        // These had asked before anybody had an answer.
        queue.joined(1, begun).unwrap();
        assert_eq!(queue.joined(1, begun).unwrap_err(), "the place 1 was given twice");
        let later = Instant::now() + Duration::from_millis(1);
        assert_eq!(queue.joined(0, later).unwrap_err(), "the place 0 was given after 2");
        assert_eq!(queue.places(), 3);
    }

    #[test]
    fn who_is_passed_over_is_noticed_after_a_second() {
        let (queue, now) = (Queue::default(), Instant::now());
        queue.inside(7);
        queue.waits(5, now + AGE_MAX).unwrap();
        queue.waits(8, now + AGE_MAX * 3).unwrap();
        let wrong = queue.waits(5, now + AGE_MAX * 2).unwrap_err();
        assert_eq!(wrong, "5 waits, and 7 has been inside for a second");
    }
}

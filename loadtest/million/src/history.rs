//! How old was what visitors were told? What Redis held, look by look, and every `ahead` held against it.
//!
//! - The truth at a look is `number - admitted_to - 1 - departures between`. It can only fall, so an `ahead` was the truth
//!   until some moment between the last look that has no less and the one after it.
//! - It is said to be as old as the earlier of the two looks, counted to when the answer was here: what is found is never
//!   less than the truth, and up to a look and the answer's way more. Beside that stands what the node alone is to blame
//!   for: from the later look to when it was asked.
//! - An answer is judged with the first look that began after it came. An `ahead` below what that look has was never true.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Looks that are kept: with one each 50 ms, 10 s. What is older than all of them is said to be that old at least.
const LOOKS_MAX: usize = 200;
/// Words of the bitmap that are counted together.
const BLOCK_WORDS: usize = 8;
const WORD_BITS: u64 = 64;

/// What Redis held at one moment.
pub(crate) struct Look {
    /// When it was asked, and when the answer was here: it is what was so at some moment between.
    pub(crate) asked: Instant,
    pub(crate) came: Instant,
    /// The place of the last one who was admitted in turn.
    pub(crate) admitted_to: u64,
    /// Who left out of turn.
    pub(crate) departures: Departures,
}

/// A bit for each place that was left out of turn, and how many there are up to each block.
#[derive(Debug, Default)]
pub(crate) struct Departures {
    words: Vec<u64>,
    before_block: Vec<u32>,
}

/// What was told, and not judged yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StatusAnswer {
    pub(crate) number: u64,
    pub(crate) ahead: u64,
    /// When the request was sent, and when the answer was here.
    pub(crate) asked: Instant,
    pub(crate) came: Instant,
}

/// What was found so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ages {
    /// Answers that were judged.
    pub(crate) judged: u64,
    /// The oldest, and how old it was at most, when it had come.
    pub(crate) oldest: Duration,
    /// How old one was at least when it was asked for.
    pub(crate) oldest_asked: Duration,
    /// What is known of its answer, for people.
    pub(crate) told: String,
    /// By age in ms, in steps of 100; the last also holds all above.
    pub(crate) by_100_ms: [u64; 12],
    /// Answers that were never true.
    pub(crate) untrue: u64,
    /// The first of them.
    pub(crate) first_untrue: Option<String>,
}

/// Looks and answers.
#[derive(Default)]
pub(crate) struct History {
    looks: VecDeque<Look>,
    told: Vec<StatusAnswer>,
    ages: Ages,
}

impl Departures {
    /// As Redis has them: the first place is the highest bit of the first byte.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let word = |chunk: &[u8]| {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            u64::from_be_bytes(bytes)
        };
        let words: Vec<u64> = bytes.chunks(8).map(word).collect();
        let mut sum = 0;
        let before_block = words
            .chunks(BLOCK_WORDS)
            .map(|block| {
                let before = sum;
                sum += block.iter().map(|word| word.count_ones()).sum::<u32>();
                before
            })
            .collect();
        Self { words, before_block }
    }

    /// How many places below this one were left.
    fn below(&self, place: u64) -> u64 {
        let whole = usize::try_from(place / WORD_BITS).unwrap_or(usize::MAX).min(self.words.len());
        let Some(before) = self.before_block.get((whole / BLOCK_WORDS).min(self.before_block.len().saturating_sub(1)))
        else {
            return 0;
        };
        let block = (whole / BLOCK_WORDS).min(self.before_block.len() - 1) * BLOCK_WORDS;
        let rest: u32 = self.words[block..whole].iter().map(|word| word.count_ones()).sum();
        let bits = place % WORD_BITS;
        let part = match self.words.get(whole) {
            Some(word) if bits > 0 => (word >> (WORD_BITS - bits)).count_ones(),
            _ => 0,
        };
        u64::from(before + rest + part)
    }

    /// How many places after the first and before the second were left.
    fn between(&self, first: u64, second: u64) -> u64 {
        if second <= first + 1 { 0 } else { self.below(second) - self.below(first + 1) }
    }
}

impl Look {
    /// How many were ahead of this number; below zero once it was admitted.
    fn ahead_of(&self, number: u64) -> i128 {
        let between = self.departures.between(self.admitted_to, number);
        i128::from(number) - i128::from(self.admitted_to) - 1 - i128::from(between)
    }
}

impl History {
    /// A visitor was told this, and the answer is here now.
    pub(crate) fn note(&mut self, told: StatusAnswer) {
        self.told.push(told);
    }

    /// The next look; judges what was told before it.
    pub(crate) fn add(&mut self, look: Look) {
        let asked = look.asked;
        if self.looks.len() == LOOKS_MAX {
            self.looks.pop_front();
        }
        self.looks.push_back(look);
        let (ready, early): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.told).into_iter().partition(|told| told.came <= asked);
        self.told = early;
        for told in ready {
            self.judge(&told);
        }
    }

    /// What was found.
    pub(crate) fn ages(&self) -> &Ages {
        &self.ages
    }

    fn judge(&mut self, told: &StatusAnswer) {
        let ahead = i128::from(told.ahead);
        self.ages.judged += 1;
        let mut newer: Option<&Look> = None;
        let mut at_least = "";
        let mut last_true = None;
        for look in self.looks.iter().rev() {
            let truth = look.ahead_of(told.number);
            if truth >= ahead {
                if newer.is_none() && truth > ahead {
                    self.ages.untrue += 1;
                    let text = || format!("{} ahead of {}, when it was still {truth}", told.ahead, told.number);
                    self.ages.first_untrue.get_or_insert_with(text);
                    return;
                }
                last_true = Some(look);
                break;
            }
            newer = Some(look);
        }
        let Some(look) = last_true.or_else(|| {
            at_least = "at least ";
            self.looks.front()
        }) else {
            return;
        };
        let age = told.came.saturating_duration_since(look.asked);
        let step = usize::try_from(age.as_millis() / 100).unwrap_or(usize::MAX);
        self.ages.by_100_ms[step.min(self.ages.by_100_ms.len() - 1)] += 1;
        let since =
            |moment: Instant| newer.map_or(Duration::ZERO, |newer| moment.saturating_duration_since(newer.came));
        self.ages.oldest_asked = self.ages.oldest_asked.max(since(told.asked));
        if age > self.ages.oldest {
            self.ages.oldest = age;
            let least = since(told.came);
            self.ages.told = format!(
                "{} was told {} ahead, which had been so until {at_least}{} to {} ms before",
                told.number,
                told.ahead,
                least.as_millis(),
                age.as_millis()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bitmap(places: &[u64]) -> Departures {
        let mut bytes = vec![0_u8; 300];
        for place in places {
            bytes[usize::try_from(place / 8).unwrap()] |= 0x80 >> (place % 8);
        }
        Departures::of(&bytes)
    }

    #[test]
    fn departures_are_counted_between_two_places() {
        let places = [3, 8, 63, 64, 65, 511, 512, 1_000, 2_047, 2_399];
        let departures = bitmap(&places);
        for first in (0..3_000).step_by(7) {
            for second in (first..3_200).step_by(11) {
                let count = places.iter().filter(|place| **place > first && **place < second).count();
                assert_eq!(departures.between(first, second), count as u64, "between {first} and {second}");
            }
        }
        assert_eq!(Departures::default().between(0, 1_000_000), 0);
    }

    struct Clock(Instant);

    impl Clock {
        fn at(&self, ms: u64) -> Instant {
            self.0 + Duration::from_millis(ms)
        }

        fn told(&self, number: u64, ahead: u64, ms: u64) -> StatusAnswer {
            StatusAnswer { number, ahead, asked: self.at(ms - 5), came: self.at(ms) }
        }

        fn look(&self, ms: u64, admitted_to: u64, left: &[u64]) -> Look {
            Look { asked: self.at(ms), came: self.at(ms + 1), admitted_to, departures: bitmap(left) }
        }
    }

    #[test]
    fn what_is_still_true_is_as_old_as_its_answer_was_under_way() {
        let (clock, mut history) = (Clock(Instant::now()), History::default());
        history.add(clock.look(0, 10, &[]));
        history.note(clock.told(100, 89, 20));
        history.add(clock.look(50, 10, &[]));
        assert_eq!((history.ages().judged, history.ages().oldest), (1, Duration::ZERO));
    }

    #[test]
    fn what_was_true_once_is_as_old_as_the_last_look_that_has_it() {
        let (clock, mut history) = (Clock(Instant::now()), History::default());
        history.add(clock.look(0, 10, &[]));
        history.add(clock.look(50, 20, &[]));
        history.add(clock.look(100, 30, &[60]));
        history.note(clock.told(100, 79, 120));
        history.add(clock.look(150, 30, &[60]));
        assert_eq!(history.ages().oldest, Duration::from_millis(70), "{}", history.ages().told);
        // The look after it was there at 101, and it was asked at 115.
        assert_eq!(history.ages().oldest_asked, Duration::from_millis(14));
        // Between two looks it may have been so.
        history.note(clock.told(100, 85, 170));
        history.add(clock.look(200, 30, &[60]));
        assert_eq!(history.ages().oldest, Duration::from_millis(170), "{}", history.ages().told);
        // Before all looks: as old as the first at least.
        history.note(clock.told(100, 99, 210));
        history.add(clock.look(250, 30, &[60]));
        assert_eq!(history.ages().oldest, Duration::from_millis(210), "{}", history.ages().told);
        assert_eq!((history.ages().judged, history.ages().untrue), (3, 0));
    }

    #[test]
    fn news_that_no_look_has_yet_is_judged_by_the_next_one() {
        let (clock, mut history) = (Clock(Instant::now()), History::default());
        history.add(clock.look(0, 10, &[]));
        history.note(clock.told(100, 69, 20));
        // This look was under way when the answer came: it may be older.
        history.add(clock.look(19, 10, &[]));
        assert_eq!(history.ages().judged, 0);
        history.add(clock.look(50, 30, &[]));
        assert_eq!((history.ages().judged, history.ages().untrue), (1, 0));
        history.note(clock.told(100, 60, 70));
        history.add(clock.look(100, 30, &[]));
        assert_eq!(history.ages().untrue, 1, "there were never so few ahead");
    }
}

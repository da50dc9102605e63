//! How many rows may this worker write now?
//!
//! All workers together stay at or below the maximum in any second, by the time at which the database commits, without
//! talking to each other:
//!
//! - Each may use the maximum times its share of the partitions, rounded down; the shares add up to one at most.
//! - A batch counts from when its commit was *answered*. It was committed before, and the next one is committed after
//!   it was begun, so the commits lie further apart than what is measured here.
//! - A worker that is given partitions keeps still for a second: what their last worker wrote is then out of the window.
//! - A maximum below the number of partitions cannot be shared so: workers would have a fraction of a row a second. They
//!   then take turns: each row needs one of `rows_per_second_max` units, which a worker holds for a second after it.

mod turns;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use turns::Turn;

/// A second, and some more for a database whose clock is being put right.
pub const WINDOW: Duration = Duration::from_millis(1_010);

/// How soon to look again for the answer to what is being written.
const UNDER_WAY: Duration = Duration::from_millis(20);

/// What may be written now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// So many facts, 1 or more.
    Now(u64),
    /// Nothing before this moment.
    Until(Instant),
    /// Nothing while the worker has no partition, or does not know how many there are.
    Nothing,
}

/// One worker's share of the maximum, and what it has used of it.
#[derive(Debug)]
pub struct Throttle {
    rows_per_second_max: u64,
    mine: u64,
    all: u64,
    quiet_until: Option<Instant>,
    written: VecDeque<(Instant, u64)>,
    /// Rows that are being written by several at once, and no database has answered for yet.
    reserved: u64,
}

impl Throttle {
    /// Of no partition yet: nothing may be written.
    #[must_use]
    pub fn new(rows_per_second_max: u64) -> Self {
        Self { rows_per_second_max, mine: 0, all: 0, quiet_until: None, written: VecDeque::new(), reserved: 0 }
    }

    /// Holds at once, against what was written before, too.
    pub fn set_max(&mut self, rows_per_second_max: u64) {
        self.rows_per_second_max = rows_per_second_max;
    }

    /// This worker has so many of all partitions, and was last given one at that time.
    pub fn set_share(&mut self, mine: u64, all: u64, gained_at: Instant) {
        (self.mine, self.all) = (mine, all);
        self.quiet_until = self.quiet_until.max(Some(gained_at + WINDOW));
    }

    /// What may be written now, of so many facts that wait. Of a large share a part goes at a time, `parts` a second:
    /// the database is spared waves.
    #[must_use]
    pub fn allowance(&self, wanted: u64, parts: u64, now: Instant) -> Allowance {
        let facts_max = self.facts_max();
        if facts_max == 0 || wanted == 0 {
            return Allowance::Nothing;
        }
        if let Some(quiet_until) = self.quiet_until.filter(|until| now < *until) {
            return Allowance::Until(quiet_until);
        }
        let part = wanted.min(facts_max.div_ceil(parts.max(1)));
        let in_window = || self.written.iter().filter(|(at, _)| now.saturating_duration_since(*at) < WINDOW);
        let mut used: u64 = self.reserved + in_window().map(|(_, count)| count).sum::<u64>();
        let mut free_at = now;
        for (at, count) in in_window() {
            if used + part <= facts_max {
                break;
            }
            used -= count;
            free_at = *at + WINDOW;
        }
        if free_at > now {
            Allowance::Until(free_at)
        } else if used + part > facts_max {
            Allowance::Until(now + UNDER_WAY)
        } else {
            Allowance::Now(part)
        }
    }

    /// For those who write several batches at the same time: so many rows are being written from now on. They count until
    /// [`Throttle::settle`], and from then on as what was just written, since they were committed some time in between.
    pub fn reserve(&mut self, rows: u64) {
        self.reserved += rows;
    }

    /// Of so many reserved rows so many were written, or perhaps were, and it is known since now.
    pub fn settle(&mut self, reserved: u64, written: u64, now: Instant) {
        self.reserved = self.reserved.saturating_sub(reserved);
        self.count(written, now);
    }

    /// How many units there are to take turns by, where the maximum is too small to be shared.
    #[must_use]
    pub fn units(&self) -> Option<u64> {
        (self.mine < self.all && self.rows_per_second_max < self.all).then_some(self.rows_per_second_max)
    }

    /// So many facts were written, or perhaps were, and it is known since now.
    pub fn count(&mut self, facts: u64, now: Instant) {
        self.written.push_back((now, facts));
        while self.written.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= WINDOW) {
            self.written.pop_front();
        }
    }

    /// Facts that this worker may write in a second.
    fn facts_max(&self) -> u64 {
        if self.all == 0 {
            return 0;
        }
        let share = u128::from(self.rows_per_second_max) * u128::from(self.mine);
        let all = u128::from(self.all);
        let facts = if self.units().is_some() { share.div_ceil(all) } else { share / all };
        u64::try_from(facts).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn settled(max: u64, mine: u64, all: u64, at: Instant) -> Throttle {
        let mut throttle = Throttle::new(max);
        throttle.set_share(mine, all, at.checked_sub(2 * SECOND).unwrap());
        throttle
    }

    fn now_plus(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_worker_uses_its_share_and_then_waits_for_the_oldest_to_leave_the_window() {
        let start = Instant::now() + 10 * SECOND;
        let mut throttle = settled(500, 3, 6, start);
        assert_eq!(throttle.allowance(1_000, 1, start), Allowance::Now(250));
        throttle.count(250, start);
        assert_eq!(throttle.allowance(1, 1, now_plus(start, 999)), Allowance::Until(start + WINDOW));
        assert_eq!(throttle.allowance(1_000, 1, start + WINDOW), Allowance::Now(250));
    }

    #[test]
    fn a_large_share_goes_in_parts() {
        let start = Instant::now() + 10 * SECOND;
        assert_eq!(settled(500, 6, 6, start).allowance(1_000, 5, start), Allowance::Now(100));
    }

    #[test]
    fn a_worker_that_gains_partitions_keeps_still_for_a_second() {
        let start = Instant::now() + 10 * SECOND;
        let mut throttle = settled(600, 3, 6, start);
        throttle.set_share(6, 6, start);
        assert_eq!(throttle.allowance(1, 1, now_plus(start, 1_000)), Allowance::Until(start + WINDOW));
        assert_eq!(throttle.allowance(1_000, 1, start + WINDOW), Allowance::Now(600));
    }

    #[test]
    fn a_lowered_maximum_holds_against_what_was_already_written() {
        let start = Instant::now() + 10 * SECOND;
        let mut throttle = settled(1_000, 6, 6, start);
        throttle.count(400, start);
        throttle.set_max(300);
        assert_eq!(throttle.allowance(1, 1, now_plus(start, 10)), Allowance::Until(start + WINDOW));
        throttle.set_max(500);
        assert_eq!(throttle.allowance(1_000, 10, now_plus(start, 10)), Allowance::Now(50));
    }

    #[test]
    fn a_maximum_below_the_number_of_partitions_is_shared_by_turns() {
        let start = Instant::now() + 10 * SECOND;
        assert_eq!(settled(5, 6, 6, start).units(), None);
        assert_eq!(settled(6, 3, 6, start).units(), None);
        let throttle = settled(5, 2, 6, start);
        assert_eq!(throttle.units(), Some(5));
        assert_eq!(throttle.allowance(9, 1, start), Allowance::Now(2));
    }

    #[test]
    fn a_worker_without_partitions_writes_nothing() {
        let start = Instant::now() + 10 * SECOND;
        assert_eq!(settled(5, 0, 6, start).allowance(1, 1, start), Allowance::Nothing);
        assert_eq!(settled(5, 1, 0, start).allowance(1, 1, start), Allowance::Nothing);
    }

    #[test]
    fn what_is_being_written_counts_until_it_is_answered_and_a_second_longer() {
        let start = Instant::now() + 10 * SECOND;
        let mut throttle = settled(100, 6, 6, start);
        throttle.reserve(60);
        assert_eq!(throttle.allowance(40, 1, start), Allowance::Now(40));
        let later = start + 5 * SECOND;
        assert_eq!(throttle.allowance(41, 1, later), Allowance::Until(later + UNDER_WAY));
        throttle.settle(60, 50, later);
        assert_eq!(throttle.allowance(50, 1, later), Allowance::Now(50));
        assert_eq!(throttle.allowance(51, 1, later), Allowance::Until(later + WINDOW));
    }

    proptest! {
        /// Two workers at random moments with random wishes, partitions that move between them, and a commit that
        /// falls anywhere between a batch's begin and its answer.
        #[test]
        fn no_second_has_more_than_the_maximum(
            max in 6_u64..2_000,
            steps in prop::collection::vec(
                (0_u64..400, 0_usize..2, 1_u64..3_000, 0_u64..5, 0_u64..5, prop::option::weighted(0.05, 0_u64..=6)),
                1..200,
            ),
        ) {
            let start = Instant::now() + 10 * SECOND;
            let mut workers = [settled(max, 3, 6, start), settled(max, 3, 6, start)];
            let (mut now, mut commits, mut first) = (start, Vec::new(), 3);
            for (pause, who, wanted, before_commit, after_commit, moved) in steps {
                now += Duration::from_millis(pause);
                if let Some(of_first) = moved {
                    let gained = [of_first > first, of_first < first];
                    first = of_first;
                    for (worker, (mine, gained)) in workers.iter_mut().zip([of_first, 6 - of_first].into_iter().zip(gained)) {
                        worker.set_share(mine, 6, if gained { now } else { start.checked_sub(2 * SECOND).unwrap() });
                    }
                }
                if let (0, Allowance::Until(moment)) = (pause % 2, workers[who].allowance(wanted, 5, now)) {
                    // Not a moment later than it may.
                    now = moment;
                }
                if let Allowance::Now(count) = workers[who].allowance(wanted, 5, now) {
                    now += Duration::from_millis(before_commit);
                    commits.push((now, count));
                    now += Duration::from_millis(after_commit);
                    workers[who].count(count, now);
                }
            }
            for (from, _) in &commits {
                let sum: u64 = commits.iter().filter(|(at, _)| at >= from && *at < *from + SECOND).map(|(_, n)| n).sum();
                prop_assert!(sum <= max, "{sum} within a second, maximum {max}");
            }
        }
    }
}

//! Who asks next? A timer for each of a million users: a list for each tenth of a second, threaded through one array, so
//! that a user costs four bytes and setting a timer two writes.

use std::time::{Duration, Instant};

/// A timer rings at most so much later than it was due, and never earlier.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// Longer than anybody may be told to wait: 3,600 s.
const TICKS: usize = 40_000;
const NOBODY: u32 = u32::MAX;

/// Timers of users, of whom each has one at most.
pub(crate) struct Wheel {
    start: Instant,
    /// Ticks that have rung.
    rung: u64,
    /// The first of each tick's list, by the tick's number modulo their count.
    first: Vec<u32>,
    /// Who follows a user in the list of their tick.
    next: Vec<u32>,
}

impl Wheel {
    /// Without any timer.
    pub(crate) fn new(start: Instant, users: usize) -> Self {
        Self { start, rung: 0, first: vec![NOBODY; TICKS], next: vec![NOBODY; users] }
    }

    /// Sets the timer of a user who has none. What is due already rings with the next tick.
    pub(crate) fn set(&mut self, user: u32, due: Instant) {
        let after = due.saturating_duration_since(self.start).as_nanos();
        let tick = u64::try_from(after.div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX);
        let tick = tick.clamp(self.rung + 1, self.rung + TICKS as u64 - 1);
        let list = &mut self.first[slot(tick)];
        self.next[user as usize] = std::mem::replace(list, user);
    }

    /// Lets all ring that are due by now, in the order of their ticks.
    pub(crate) fn ring(&mut self, now: Instant, mut each: impl FnMut(u32, Instant)) {
        let elapsed = now.saturating_duration_since(self.start).as_nanos() / TICK.as_nanos();
        let last = u64::try_from(elapsed).unwrap_or(u64::MAX);
        while self.rung < last {
            self.rung += 1;
            let due = self.start + TICK * u32::try_from(self.rung).unwrap_or(u32::MAX);
            let mut user = std::mem::replace(&mut self.first[slot(self.rung)], NOBODY);
            while user != NOBODY {
                let after = std::mem::replace(&mut self.next[user as usize], NOBODY);
                each(user, due);
                user = after;
            }
        }
    }
}

fn slot(tick: u64) -> usize {
    usize::try_from(tick % TICKS as u64).expect("it is less than the slots")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rung(wheel: &mut Wheel, now: Instant) -> Vec<u32> {
        let mut users = Vec::new();
        wheel.ring(now, |user, _| users.push(user));
        users
    }

    #[test]
    fn nobody_rings_early_and_everybody_within_a_tick() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start, 1_000);
        let due = |user: u32| start + Duration::from_millis(u64::from(user) * 37);
        (0..1_000).for_each(|user| wheel.set(user, due(user)));
        let mut seen = 0;
        for step in 0..2_000_u32 {
            let now = start + Duration::from_millis(20) * step;
            wheel.ring(now, |user, at| {
                assert!(due(user) <= at && at <= now, "{user} rings early");
                assert!(now <= due(user).max(start + Duration::from_nanos(1)) + TICK + Duration::from_millis(20));
                seen += 1;
            });
        }
        assert_eq!(seen, 1_000);
    }

    #[test]
    fn who_is_late_rings_with_the_next_tick_and_once() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start, 4);
        assert_eq!(rung(&mut wheel, start + TICK * 50), Vec::<u32>::new());
        wheel.set(1, start);
        wheel.set(2, start + TICK * 51);
        assert_eq!(rung(&mut wheel, start + TICK * 51), [2, 1]);
        wheel.set(1, start + TICK * 60);
        assert_eq!(rung(&mut wheel, start + TICK * 100), [1]);
        assert_eq!(rung(&mut wheel, start + TICK * 80_000), Vec::<u32>::new());
    }

    #[test]
    fn the_wheel_turns_more_than_once() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start, 2);
        let turn = TICK * u32::try_from(TICKS).unwrap();
        assert!(rung(&mut wheel, start + turn.checked_sub(TICK).unwrap()).is_empty());
        wheel.set(0, start + turn + TICK * 3);
        assert!(rung(&mut wheel, start + turn + TICK * 2).is_empty());
        assert_eq!(rung(&mut wheel, start + turn + TICK * 3), [0]);
    }
}

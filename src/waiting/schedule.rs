//! When is it whose turn? As late as the last of what holds people back: the pace, exactly; the cap and the units, by how
//! fast places have become free lately.

use crate::campaign::Waiting;
use crate::clock::Millis;

/// When those who wait will enter. Whoever something holds back of which nobody can say how fast it moves is told nothing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Schedule {
    /// Whether anybody enters at all.
    is_moving: bool,
    pace: Option<Paced>,
    cap: Option<Gate>,
    units: Gate,
}

/// Something of which so many may enter now, and more only as others make room.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gate {
    pub(super) free: u64,
    /// How fast it became free lately, in places a second; `None`: nothing did, or too little was seen.
    pub(super) rate: Option<f64>,
}

impl Gate {
    fn wait_ms(self, ahead: u64) -> Option<u64> {
        match ahead.checked_sub(self.free) {
            None => Some(0),
            Some(before) => self.rate.filter(|rate| *rate > 0.0).map(|rate| at_rate(before, rate)),
        }
    }
}

/// A full window of admissions repeats itself, one window later each time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Paced {
    every_ms: u64,
    admit: u64,
    /// How long until so many, all told, may enter; ascending. The last has `admit`.
    turns: Vec<(u64, u64)>,
}

impl Schedule {
    /// Nobody enters for now.
    pub(super) fn stopped() -> Self {
        Self { is_moving: false, pace: None, cap: None, units: Gate { free: 0, rate: None } }
    }

    /// `pace`: admissions, the oldest first.
    pub(super) fn new(waiting: &Waiting, now: Millis, pace: &[(i64, u64)], cap: Option<Gate>, units: Gate) -> Self {
        let pace = match (waiting.admit, waiting.every_ms) {
            (Some(admit), Some(every_ms)) => Some(Paced::new(admit, every_ms, now, pace)),
            _ => None,
        };
        Self { is_moving: true, pace, cap, units }
    }

    /// How long, in ms, until somebody with so many ahead enters; `None`: nobody can say.
    pub(super) fn wait_ms(&self, ahead: u64) -> Option<u64> {
        if !self.is_moving {
            return None;
        }
        let by_pace = self.pace.as_ref().map_or(0, |pace| pace.wait_ms(ahead));
        let by_cap = self.cap.map_or(Some(0), |cap| cap.wait_ms(ahead))?;
        Some(by_pace.max(by_cap).max(self.units.wait_ms(ahead)?))
    }
}

fn at_rate(ahead: u64, rate: f64) -> u64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate; a cast of a float saturates"
    )]
    let ms = ((ahead + 1) as f64 * 1_000.0 / rate) as u64;
    ms
}

impl Paced {
    fn new(admit: u64, every_ms: u64, now: Millis, pace: &[(i64, u64)]) -> Self {
        let every = i64::try_from(every_ms).unwrap_or(i64::MAX);
        let in_window = || pace.iter().filter(|(at, _)| *at > now.0 - every);
        let entered: u64 = in_window().map(|(_, count)| count).sum();
        let mut turns = Vec::with_capacity(pace.len() + 1);
        let mut told = admit.saturating_sub(entered);
        if told > 0 {
            turns.push((0, told));
        }
        for (at, count) in in_window() {
            told = (told + count).min(admit);
            let in_ms = u64::try_from(at + every - now.0).unwrap_or(0);
            turns.push((in_ms, told));
        }
        // More entries than were asked for: the rest counts as entered with the last.
        if told < admit {
            turns.push((turns.last().map_or(every_ms, |(in_ms, _)| *in_ms), admit));
        }
        Self { every_ms, admit, turns }
    }

    fn wait_ms(&self, ahead: u64) -> u64 {
        let (windows, turn) = (ahead / self.admit, ahead % self.admit + 1);
        let index = self.turns.partition_point(|(_, told)| *told < turn);
        let within = self.turns.get(index).map_or(self.every_ms, |(in_ms, _)| *in_ms);
        windows * self.every_ms + within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(admit: u64, every_ms: u64, active_max: Option<u64>) -> Waiting {
        Waiting { admit: Some(admit), every_ms: Some(every_ms), active_max, ..Waiting::default() }
    }

    const ENOUGH: Gate = Gate { free: u64::MAX, rate: None };

    fn gate(free: u64, rate: Option<f64>) -> Gate {
        Gate { free, rate }
    }

    #[test]
    fn a_pace_says_exactly_when_each_place_has_its_turn() {
        // 750 entered at second 0; it is second 2.
        let schedule = Schedule::new(&waiting(750, 10_000, None), Millis(2_000), &[(0, 750)], None, ENOUGH);
        let wait = |ahead| schedule.wait_ms(ahead).unwrap();
        assert_eq!((wait(0), wait(749), wait(750), wait(1_499), wait(1_500)), (8_000, 8_000, 18_000, 18_000, 28_000));
        // A window that is half full, of admissions at two moments.
        let pace = [(-5_000, 9), (0, 100), (1_000, 200)];
        let schedule = Schedule::new(&waiting(750, 5_000, None), Millis(2_000), &pace, None, ENOUGH);
        let wait = |ahead| schedule.wait_ms(ahead).unwrap();
        assert_eq!(
            (wait(449), wait(450), wait(549), wait(550), wait(749), wait(750)),
            (0, 3_000, 3_000, 4_000, 4_000, 5_000)
        );
    }

    #[test]
    fn where_places_become_free_as_others_leave_it_goes_by_what_was_measured() {
        let capped = Waiting { active_max: Some(50), ..Waiting::default() };
        let wait = |cap, ahead| Schedule::new(&capped, Millis(0), &[], cap, ENOUGH).wait_ms(ahead);
        assert_eq!(wait(Some(gate(0, Some(2.0))), 9), Some(5_000));
        assert_eq!(wait(Some(gate(10, Some(2.0))), 9), Some(0), "one of the ten who may enter now");
        assert_eq!(wait(Some(gate(7, Some(2.0))), 9), Some(1_500), "the third of those who wait for somebody to leave");
        let both = waiting(100, 1_000, Some(50));
        let wait =
            |rate, ahead| Schedule::new(&both, Millis(0), &[(0, 50)], Some(gate(0, Some(rate))), ENOUGH).wait_ms(ahead);
        assert_eq!(wait(10.0, 99), Some(10_000));
        assert_eq!(wait(1_000.0, 99), Some(1_000));
    }

    #[test]
    fn nobody_is_told_a_time_while_nothing_moves() {
        let both = waiting(100, 1_000, Some(50));
        let wait = |cap, units, ahead| Schedule::new(&both, Millis(0), &[(0, 50)], cap, units).wait_ms(ahead);
        assert_eq!(wait(Some(gate(0, None)), ENOUGH, 0), None, "full, and nobody leaves");
        assert_eq!(wait(Some(gate(0, Some(0.0))), ENOUGH, 0), None);
        assert_eq!(wait(Some(gate(3, None)), ENOUGH, 2), Some(0));
        assert_eq!(wait(Some(gate(3, None)), ENOUGH, 3), None, "who does not enter with those who may enter now");
        let units = Gate { free: 60, rate: None };
        assert_eq!(wait(None, units, 59), Some(1_000), "the last who can have a unit has to wait for the pace");
        assert_eq!(wait(None, units, 60), None, "nothing may be left for the one behind");
        assert_eq!(Schedule::stopped().wait_ms(0), None);
    }
}

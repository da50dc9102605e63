//! When is it whose turn? From the pace exactly, where nothing else holds people back; else from what was measured.

use crate::campaign::Waiting;
use crate::clock::Millis;

/// When those who wait will enter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Schedule {
    /// Nobody enters for now, or nobody can say how fast.
    Unknown,
    /// The pace alone decides.
    Paced(Paced),
    /// Places become free as others leave: so many a second lately.
    Measured(f64),
    /// The pace, and at most so many a second as leave.
    Both(Paced, f64),
    /// Nothing holds anyone back.
    AtOnce,
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
    /// `pace`: admissions, the oldest first. `is_full`: cap or units leave no room now. `rate`: admissions a second lately.
    pub(super) fn new(waiting: &Waiting, now: Millis, pace: &[(i64, u64)], is_full: bool, rate: Option<f64>) -> Self {
        let paced = match (waiting.admit, waiting.every_ms) {
            (Some(admit), Some(every_ms)) => Some(Paced::new(admit, every_ms, now, pace)),
            _ => None,
        };
        let rate = rate.filter(|rate| *rate > 0.0);
        match (paced, is_full) {
            (Some(paced), false) => Self::Paced(paced),
            (Some(paced), true) => rate.map_or(Self::Unknown, |rate| Self::Both(paced, rate)),
            (None, false) => Self::AtOnce,
            (None, true) => rate.map_or(Self::Unknown, Self::Measured),
        }
    }

    /// How long, in ms, until somebody with so many ahead enters.
    pub(super) fn wait_ms(&self, ahead: u64) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Paced(paced) => Some(paced.wait_ms(ahead)),
            Self::Measured(rate) => Some(at_rate(ahead, *rate)),
            Self::Both(paced, rate) => Some(paced.wait_ms(ahead).max(at_rate(ahead, *rate))),
            Self::AtOnce => Some(0),
        }
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

    #[test]
    fn a_pace_says_exactly_when_each_place_has_its_turn() {
        // 750 entered at second 0; it is second 2.
        let schedule = Schedule::new(&waiting(750, 10_000, None), Millis(2_000), &[(0, 750)], false, None);
        let wait = |ahead| schedule.wait_ms(ahead).unwrap();
        assert_eq!((wait(0), wait(749), wait(750), wait(1_499), wait(1_500)), (8_000, 8_000, 18_000, 18_000, 28_000));
        // A window that is half full, of admissions at two moments.
        let pace = [(-5_000, 9), (0, 100), (1_000, 200)];
        let schedule = Schedule::new(&waiting(750, 5_000, None), Millis(2_000), &pace, false, None);
        let wait = |ahead| schedule.wait_ms(ahead).unwrap();
        assert_eq!(
            (wait(449), wait(450), wait(549), wait(550), wait(749), wait(750)),
            (0, 3_000, 3_000, 4_000, 4_000, 5_000)
        );
    }

    #[test]
    fn where_places_become_free_as_others_leave_it_goes_by_what_was_measured() {
        let capped = Waiting { active_max: Some(50), ..Waiting::default() };
        assert_eq!(Schedule::new(&capped, Millis(0), &[], true, Some(2.0)).wait_ms(9), Some(5_000));
        assert_eq!(Schedule::new(&capped, Millis(0), &[], true, None).wait_ms(9), None);
        assert_eq!(Schedule::new(&capped, Millis(0), &[], false, None).wait_ms(9), Some(0));
        let both = waiting(100, 1_000, Some(50));
        assert_eq!(Schedule::new(&both, Millis(0), &[(0, 50)], true, Some(10.0)).wait_ms(99), Some(10_000));
        assert_eq!(Schedule::new(&both, Millis(0), &[(0, 50)], true, Some(1_000.0)).wait_ms(99), Some(1_000));
    }
}

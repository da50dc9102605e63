//! How fast do places become free? What the snapshots of the last minute have seen.

use std::collections::VecDeque;

use super::scripts::Found;

/// How far back it is measured, in us.
const WINDOW_US: u64 = 60_000_000;
/// Below this it says nothing yet, in us.
const WINDOW_US_MIN: u64 = 1_000_000;

/// Places that became free, a second; `None`: none did, or too little was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rates {
    /// Below the cap: users who went from inside.
    pub(super) cap: Option<f64>,
    /// Of the units: users who went from inside and took none, and units that came back.
    pub(super) units: Option<f64>,
}

/// What was seen, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Seen(VecDeque<Look>);

#[derive(Debug, Clone, Copy)]
struct Look {
    at_us: u64,
    /// Users who were inside and are not, ever since the room began.
    gone: i64,
    /// Of these, those who hold no unit: less than nothing where units are held by others.
    without: i64,
}

impl Seen {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes in what was found at this moment, by `clock::uptime_us`.
    pub(super) fn note(&mut self, at_us: u64, found: &Found, stock: u64) -> Rates {
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let gone = count(found.admitted) - count(found.inside);
        let held = count(stock) - count(found.head.left);
        self.note_look(Look { at_us, gone, without: gone - held })
    }

    fn note_look(&mut self, now: Look) -> Rates {
        self.0.push_back(now);
        while self.0.len() > 2 && self.0[1].at_us + WINDOW_US < now.at_us {
            self.0.pop_front();
        }
        let Some(first) = self.0.front() else { return Rates::default() };
        let took_us = now.at_us.saturating_sub(first.at_us);
        if took_us < WINDOW_US_MIN {
            return Rates::default();
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let rate = |more: i64| (more > 0).then(|| more as f64 * 1_000_000.0 / took_us as f64);
        Rates { cap: rate(now.gone - first.gone), units: rate(now.without - first.without) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(looks: &[(u64, i64, i64)]) -> Rates {
        let mut seen = Seen::default();
        looks.iter().fold(Rates::default(), |_, (at_s, gone, without)| {
            seen.note_look(Look { at_us: at_s * 1_000_000, gone: *gone, without: *without })
        })
    }

    #[test]
    fn only_who_goes_from_inside_makes_room() {
        assert_eq!(rates(&[(0, 0, -3)]), Rates::default(), "too little was seen");
        assert_eq!(rates(&[(0, 5, 2), (10, 5, 2)]), Rates::default(), "a full room that nobody leaves");
        assert_eq!(rates(&[(0, 5, 2), (10, 25, 7)]), Rates { cap: Some(2.0), units: Some(0.5) });
        assert_eq!(rates(&[(0, 5, 5), (10, 25, 5)]), Rates { cap: Some(2.0), units: None }, "each took a unit");
    }

    #[test]
    fn what_was_more_than_a_minute_ago_counts_no_more() {
        assert_eq!(rates(&[(0, 0, 0), (30, 60, 0), (95, 60, 0)]), Rates::default());
        assert_eq!(
            rates(&[(0, 0, 0), (30, 60, 0), (80, 120, 0)]).cap,
            Some(120.0 / 80.0),
            "one look before the window"
        );
    }
}

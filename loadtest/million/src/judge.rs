//! Was anybody lost, let in twice, or passed over? What Redis holds at the end, held against what each visitor was told.

use crate::crowd::{People, State};
use crate::redis::Counters;

/// What is wrong, in numbers that all have to be 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Visitors without a place in Redis, or with another than they were told; and places that are nobody's.
    pub(crate) lost: u64,
    /// Visitors who wait though somebody behind them was admitted in turn, and who were admitted before their turn.
    pub(crate) passed_over: u64,
    /// Visitors who were told that they are inside and still wait, or who wait in Redis and had left.
    pub(crate) contradicted: u64,
    /// The difference between those who do not wait any more and those who were admitted or left the queue.
    pub(crate) miscounted: u64,
    /// The first that was found.
    pub(crate) first: Option<String>,
}

impl Verdict {
    /// Judges what is there after the last answer.
    pub(crate) fn of(
        people: &People,
        places: &[(String, i64)],
        counters: &Counters,
        user_of: impl Fn(&str) -> Option<usize>,
    ) -> Self {
        let mut verdict = Self::default();
        let (mut seen, mut gone) = (vec![false; people.count()], 0_u64);
        let mut taken = vec![false; people.count() + 1];
        for (name, number) in places {
            let Some(user) = user_of(name).filter(|user| *user < people.count() && !seen[*user]) else {
                verdict.lost += 1;
                verdict.note(|| format!("{name} has the place {number}, and nobody has that name"));
                continue;
            };
            seen[user] = true;
            gone += u64::from(*number < 0);
            verdict.judge(people, u32::try_from(user).unwrap_or(u32::MAX), *number, counters, &mut taken);
        }
        let missing = seen.iter().filter(|seen| !**seen).count() as u64;
        verdict.lost += missing;
        if missing > 0 {
            verdict.note(|| format!("{missing} visitors have no place"));
        }
        verdict.miscounted = gone.abs_diff(counters.admitted + counters.left_queue);
        verdict
    }

    fn judge(&mut self, people: &People, user: u32, number: i64, counters: &Counters, taken: &mut [bool]) {
        let (place, told, state) = (number.unsigned_abs(), u64::from(people.place(user)), people.state(user));
        let index = usize::try_from(place).unwrap_or(usize::MAX);
        let is_new = taken.get_mut(index).is_some_and(|taken| !std::mem::replace(taken, true));
        if !is_new || (told > 0 && told != place) || state == State::Outside {
            self.lost += 1;
            self.note(|| format!("visitor {user} was told {told} and has {number}"));
        }
        let is_in_turn = place <= counters.admitted_to;
        let waits = number > 0;
        // Who left, or had left when the word came, may have done so from anywhere.
        let has_left = matches!(state, State::LeftQueue | State::LeftInside);
        if waits == is_in_turn && (waits || !has_left) {
            self.passed_over += 1;
            let admitted_to = counters.admitted_to;
            self.note(|| format!("visitor {user} has {number}, and {admitted_to} was admitted last"));
        }
        if waits && state != State::Waits {
            self.contradicted += 1;
            self.note(|| format!("visitor {user} waits with {number} and heard to be {state:?}"));
        }
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        self.first.get_or_insert_with(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five visitors at places 1 to 5, of whom two were admitted and the last has left.
    fn scene() -> (People, Vec<(String, i64)>, Counters) {
        let mut people = People::new(5);
        for user in 0..5 {
            people.told_place(user, u64::from(user) + 1).unwrap();
            people.set(user, State::Waits);
        }
        people.set(0, State::Claimed);
        people.set(4, State::LeftQueue);
        let places = [-1, -2, 3, 4, -5].into_iter().enumerate().map(|(user, number)| (user.to_string(), number));
        let counters = Counters { admitted_to: 2, admitted: 2, left_queue: 1, ..Counters::default() };
        (people, places.collect(), counters)
    }

    fn verdict(change: impl FnOnce(&mut People, &mut Vec<(String, i64)>, &mut Counters)) -> Verdict {
        let (mut people, mut places, mut counters) = scene();
        change(&mut people, &mut places, &mut counters);
        Verdict::of(&people, &places, &counters, |name| name.parse().ok())
    }

    #[test]
    fn nothing_is_wrong_with_what_is_as_it_was_told() {
        assert_eq!(verdict(|_, _, _| ()), Verdict::default());
    }

    #[test]
    fn who_is_missing_or_doubled_or_unknown_is_lost() {
        assert_eq!(verdict(|_, places, _| drop(places.remove(2))).lost, 1);
        assert_eq!(verdict(|_, places, _| places[2].1 = 4).lost, 2);
        assert_eq!(verdict(|_, places, _| places.push(("9".into(), 6))).lost, 1);
    }

    #[test]
    fn who_was_passed_over_is_seen_from_both_sides() {
        assert_eq!(verdict(|_, places, _| places[1].1 = 2).passed_over, 1);
        assert_eq!(verdict(|_, places, _| places[3].1 = -4).passed_over, 1);
    }

    #[test]
    fn what_a_visitor_heard_holds() {
        let contradicted = verdict(|people, _, _| people.set(2, State::Inside));
        assert_eq!((contradicted.contradicted, contradicted.passed_over), (1, 0));
    }

    #[test]
    fn who_was_admitted_twice_does_not_add_up() {
        assert_eq!(verdict(|_, _, counters| counters.admitted = 3).miscounted, 1);
    }
}

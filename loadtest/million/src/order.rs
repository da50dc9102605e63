//! Was anybody let in before somebody who came earlier and still waits? What visitors heard, in the order of time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How old a node may be in telling somebody that they wait.
const AGE_MAX: Duration = Duration::from_secs(1);

/// Who was heard to be inside, and who to wait.
#[derive(Default)]
pub(crate) struct Order {
    /// When the highest place so far was heard to be inside; both ascend.
    inside: VecDeque<(Instant, u64)>,
    /// The highest place that was inside for long enough that every node knows.
    known: u64,
    /// Visitors who were told to wait while somebody behind them was inside.
    pub(crate) inversions: u64,
    /// The first of them.
    pub(crate) first: Option<String>,
}

impl Order {
    /// Somebody heard that they are inside.
    pub(crate) fn inside(&mut self, place: u64, came: Instant) {
        if self.inside.back().is_none_or(|(_, highest)| place > *highest) && place > self.known {
            self.inside.push_back((came, place));
        }
    }

    /// Somebody who had asked at this moment heard that they wait.
    pub(crate) fn waits(&mut self, place: u64, asked: Instant) {
        // Answers come in another order than questions: what one that asked late makes known is known to those that asked
        // before, too, so it waits for longer than any answer takes.
        while let Some((_, highest)) = self.inside.pop_front_if(|(came, _)| *came + AGE_MAX * 10 < asked) {
            self.known = highest;
        }
        let newer = self.inside.iter().take_while(|(came, _)| *came + AGE_MAX < asked).last();
        let highest = newer.map_or(self.known, |(_, highest)| *highest);
        if place < highest {
            self.inversions += 1;
            self.first.get_or_insert_with(|| format!("{place} waits, and {highest} has been inside for a second"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_while_somebody_behind_has_been_inside_for_a_second_was_passed_over() {
        let (mut order, begun) = (Order::default(), Instant::now());
        let at = |ms| begun + Duration::from_millis(ms);
        order.inside(10, at(0));
        order.inside(7, at(10));
        order.waits(8, at(900));
        order.waits(11, at(5_000));
        assert_eq!(order.inversions, 0);
        order.waits(9, at(1_100));
        assert_eq!(order.inversions, 1, "{:?}", order.first);
        order.inside(20, at(6_000));
        order.waits(15, at(6_900));
        assert_eq!(order.inversions, 1);
        order.waits(15, at(7_100));
        assert_eq!(order.inversions, 2);
    }
}

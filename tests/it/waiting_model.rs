//! Waiting rooms as their scripts decide them, in the real Redis and in a time of the tests' own: who is next and when,
//! who may be inside, whose pass is good, and what the nodes tell of it.

mod answers;
mod behind;
mod cap;
mod draw;
mod lives;
mod model;
mod operators;
mod pace;
mod passes;
mod places;
mod property;
mod room;
mod states;
mod steps;

/// The most that was admitted in any window of this length: all that end with an admission, of a log of moments and
/// counts.
fn most_in_a_window(log: &[(i64, i64)], length: i64) -> i64 {
    let sum = |end: i64| log.iter().filter(|(at, _)| *at > end - length && *at <= end).map(|(_, n)| n).sum::<i64>();
    log.iter().map(|(at, _)| sum(*at)).max().unwrap_or_default()
}

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    /// One of `0..sides`.
    fn roll(&mut self, sides: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let count = i64::try_from(from.len()).unwrap();
        (count > 0).then(|| from[usize::try_from(self.roll(count)).unwrap()].clone())
    }
}

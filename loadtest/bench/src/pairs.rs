//! How does one thing compare with another on a machine that is never quiet? By the ratios of neighbours in time.

use std::fmt;

/// Measurements that were taken in turn, side by side.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pairs {
    /// What is compared with: the yardstick.
    pub bare: Vec<f64>,
    /// What is compared.
    pub ours: Vec<f64>,
}

/// Some values, by what matters of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// Below it are three quarters of all (nearest rank).
    pub upper_quartile: f64,
    /// The largest.
    pub max: f64,
    /// How many they are.
    pub count: usize,
}

impl Pairs {
    /// One more pair.
    pub fn add(&mut self, bare: f64, ours: f64) {
        self.bare.push(bare);
        self.ours.push(ours);
    }

    /// Ours as a part of bare, pair by pair.
    #[must_use]
    pub fn ratios(&self) -> Vec<f64> {
        self.bare.iter().zip(&self.ours).map(|(bare, ours)| ours / bare).collect()
    }
}

impl Spread {
    /// Of these values; all zero if there are none.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
        let (count, half) = (sorted.len(), sorted.len() / 2);
        let last = count.saturating_sub(1);
        let median = if count % 2 == 1 { at(half) } else { f64::midpoint(at(half.saturating_sub(1)), at(half)) };
        let upper_quartile = at((count * 3).div_ceil(4).saturating_sub(1));
        Self { median, min: at(0), upper_quartile, max: at(last), count }
    }
}

/// As a report's column: `0.76 to 0.80, 5 pairs`.
#[must_use]
pub fn spread_of(spread: &Spread, what: &str) -> String {
    format!("{:.2} to {:.2}, {} {what}", spread.min, spread.max, spread.count)
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.median, self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_that_of_a_pair_and_not_of_the_medians() {
        let mut pairs = Pairs::default();
        for (bare, ours) in [(100.0, 50.0), (10.0, 9.0), (50.0, 40.0)] {
            pairs.add(bare, ours);
        }
        let spread = Spread::of(&pairs.ratios());
        assert_eq!(spread, Spread { median: 0.8, min: 0.5, upper_quartile: 0.9, max: 0.9, count: 3 });
        assert_eq!(spread_of(&spread, "pairs"), "0.50 to 0.90, 3 pairs");
    }

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!((spread.median, spread.upper_quartile), (2.5, 3.0));
        assert_eq!(Spread::of(&[]).count, 0);
    }
}

//! How long did answers take? Counts of times that are exact below 256 us and at most 0.8 % too long above.

use hdrhistogram::Histogram as Counts;

/// Digits of a time that are kept.
const DIGITS: u8 = 2;

/// Times, counted by their length in us.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram(Counts<u64>);

impl Default for Histogram {
    fn default() -> Self {
        Self(Counts::new(DIGITS).expect("it takes up to five digits"))
    }
}

impl Histogram {
    /// One more time of this length.
    pub fn add(&mut self, us: u64) {
        self.0.record(us).expect("it grows with what it is to hold");
    }

    /// All of another one.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("it grows with what it is to hold");
    }

    /// How many times were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.len()
    }

    /// The upper bound of the bucket in which so many per cent of all times are reached (nearest rank); 0 without any.
    #[must_use]
    pub fn percentile_us(&self, per_cent: f64) -> u64 {
        self.0.value_at_quantile(per_cent / 100.0)
    }

    /// How many times were at most this long, as far as the buckets tell.
    #[must_use]
    pub fn within_us(&self, us: u64) -> u64 {
        self.0.count_between(0, us)
    }

    /// Pairs of a bucket's upper bound in us and its count, without empty ones.
    #[must_use]
    pub fn buckets(&self) -> Vec<(u64, u64)> {
        let recorded = self.0.iter_recorded();
        recorded.map(|bucket| (bucket.value_iterated_to(), bucket.count_since_last_iteration())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_exact_at_first_and_then_finer_than_one_per_cent() {
        let Histogram(counts) = Histogram::default();
        assert!((0..256).all(|us| counts.highest_equivalent(us) == us));
        for us in (256..2_000_000).step_by(37) {
            let bound = counts.highest_equivalent(us);
            assert!(bound >= us && (bound - us) * 100 <= us, "{us} is counted as {bound}");
        }
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile_us(50.0), 0);
        (1..=100).for_each(|us| histogram.add(us));
        let found = [0.0, 1.0, 50.0, 99.0, 99.1, 100.0].map(|per_cent| histogram.percentile_us(per_cent));
        assert_eq!(found, [1, 1, 50, 99, 100, 100]);
        assert_eq!((histogram.within_us(99), histogram.within_us(5_000)), (99, 100));
    }

    #[test]
    fn merged_ones_hold_all_of_both() {
        let (mut one, mut other) = (Histogram::default(), Histogram::default());
        for us in [5, 5, 900_000_000] {
            one.add(us);
        }
        other.add(7);
        other.merge(&one);
        assert_eq!(other.total(), 4);
        assert_eq!(other.buckets()[..2], [(5, 2), (7, 1)]);
        assert_eq!(other.buckets().len(), 3);
    }
}

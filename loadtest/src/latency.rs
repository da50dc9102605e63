//! How long did answers take? Exact percentiles: the samples of one rush fit in memory, so nothing is rounded.

use std::time::Duration;

use serde::Serialize;

/// Percentiles, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Latency {
    /// All zero if there is no sample.
    pub(crate) fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        let at = |per_cent| percentile(&samples, per_cent).map_or(0.0, |sample| sample.as_secs_f64() * 1e3);
        Self { p50: at(50), p90: at(90), p99: at(99), max: at(100) }
    }
}

/// The smallest sample that at least so many per cent of all do not exceed (nearest rank).
fn percentile(sorted: &[Duration], per_cent: usize) -> Option<Duration> {
    let rank = (sorted.len() * per_cent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(numbers: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        numbers.into_iter().map(Duration::from_millis).collect()
    }

    #[test]
    fn percentiles_are_samples_by_nearest_rank() {
        let latency = Latency::of(milliseconds((1..=1_000).rev()));
        assert_eq!(latency, Latency { p50: 500.0, p90: 900.0, p99: 990.0, max: 1_000.0 });
    }

    #[test]
    fn between_two_ranks_the_higher_one_counts() {
        let sorted = milliseconds([10, 20, 30]);
        assert_eq!(percentile(&sorted, 50), Some(Duration::from_millis(20)));
        assert_eq!(percentile(&sorted, 90), Some(Duration::from_millis(30)));
    }

    #[test]
    fn one_sample_is_every_percentile_and_none_is_zero() {
        assert_eq!(Latency::of(milliseconds([7])), Latency { p50: 7.0, p90: 7.0, p99: 7.0, max: 7.0 });
        assert_eq!(Latency::of(Vec::new()), Latency::default());
    }
}

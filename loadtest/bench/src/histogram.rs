//! How long did answers take? Counts in buckets that are exact below 128 us and at most 0.8 % wide above.

/// Buckets of one octave, as a power of two.
const OCTAVE_BITS: u32 = 7;
const OCTAVE: u64 = 1 << OCTAVE_BITS;

/// Times, counted by their length in us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// One more time of this length.
    pub fn add(&mut self, us: u64) {
        let bucket = bucket_of(us);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
    }

    /// All of another one.
    pub fn merge(&mut self, other: &Self) {
        if other.counts.len() > self.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, more) in self.counts.iter_mut().zip(&other.counts) {
            *mine += more;
        }
        self.total += other.total;
    }

    /// How many times were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The upper bound of the bucket in which so many per cent of all times are reached (nearest rank); 0 without any.
    #[must_use]
    pub fn percentile_us(&self, per_cent: f64) -> u64 {
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let rank = ((self.total as f64 * per_cent / 100.0).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_bound_us(bucket);
            }
        }
        0
    }

    /// How many times were at most this long, as far as the buckets tell.
    #[must_use]
    pub fn within_us(&self, us: u64) -> u64 {
        self.counts.iter().take(bucket_of(us) + 1).sum()
    }

    /// Pairs of a bucket's upper bound in us and its count, without empty ones.
    #[must_use]
    pub fn buckets(&self) -> Vec<(u64, u64)> {
        let all = self.counts.iter().enumerate();
        all.filter(|(_, count)| **count > 0).map(|(bucket, count)| (upper_bound_us(bucket), *count)).collect()
    }
}

fn bucket_of(us: u64) -> usize {
    let shift = (u64::BITS - us.leading_zeros()).saturating_sub(OCTAVE_BITS + 1);
    // The first bucket of octave `shift` (from 1 on) is 128 * shift + 128, which `us >> shift` provides the second half of.
    usize::try_from(OCTAVE * u64::from(shift) + (us >> shift)).expect("there are fewer than 8,000 buckets")
}

fn upper_bound_us(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / OCTAVE).saturating_sub(1);
    let within = bucket - OCTAVE * shift;
    // One less than the lower bound of the next one; the topmost ends where the numbers end.
    (u128::from(within + 1) << shift).saturating_sub(1).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_in_a_bucket_that_begins_after_the_one_before() {
        for us in (0..100_000).chain((17..63).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1])) {
            let bucket = bucket_of(us);
            assert!(us <= upper_bound_us(bucket), "{us} is above its bucket {bucket}");
            assert!(bucket == 0 || us > upper_bound_us(bucket - 1), "{us} is below its bucket {bucket}");
        }
        assert_eq!(upper_bound_us(bucket_of(u64::MAX)), u64::MAX);
    }

    #[test]
    fn buckets_are_exact_at_first_and_then_finer_than_one_per_cent() {
        assert!((0..256).all(|us| upper_bound_us(bucket_of(us)) == us));
        for us in (256..2_000_000).step_by(37) {
            let bound = upper_bound_us(bucket_of(us));
            assert!((bound - us) * 100 <= us, "{us} is counted as {bound}");
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
        for us in [5, 5, 900_000] {
            one.add(us);
        }
        other.add(7);
        other.merge(&one);
        assert_eq!(other.total(), 4);
        assert_eq!(other.buckets()[..2], [(5, 2), (7, 1)]);
        assert_eq!(other.buckets().len(), 3);
    }
}

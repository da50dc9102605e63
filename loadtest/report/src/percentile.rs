//! How long did all but one of so many answers take at most? By nearest rank, from the buckets of a histogram: what is said
//! is the upper bound of the bucket that holds the answer of that rank, so never too little.

use crate::data::Latencies;
use crate::number::float;

/// How many answers there were.
pub(crate) fn count(latencies: &Latencies) -> u64 {
    latencies.buckets.iter().map(|(_, count)| count).sum()
}

/// The time in us that at most one of `one_of` answers exceeds: 100 is the 99th percentile. `None` without any answer.
pub(crate) fn all_but_one_of(latencies: &Latencies, one_of: f64) -> Option<u64> {
    let all = count(latencies);
    // Counted from above, because 1/100 and 1/1000 have no exact form and n/100 has one wherever it matters.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and `all`")]
    let slower = (float(all) / one_of.max(1.0)).floor() as u64;
    let rank = all.saturating_sub(slower).max(1);
    let mut reached = 0;
    latencies.buckets.iter().find_map(|(upper_us, count)| {
        reached += count;
        (reached >= rank).then_some(*upper_us)
    })
}

/// The slowest answer's bucket, in us.
pub(crate) fn slowest(latencies: &Latencies) -> Option<u64> {
    latencies.buckets.iter().rev().find(|(_, count)| *count > 0).map(|(upper_us, _)| *upper_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(buckets: impl IntoIterator<Item = (u64, u64)>) -> Latencies {
        Latencies { name: "load".into(), buckets: buckets.into_iter().collect() }
    }

    #[test]
    fn ranks_are_exact_where_they_fall_on_an_answer() {
        let thousand = latencies((1..=1_000).map(|us| (us, 1)));
        let found = [2.0, 10.0, 100.0, 1_000.0, 10_000.0].map(|one_of| all_but_one_of(&thousand, one_of));
        assert_eq!(found, [500, 900, 990, 999, 1_000].map(Some));
        assert_eq!((count(&thousand), slowest(&thousand)), (1_000, Some(1_000)));
    }

    #[test]
    fn between_two_ranks_the_higher_one_counts() {
        assert_eq!(all_but_one_of(&latencies([(10, 1), (20, 1), (30, 1)]), 2.0), Some(20));
        assert_eq!(all_but_one_of(&latencies([(10, 1), (20, 1), (30, 1)]), 10.0), Some(30));
    }

    #[test]
    fn a_bucket_is_as_slow_as_its_upper_bound() {
        let load = latencies([(127, 98), (255, 1), (511, 1)]);
        let found = [2.0, 50.0, 100.0, 1_000.0].map(|one_of| all_but_one_of(&load, one_of));
        assert_eq!(found, [127, 127, 255, 511].map(Some));
    }

    #[test]
    fn one_answer_is_every_percentile_and_none_is_none() {
        assert_eq!([1.0, 2.0, 1e4].map(|one_of| all_but_one_of(&latencies([(7, 1)]), one_of)), [Some(7); 3]);
        assert_eq!(all_but_one_of(&latencies([]), 2.0), None);
        assert_eq!(slowest(&latencies([])), None);
    }
}

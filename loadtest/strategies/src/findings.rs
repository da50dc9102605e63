//! What the measurements of this program find, as one JSON object.

use report::data::Strategy;
use serde::Serialize;

/// All of it; what was not measured is empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Findings {
    /// The ways to sell a stock.
    pub strategies: Vec<Strategy>,
    /// Decisions a second in Redis alone, an entry a round.
    pub redis_batches: Vec<BatchRound>,
    /// Rows a second in the database, an entry a round.
    pub ledger: Vec<LedgerRound>,
}

/// Decisions a second, in one round of alternating measurements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct BatchRound {
    /// One call a request, many calls in flight.
    pub one: f64,
    /// 64 requests a call.
    pub of_64: f64,
    /// 256 requests a call.
    pub of_256: f64,
}

/// Facts that become rows a second, in one round of alternating measurements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct LedgerRound {
    /// By the statement of the ledger's writer: a row of the history and one of the claims each.
    pub ours: f64,
    /// By `COPY` of the rows of the claims, without the history.
    pub copy: f64,
    /// By `COPY` of both.
    pub copy_with_history: f64,
}

/// The middle one of these values; the mean of the two in the middle where there is none; 0 of nothing.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        assert!((median([9.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median([4.0, 1.0, 2.0, 9.0]) - 3.0).abs() < f64::EPSILON);
        assert!(median([]).abs() < f64::EPSILON);
    }
}

//! Can this be shown? A value that is no number, or a row with more cells than its table has columns, is a mistake of what
//! measured, and is named instead of drawn.

use anyhow::ensure;

use crate::data::{Run, Strategy};

/// Names the first thing that cannot be shown.
pub(crate) fn check(run: &Run) -> anyhow::Result<()> {
    number("the run's seconds", run.seconds)?;
    number("the machine's memory", run.machine.memory_gib)?;
    number("the machine's load before the run", run.machine.busy_before_percent)?;
    for load in &run.latencies {
        let ascends = load.buckets.is_sorted_by(|one, other| one.0 < other.0);
        ensure!(ascends, "the buckets of the latencies {:?} do not ascend", load.name);
        let sum = load.buckets.iter().try_fold(0_u64, |sum, (_, count)| sum.checked_add(*count));
        ensure!(sum.is_some(), "the latencies {:?} are more than can be counted", load.name);
    }
    for timeline in &run.timelines {
        ensure!(timeline.step_ms > 0, "the steps of {:?} have no length", timeline.name);
        for series in &timeline.series {
            for value in &series.values {
                number(&format!("a value of {:?} in {:?}", series.name, timeline.name), *value)?;
            }
        }
    }
    run.strategies.iter().try_for_each(strategy)?;
    for cost in &run.cpu {
        for process in &cost.processes {
            number(&format!("the cost of {:?} under {:?}", process.process, cost.name), process.us_per_claim)?;
        }
    }
    for table in &run.tables {
        let columns = table.head.len();
        ensure!(columns > 0, "the table {:?} has no columns", table.title);
        for row in &table.rows {
            ensure!(row.len() == columns, "a row of {:?} has {} cells, not {columns}", table.title, row.len());
        }
    }
    Ok(())
}

fn strategy(strategy: &Strategy) -> anyhow::Result<()> {
    let Strategy { name, seconds, per_second, p50_ms, p99_ms, .. } = strategy;
    for (what, value) in [("seconds", seconds), ("speed", per_second), ("p50", p50_ms), ("p99", p99_ms)] {
        number(&format!("the {what} of {name:?}"), *value)?;
    }
    Ok(())
}

fn number(what: &str, value: f64) -> anyhow::Result<()> {
    ensure!(value.is_finite() && value >= 0.0, "{what} is {value}, which is no amount");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Latencies, Series, Table, Timeline};

    fn complaint(run: &Run) -> String {
        check(run).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_number_is_named() {
        let series = vec![Series { name: "201".into(), values: vec![1.0, f64::NAN] }];
        let timeline = Timeline { name: "answers".into(), step_ms: 100, series, ..Timeline::default() };
        let run = Run { timelines: vec![timeline], ..Run::default() };
        assert_eq!(complaint(&run), "a value of \"201\" in \"answers\" is NaN, which is no amount");
        let slow = Strategy { name: "lock".into(), per_second: f64::INFINITY, ..Strategy::default() };
        let run = Run { strategies: vec![slow], ..Run::default() };
        assert_eq!(complaint(&run), "the speed of \"lock\" is inf, which is no amount");
    }

    #[test]
    fn tables_have_as_many_cells_as_columns() {
        let head = vec!["a".into(), "b".into()];
        let table = Table { title: "memory".into(), head, rows: vec![vec!["1".into()]], ..Table::default() };
        let run = Run { tables: vec![table], ..Run::default() };
        assert_eq!(complaint(&run), "a row of \"memory\" has 1 cells, not 2");
    }

    #[test]
    fn histograms_ascend_and_can_be_counted() {
        let run = |buckets: Vec<(u64, u64)>| Run {
            latencies: vec![Latencies { name: "load".into(), buckets }],
            ..Run::default()
        };
        assert_eq!(complaint(&run(vec![(2, 1), (1, 1)])), "the buckets of the latencies \"load\" do not ascend");
        assert!(complaint(&run(vec![(1, u64::MAX), (2, 1)])).contains("more than can be counted"));
        assert!(check(&run(vec![(1, 1), (2, 1)])).is_ok());
        assert!(check(&Run::default()).is_ok());
    }
}

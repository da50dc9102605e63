//! How is it shown? As plain text, a number a line, units in the label, so that the numbers align.

use std::fmt::Write;

use crate::report::Report;

/// The whole table, with the verdict as its last line.
pub(crate) fn render(report: &Report) -> String {
    let sections = [size(report), answers(report), speed(report), audit(report)];
    let rows = || sections.iter().flatten();
    let label_width = rows().map(|(label, _)| label.len()).max().unwrap_or(0);
    let value_width = rows().map(|(_, value)| value.len()).max().unwrap_or(0);
    let mut text = format!("campaign {}\n", report.campaign);
    for section in &sections {
        text.push('\n');
        for (label, value) in section {
            let _ = writeln!(text, "  {label:<label_width$}  {value:>value_width$}");
        }
    }
    let _ = writeln!(text, "\n{}", verdict(report));
    text
}

type Rows = Vec<(String, String)>;

fn size(report: &Report) -> Rows {
    vec![
        row("users", whole(report.users)),
        row("coupons", whole(report.stock)),
        row("requests", whole(report.requests)),
        row("connections", whole(report.connections)),
    ]
}

fn answers(report: &Report) -> Rows {
    // Zero is said too: that nobody was left without an answer is a result.
    let mut rows: Rows = report.answers.iter().map(|(label, count)| row(label, whole(*count))).collect();
    rows.push(row("no answer", whole(report.no_answers.values().sum::<u64>())));
    rows.extend(report.no_answers.iter().map(|(why, count)| row(&format!("  {why}"), whole(*count))));
    rows
}

fn speed(report: &Report) -> Rows {
    let latency = &report.latency_ms;
    vec![
        row("wall time, ms", tenths(report.wall_ms)),
        row("requests per second", rounded(report.requests_per_second)),
        row("latency p50, ms", tenths(latency.p50)),
        row("latency p90, ms", tenths(latency.p90)),
        row("latency p99, ms", tenths(latency.p99)),
        row("latency max, ms", tenths(latency.max)),
    ]
}

fn audit(report: &Report) -> Rows {
    let Some(counts) = &report.audit else {
        return vec![row("audit", "none".to_owned())];
    };
    let mut rows = vec![
        row("audit", counts.verdict.clone()),
        row("  stock", whole(counts.stock)),
        row("  left", counts.left.to_string()),
        row("  live claims", whole(counts.live)),
        row("  rows in the database", whole(counts.rows)),
        row("  missing", whole(counts.missing)),
        row("  doubled", whole(counts.doubled)),
        row("  oversold", whole(counts.oversold)),
        row("  lag", whole(counts.lag)),
    ];
    if let Some(after_ms) = report.rows_complete_after_ms {
        rows.push(row("all rows after the last answer, ms", rounded(after_ms)));
    }
    rows
}

fn verdict(report: &Report) -> String {
    if !report.failures.is_empty() {
        return format!("FAILED: {}", report.failures.join("; "));
    }
    let granted = whole(report.users.min(report.stock));
    format!("passed: exactly {granted} granted, each number and each user once; every one is a row in the database")
}

fn row(label: &str, value: String) -> (String, String) {
    (label.to_owned(), value)
}

/// A whole number with its thousands apart: 10,000.
fn whole(number: impl Into<u64>) -> String {
    group(&number.into().to_string())
}

fn rounded(number: f64) -> String {
    group(&format!("{number:.0}"))
}

fn tenths(number: f64) -> String {
    let text = format!("{number:.1}");
    let (whole, tenth) = text.split_once('.').unwrap_or((&text, "0"));
    format!("{}.{tenth}", group(whole))
}

fn group(digits: &str) -> String {
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::audit::Counts;
    use crate::latency::Latency;

    fn report() -> Report {
        Report {
            campaign: "rush-1".into(),
            users: 10_000,
            stock: 100,
            requests: 10_000,
            connections: 512,
            answers: BTreeMap::from([("409 sold_out".into(), 9_900), ("201 created".into(), 100)]),
            no_answers: BTreeMap::new(),
            wall_ms: 412.34,
            requests_per_second: 24_251.6,
            latency_ms: Latency { p50: 12.0, p90: 20.04, p99: 40.06, max: 1_250.0 },
            audit: Some(Counts {
                verdict: "ok".into(),
                stock: 100,
                left: 0,
                live: 100,
                rows: 100,
                missing: 0,
                doubled: 0,
                oversold: 0,
                lag: 0,
            }),
            rows_complete_after_ms: Some(230.7),
            failures: Vec::new(),
        }
    }

    #[test]
    fn the_table_is_aligned_and_ends_with_the_verdict() {
        let expected = "\
campaign rush-1

  users                                10,000
  coupons                                 100
  requests                             10,000
  connections                             512

  201 created                             100
  409 sold_out                          9,900
  no answer                                 0

  wall time, ms                         412.3
  requests per second                  24,252
  latency p50, ms                        12.0
  latency p90, ms                        20.0
  latency p99, ms                        40.1
  latency max, ms                     1,250.0

  audit                                    ok
    stock                                 100
    left                                    0
    live claims                           100
    rows in the database                  100
    missing                                 0
    doubled                                 0
    oversold                                0
    lag                                     0
  all rows after the last answer, ms      231

passed: exactly 100 granted, each number and each user once; every one is a row in the database
";
        assert_eq!(render(&report()), expected);
    }

    #[test]
    fn what_went_wrong_is_named() {
        let mut report = report();
        report.no_answers.insert("timed out", 3);
        report.audit = None;
        report.failures = vec!["3 requests had no answer".into(), "the auditor gave no counts: timed out".into()];
        let text = render(&report);
        assert!(text.contains("\n  no answer                  3\n    timed out                3\n"), "{text}");
        assert!(text.ends_with("FAILED: 3 requests had no answer; the auditor gave no counts: timed out\n"), "{text}");
    }

    #[test]
    fn thousands_are_apart() {
        let grouped = [0_u64, 999, 1_000, 1_234_567].map(whole);
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((tenths(1_234.56), tenths(0.04)), ("1,234.6".into(), "0.0".into()));
    }
}

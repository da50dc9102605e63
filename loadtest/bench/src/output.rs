//! Where does it all go, and what is said at once?

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use report::data::Run;

/// The folder of a run's report.
#[must_use]
pub fn folder(run: &Run, reports: &Path) -> PathBuf {
    reports.join(format!("{}-{}", run.date, run.commit))
}

/// The table of targets, for the terminal.
#[must_use]
pub fn summary(run: &Run) -> String {
    let mut text = String::new();
    for target in &run.targets {
        let met = if target.met { "yes" } else { "NO " };
        let report::data::Target { name, target, figure, spread, .. } = target;
        // Writing to a string cannot fail.
        let _ok = writeln!(text, "{met}  {name}: {figure} (target: {target}; {spread})");
    }
    text
}

#[cfg(test)]
mod tests {
    use report::data::Target;

    use super::*;

    #[test]
    fn a_report_is_named_by_its_day_and_its_commit() {
        let run = Run { date: "2026-01-02".into(), commit: "abc-dirty".into(), ..Run::default() };
        assert_eq!(folder(&run, Path::new("reports")), Path::new("reports/2026-01-02-abc-dirty"));
    }

    #[test]
    fn what_was_missed_is_seen_at_a_glance() {
        let target = |name: &str, met| Target { name: name.into(), met, ..Target::default() };
        let run = Run { targets: vec![target("one", true), target("other", false)], ..Run::default() };
        let summary = summary(&run);
        let beginnings: Vec<_> = summary.lines().map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(beginnings, ["yes  one", "NO   other"]);
    }
}

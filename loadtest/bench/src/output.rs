//! Where does it all go? `reports/<date>-<commit>/`: the run as data, and each histogram as a file of its own.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use report::data::Run;

/// Writes the data of a run, and answers its folder.
pub fn write(run: &Run, reports: &Path) -> anyhow::Result<PathBuf> {
    let folder = reports.join(format!("{}-{}", run.date, run.commit));
    let data = folder.join("data");
    fs::create_dir_all(&data).with_context(|| format!("making {}", data.display()))?;
    fs::write(data.join("run.json"), serde_json::to_string(run)? + "\n")?;
    for latencies in &run.latencies {
        let mut text = String::from("up_to_us,answers\n");
        for (bound, count) in &latencies.buckets {
            writeln!(text, "{bound},{count}")?;
        }
        fs::write(data.join(format!("{}.csv", file_name(&latencies.name))), text)?;
    }
    Ok(folder)
}

/// The table of targets, for the terminal.
#[must_use]
pub fn summary(run: &Run) -> String {
    let mut text = String::new();
    for target in &run.targets {
        let met = if target.met { "yes" } else { "NO " };
        // Writing to a string cannot fail.
        let _ok =
            writeln!(text, "{met}  {}: {} (target: {}; {})", target.name, target.figure, target.target, target.spread);
    }
    text
}

/// Letters and digits, all else becomes one `-`.
fn file_name(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

#[cfg(test)]
mod tests {
    use report::data::Latencies;

    use super::*;

    #[test]
    fn a_run_is_read_as_it_was_written_with_its_histograms_beside_it() {
        let reports = std::env::temp_dir().join(format!("onrush-bench-{}", std::process::id()));
        let run = Run {
            date: "2026-01-02".into(),
            commit: "abc-dirty".into(),
            latencies: vec![Latencies { name: "503, at 2,000/s".into(), buckets: vec![(7, 2), (300, 1)] }],
            ..Run::default()
        };
        let folder = write(&run, &reports).unwrap();
        assert!(folder.ends_with("2026-01-02-abc-dirty"));
        let read: Run = serde_json::from_str(&fs::read_to_string(folder.join("data/run.json")).unwrap()).unwrap();
        assert_eq!(read, run);
        let histogram = fs::read_to_string(folder.join("data/503-at-2-000-s.csv")).unwrap();
        assert_eq!(histogram, "up_to_us,answers\n7,2\n300,1\n");
        fs::remove_dir_all(reports).unwrap();
    }
}

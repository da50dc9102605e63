//! What does a soak come to? Counts, memory and a verdict, for people.

use std::fmt::Write as _;
use std::path::Path;

use super::Outcome;
use super::health::DRIVER;

impl Outcome {
    /// The text of the report.
    #[must_use]
    pub fn text(&self, command: &str) -> String {
        let scale = self.scale;
        let mut lines = vec![
            "# A soak in mild weather".to_owned(),
            format!("`{command}`"),
            if self.is_well() {
                "Passed: memory is flat, no loop began anew, no answer was wrong.".to_owned()
            } else {
                "FAILED: see what was wrong, below.".to_owned()
            },
        ];
        let [good, absent, rubbish] = self.open;
        let connections = [
            ("well-behaved clients", scale.good(), good),
            ("who never read", scale.absent(), absent),
            ("who send rubbish", scale.rubbish(), rubbish),
        ];
        lines.push(format!(
            "{} connections for {:?} from seed {}; with everything that was compared at the end it took {:.0} s.",
            scale.connections,
            scale.time,
            scale.seed,
            self.took.as_secs_f64()
        ));
        let rows = connections.map(|(who, all, open)| format!("| {who} | {all} | {open} |"));
        lines.push(format!("| | connections | open at a time, median |\n|---|--:|--:|\n{}", rows.join("\n")));
        lines.push("Resident memory after a sixth of the time, in MiB, each quarter's median:".to_owned());
        let rows = self.memory.iter().map(|memory| {
            let flat = match (memory.node.as_str(), memory.is_flat) {
                (DRIVER, _) => "not judged",
                (_, true) => "flat",
                (_, false) => "NOT FLAT",
            };
            format!(
                "| {} | {:.0} | {:.0} | {:.0} | {:+.1} | {flat} |",
                memory.node, memory.first, memory.last, memory.most, memory.slope
            )
        });
        let rows = rows.collect::<Vec<_>>().join("\n");
        lines.push(format!(
            "| node | first quarter | last quarter | most | slope, MiB an hour | |\n|---|--:|--:|--:|--:|---|\n{rows}"
        ));
        if !self.wrong.is_empty() {
            let mut wrong = "What was wrong:\n".to_owned();
            for (kind, each) in &self.wrong {
                // Writing into memory does not fail.
                let _written = write!(wrong, "\n- {kind}, {} times", each.count);
                for example in &each.examples {
                    let _written = write!(wrong, "\n  - {}", example.replace('\n', " "));
                }
            }
            lines.push(wrong);
        }
        let rows = self.counts.iter().map(|(name, count)| format!("| {name} | {count} |"));
        let rows = rows.collect::<Vec<_>>().join("\n");
        lines.push(format!("| | times |\n|---|--:|\n{rows}"));
        lines.join("\n\n") + "\n"
    }

    /// Writes `report.md` and `memory.csv` into this folder.
    pub fn write(&self, folder: &Path, command: &str) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("memory.csv"), &self.samples)?;
        Ok(std::fs::write(folder.join("report.md"), self.text(command))?)
    }
}

//! Do the scenarios of k6 and goose end well here, too? Each for a few seconds: not how fast they are, but whether each
//! answer was as it must be, and the auditor agrees.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use report::data::{Run, Table, Version};
use testkit::client::{OPERATOR, SECRET};
use testkit::process::Program;

use crate::bench::Bench;
use crate::machine;
use crate::plan::Plan;
use crate::rig::{Node, Rig};

/// What both tools call them.
const NAMES: [&str; 6] = ["limited", "plenty", "sold_out", "double_clickers", "trickle", "mixed"];
/// Visits a second.
const RATE: &str = "400";
/// Beside its load, a scenario waits for its audit: this long at most, and usually so long.
const AUDIT_MAX: Duration = Duration::from_secs(40);
const AUDIT_USUALLY: Duration = Duration::from_secs(3);

/// About how long it takes.
#[must_use]
pub fn length(plan: &Plan) -> Duration {
    let scenarios = u32::try_from(names(plan).len()).unwrap_or(u32::MAX);
    (plan.scenario + AUDIT_USUALLY) * scenarios * 2
}

fn names(plan: &Plan) -> &'static [&'static str] {
    if plan.is_quick { &NAMES[..1] } else { &NAMES }
}

/// A program that knows these scenarios.
struct Tool {
    name: &'static str,
    program: PathBuf,
    arguments: fn(&str) -> Vec<String>,
}

/// Runs them all, as far as their tools are there.
pub async fn run(bench: &Bench) -> anyhow::Result<Run> {
    let k6 = Tool {
        name: "k6",
        program: bench.stores.checkout.join(".local/bin/k6"),
        // Nothing is reported to anybody, and no port is opened by which it could be controlled.
        arguments: |name| {
            ["run", "--quiet", "--no-usage-report", "--address", ""]
                .map(String::from)
                .into_iter()
                .chain([format!("loadtest/k6/{name}.js")])
                .collect()
        },
    };
    let goose = Tool {
        name: "goose",
        program: std::env::current_exe()?.with_file_name("goose-load"),
        arguments: |name| vec![name.to_owned()],
    };
    let rig = Rig::start(&bench.stores, "scenarios").await?;
    let node = rig.node("all", &[("LEDGER__ROWS_PER_SECOND_MAX", "100000")], None).await?;
    let (mut found, mut rows) = (Run::default(), Vec::new());
    if let Some(version) = machine::first_line_of(&k6.program, &["version"]) {
        found.versions.push(Version { program: "k6".into(), version });
    }
    for tool in [k6, goose] {
        if !tool.program.is_file() {
            found.notes.push(format!("{} is not built here: its scenarios were not run.", tool.name));
            continue;
        }
        for name in names(&bench.plan) {
            bench.progress.say(&format!("{} {name}", tool.name));
            rows.push(tool.run(bench, &node, name).await?);
        }
    }
    drop(node);
    rig.end().await?;
    found.tables.push(Table {
        title: "Scenarios".into(),
        text: format!(
            "Each for {} s with {RATE} visits a second, against one node with the whole pipeline. A scenario checks every \
             answer, asks the auditor at its end, and exits with 0 only if all is as it must be.",
            bench.plan.scenario.as_secs()
        ),
        head: ["scenario", "tool", "visits", "exit", "s"].map(String::from).to_vec(),
        rows,
    });
    Ok(found)
}

impl Tool {
    /// A scenario's line of the table.
    async fn run(&self, bench: &Bench, node: &Node, scenario: &str) -> anyhow::Result<Vec<String>> {
        let log = bench.stores.folder.join(format!("{}-{scenario}.log", self.name));
        let envs = [
            ("BASE_URL", format!("http://{}", node.address)),
            ("HS256_SECRET", SECRET.to_owned()),
            ("OPERATOR_TOKEN", OPERATOR.to_owned()),
            ("RATE", RATE.to_owned()),
            ("DURATION", format!("{}s", bench.plan.scenario.as_secs())),
            // Settings of whoever runs this are no settings of this run.
            ("HOME", bench.stores.folder.display().to_string()),
        ];
        let program = Program::new(self.name, &self.program)
            .args((self.arguments)(scenario))
            .envs(envs.map(|(name, value)| (name.to_owned(), value)))
            .folder(&bench.stores.checkout);
        let begun = Instant::now();
        let exit = match program.run(&log, bench.plan.scenario + AUDIT_MAX).await {
            Ok(status) => status.code().map_or_else(|| status.to_string(), |code| code.to_string()),
            Err(error) => format!("{error:#}"),
        };
        let seconds = format!("{:.0}", begun.elapsed().as_secs_f64());
        let said = std::fs::read_to_string(&log)?;
        let visits = visits_of(&said).unwrap_or("?").to_owned();
        Ok(vec![scenario.to_owned(), self.name.to_owned(), visits, exit, seconds])
    }
}

/// Both tools say so in the same words: `visits    2000 of 2000 made`.
fn visits_of(said: &str) -> Option<&str> {
    let rest = said.lines().find_map(|line| line.trim_start().strip_prefix("visits "))?;
    rest.trim_start().split([',', ' ']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visits_are_read_from_what_a_tool_says() {
        assert_eq!(visits_of("\nlimited: 5 users\n  visits    1998 of 2000 made, 2 dropped\n"), Some("1998"));
        assert_eq!(visits_of("limited: nobody visits anything\n"), None);
    }
}

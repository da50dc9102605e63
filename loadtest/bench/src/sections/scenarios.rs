//! Do the scenarios of k6 and goose end well here, too? Each for a few seconds; not how fast they are, but that they agree.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use faults::client::{OPERATOR, SECRET};
use faults::processes::Program;
use report::data::{Run, Table, Version};

use crate::bench::Bench;
use crate::machine;
use crate::plan::Plan;
use crate::rig::{Node, Rig};

/// Visits a second of a k6 scenario.
const RATE: &str = "400";
/// Beside the load itself, a scenario waits for its audit.
const AUDIT_MAX: Duration = Duration::from_secs(40);
/// What each scenario takes beside its load, as a guess.
const BESIDE: Duration = Duration::from_secs(3);
/// How many there are of each tool.
const COUNT: u32 = 6;
/// Files of k6 that are no scenarios are in folders below.
const K6: &str = "loadtest/k6";
/// What goose's program is called, and what its scenarios are.
const GOOSE: &str = "crowd";
const GOOSE_SCENARIOS: [&str; 6] = ["limited", "plenty", "sold_out", "double_clickers", "trickle", "mixed"];

/// About how long it takes.
#[must_use]
pub fn length(plan: &Plan) -> Duration {
    if plan.is_quick { Duration::from_secs(1) } else { (plan.scenario + BESIDE) * COUNT * 2 }
}

/// One scenario of one tool.
struct Scenario {
    tool: &'static str,
    name: String,
    program: PathBuf,
    arguments: Vec<OsString>,
    envs: Vec<(String, String)>,
    /// Where it says how many requests it made.
    summary: PathBuf,
}

/// Runs them all, as far as their tools are there.
pub async fn run(bench: &Bench) -> anyhow::Result<Run> {
    let mut found = Run::default();
    if bench.plan.is_quick {
        return Ok(found);
    }
    let rig = Rig::start(&bench.stores, "scenarios").await?;
    let node = rig.node("all", &[("LEDGER__ROWS_PER_SECOND_MAX", "100000")], None).await?;
    let scenarios: Vec<Scenario> = k6(bench, &node)?.into_iter().chain(goose(bench, &node)?).collect();
    let mut rows = Vec::new();
    for scenario in &scenarios {
        bench.progress.say(&format!("{} {}", scenario.tool, scenario.name));
        rows.push(scenario.run(bench).await?);
    }
    drop(node);
    rig.end().await?;
    for tool in ["k6", "goose"] {
        if !scenarios.iter().any(|scenario| scenario.tool == tool) {
            found.notes.push(format!("{tool} is not built here: its scenarios were not run."));
        }
    }
    if let Some(k6) = scenarios.iter().find(|scenario| scenario.tool == "k6") {
        found.versions.push(Version {
            program: "k6".into(),
            version: machine::first_line_of(&k6.program, &["version"]).unwrap_or_default(),
        });
    }
    found.tables.push(Table {
        title: "Scenarios".into(),
        text: "Each for a few seconds, against one node with the whole pipeline. A scenario checks every answer, asks the \
               auditor at its end, and exits with 0 only if all is as it must be."
            .into(),
        head: ["scenario", "tool", "requests", "exit", "s"].map(String::from).to_vec(),
        rows,
    });
    Ok(found)
}

fn k6(bench: &Bench, node: &Node) -> anyhow::Result<Vec<Scenario>> {
    let program = bench.stores.checkout.join(".local/bin/k6");
    let folder = bench.stores.checkout.join(K6);
    if !program.is_file() || !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut scripts: Vec<PathBuf> = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "js"));
    scripts.sort();
    let scenario = |script: PathBuf| {
        let name = script.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let summary = bench.stores.folder.join(format!("k6-{name}.json"));
        let own = [
            ("BASE_URL", format!("http://{}", node.address)),
            ("HS256_SECRET", SECRET.to_owned()),
            ("OPERATOR_TOKEN", OPERATOR.to_owned()),
            ("RATE", RATE.to_owned()),
            ("DURATION", format!("{}s", bench.plan.scenario.as_secs())),
            ("SUMMARY_JSON", summary.display().to_string()),
            // It would look for its own settings and write its own there.
            ("HOME", bench.stores.folder.display().to_string()),
        ];
        Scenario {
            tool: "k6",
            name,
            program: program.clone(),
            arguments: vec!["run".into(), "--quiet".into(), "--no-usage-report".into(), script.into()],
            envs: own.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            summary,
        }
    };
    Ok(scripts.into_iter().map(scenario).collect())
}

fn goose(bench: &Bench, node: &Node) -> anyhow::Result<Vec<Scenario>> {
    let program = std::env::current_exe()?.with_file_name(GOOSE);
    if !program.is_file() {
        return Ok(Vec::new());
    }
    let scenario = |name: &str| {
        let summary = bench.stores.folder.join(format!("goose-{name}.json"));
        let own = [
            ("BASE_URL", format!("http://{}", node.address)),
            ("HS256_SECRET", SECRET.to_owned()),
            ("OPERATOR_TOKEN", OPERATOR.to_owned()),
            ("SUMMARY_JSON", summary.display().to_string()),
        ];
        Scenario {
            tool: "goose",
            name: name.to_owned(),
            program: program.clone(),
            arguments: vec![name.into()],
            envs: own.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            summary,
        }
    };
    Ok(GOOSE_SCENARIOS.into_iter().map(scenario).collect())
}

impl Scenario {
    /// Its line of the table.
    async fn run(&self, bench: &Bench) -> anyhow::Result<Vec<String>> {
        let log = bench.stores.folder.join(format!("{}-{}.log", self.tool, self.name));
        let program = Program::new(self.tool, &self.program)
            .args(&self.arguments)
            .envs(self.envs.clone())
            .folder(&bench.stores.checkout);
        let begun = Instant::now();
        let status = program.run(&log, bench.plan.scenario + AUDIT_MAX).await;
        let exit = match status {
            Ok(status) => status.code().map_or_else(|| status.to_string(), |code| code.to_string()),
            Err(error) => format!("{error:#}"),
        };
        let requests = requests_of(&self.summary).map_or_else(|_| "?".to_owned(), |count| count.to_string());
        let seconds = format!("{:.0}", begun.elapsed().as_secs_f64());
        Ok(vec![self.name.clone(), self.tool.to_owned(), requests, exit, seconds])
    }
}

/// As k6 counts them in its summary.
fn requests_of(summary: &Path) -> anyhow::Result<u64> {
    let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(summary)?)?;
    let count = &json["metrics"]["http_reqs"]["values"]["count"];
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count, which JSON writes as it likes"
    )]
    count.as_f64().map(|count| count as u64).context("no number of requests in the summary")
}

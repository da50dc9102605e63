//! What do many runs come to? A few totals, for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::plan::Plan;
use crate::run::Outcome;

/// The sum of runs.
#[derive(Debug, Default)]
pub struct Tally {
    passed: u64,
    failed: u64,
    claims: usize,
    yes: usize,
    losses: u64,
    rebuilds: u64,
    oversold: u64,
    not_issued: u64,
    doubled: u64,
    wrong_refusals: u64,
    /// How often each kind of fault struck.
    kinds: BTreeMap<String, u64>,
    /// The first complaint of each run that failed.
    failures: Vec<(u64, String)>,
    longest: Duration,
}

impl Tally {
    /// Adds a run.
    pub fn add(&mut self, plan: &Plan, outcome: &anyhow::Result<Outcome>) {
        for step in &plan.steps {
            *self.kinds.entry(step.fault.name()).or_default() += 1;
        }
        match outcome {
            Ok(outcome) => {
                let count = |word: &str| outcome.wrong.iter().filter(|wrong| wrong.contains(word)).count() as u64;
                self.claims += outcome.counts.0;
                self.yes += outcome.counts.1;
                self.losses += outcome.losses.0;
                self.rebuilds += outcome.losses.1;
                self.oversold += count("invariant 1:");
                self.not_issued += count("promised and not issued");
                self.doubled += count("doubled");
                self.wrong_refusals += count("wrong refusal");
                self.longest = self.longest.max(outcome.took);
                match outcome.wrong.first() {
                    None => self.passed += 1,
                    Some(first) => self.fail(plan.seed, first.clone()),
                }
            }
            Err(error) => self.fail(plan.seed, format!("could not be run: {error:#}")),
        }
    }

    fn fail(&mut self, seed: u64, why: String) {
        self.failed += 1;
        self.failures.push((seed, why));
    }

    /// How many runs failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// The totals, a line each.
    #[must_use]
    pub fn totals(&self, took: Duration) -> Vec<(&'static str, String)> {
        vec![
            ("runs that passed", self.passed.to_string()),
            ("runs that failed", self.failed.to_string()),
            ("claims", self.claims.to_string()),
            ("answered 201", self.yes.to_string()),
            ("Redis lost something", self.losses.to_string()),
            ("rebuilds", self.rebuilds.to_string()),
            ("oversold", self.oversold.to_string()),
            ("promised and not issued", self.not_issued.to_string()),
            ("doubled", self.doubled.to_string()),
            ("wrong refusals", self.wrong_refusals.to_string()),
            ("the longest run, s", format!("{:.1}", self.longest.as_secs_f64())),
            ("all of it took, s", format!("{:.0}", took.as_secs_f64())),
        ]
    }

    /// Writes `report.md` into this folder.
    pub fn write(&self, folder: &Path, command: &str, took: Duration) -> anyhow::Result<()> {
        let mut text = format!("# Promises under faults\n\n`{command}`\n\n| | |\n|---|--:|\n");
        for (name, value) in self.totals(took) {
            writeln!(text, "| {name} | {value} |")?;
        }
        text += "\nWhat went wrong on purpose, and how often:\n\n| fault | times |\n|---|--:|\n";
        for (kind, count) in &self.kinds {
            writeln!(text, "| {kind} | {count} |")?;
        }
        if !self.failures.is_empty() {
            text += "\nRuns that failed, and the first thing that was wrong:\n\n";
            for (seed, why) in &self.failures {
                writeln!(text, "- seed {seed}: {why}")?;
            }
        }
        std::fs::create_dir_all(folder)?;
        Ok(std::fs::write(folder.join("report.md"), text)?)
    }
}

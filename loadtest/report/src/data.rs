//! What a benchmark run found: what measures writes it, what draws reads it, and it is kept beside the pictures.

use serde::{Deserialize, Serialize};

/// One run of all measurements, on one machine, of one commit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The day it was begun, `YYYY-MM-DD`, UTC.
    pub date: String,
    /// The commit that was measured, abbreviated; with `-dirty` where the tree differed from it.
    pub commit: String,
    /// How long all of it took, in s.
    pub seconds: f64,
    /// What it ran on.
    pub machine: Machine,
    /// Programs and their versions.
    pub versions: Vec<Version>,
    /// What was run, as one would type it.
    pub commands: Vec<String>,
    /// What was to be reached, and whether it was.
    pub targets: Vec<Target>,
    /// Distributions of answer times.
    pub latencies: Vec<Latencies>,
    /// What happened over time.
    pub timelines: Vec<Timeline>,
    /// The ways to sell a stock, side by side.
    pub strategies: Vec<Strategy>,
    /// What a claim costs each process.
    pub cpu: Vec<CpuCost>,
    /// Whatever else was counted.
    pub tables: Vec<Table>,
    /// What a reader should know before believing any of it.
    pub notes: Vec<String>,
}

/// What the run had to itself, or shared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Its cores, as far as the run could use them.
    pub cores: u32,
    /// Main memory, in GiB.
    pub memory_gib: f64,
    /// The distribution and its version.
    pub os: String,
    /// The kernel's version.
    pub kernel: String,
    /// What the processors were busy with before the run began, in % of all of them.
    pub busy_before_percent: f64,
}

/// A program that took part.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Its name.
    pub program: String,
    /// What it says of itself.
    pub version: String,
}

/// One promise: a line of the report's first table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// What is measured.
    pub name: String,
    /// What was to be reached, in words: `at least 0.75 of bare`.
    pub target: String,
    /// What was found, with its unit: `0.78 of bare`.
    pub figure: String,
    /// Between which values the single measurements lay, and how many they were: `0.76 to 0.80, 5 pairs`.
    pub spread: String,
    /// Whether that is enough.
    pub met: bool,
}

/// How long answers took: a histogram. Whole, so that any percentile can be computed again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Latencies {
    /// Which load, and which answers.
    pub name: String,
    /// Pairs of a bucket's upper bound in us (inclusive) and how many answers fell into it; ascending, without empty ones.
    pub buckets: Vec<(u64, u64)>,
}

/// Some counts over the same stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// What is shown.
    pub name: String,
    /// What the values count: `answers/s`, `claims`.
    pub unit: String,
    /// The length of a step, in ms.
    pub step_ms: u64,
    /// Drawn on top of each other where they are parts of a whole, beside each other where not.
    pub stacked: bool,
    /// The curves.
    pub series: Vec<Series>,
}

/// One curve.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Its name in the legend: `201`, `sold_out`, `rows`.
    pub name: String,
    /// A value for each step.
    pub values: Vec<f64>,
}

/// One way to sell a stock.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Strategy {
    /// `pessimistic row lock`, ...
    pub name: String,
    /// Whether it sells exactly, by its construction: the wrong ones are here to be seen to be wrong.
    pub is_correct: bool,
    /// Requests that were answered, and how many there would have been.
    pub answered: u64,
    /// See `answered`.
    pub asked: u64,
    /// How long that took, in s.
    pub seconds: f64,
    /// Whether it was stopped at the end of its time.
    pub was_cut_off: bool,
    /// Answers a second.
    pub per_second: f64,
    /// Half of the answers came within, in ms.
    pub p50_ms: f64,
    /// 99 of 100 answers came within, in ms.
    pub p99_ms: f64,
    /// Units sold beyond the stock.
    pub oversold: u64,
    /// Units left although more had asked.
    pub undersold: u64,
    /// Users who were served after, or refused instead of, somebody who came later.
    pub out_of_order: u64,
    /// What else should be known of it.
    pub note: String,
}

/// Time of the processors that one claim costs, by process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuCost {
    /// Under which load.
    pub name: String,
    /// Claims answered in that time.
    pub claims: u64,
    /// Each process, in us a claim.
    pub processes: Vec<ProcessCost>,
}

/// One process' part.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessCost {
    /// `onrush`, `redis`, `client`, ...
    pub process: String,
    /// In us a claim, of all cores together.
    pub us_per_claim: f64,
}

/// Figures that need no picture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its heading.
    pub title: String,
    /// What it shows, in a sentence or two.
    pub text: String,
    /// The heads of its columns.
    pub head: Vec<String>,
    /// Its cells, row by row.
    pub rows: Vec<Vec<String>>,
}

//! The fault driver: runs of many seeds, a line each, and an exit status.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Parser, Subcommand};
use faults::installation::check_binary;
use faults::plan::{Plan, Scale};
use faults::report::Tally;
use faults::run::{Outcome, play};
use faults::soak;
use faults::stores::Stores;
use tokio::task::JoinSet;

/// Contradictions of one kind that are shown; the rest follows from the same cause more often than not. Those are of one
/// kind that begin alike.
const SHOWN_MAX: usize = 3;
const KIND: usize = 20;

/// Hurts Onrush in mid-rush, and says whether it kept its promises.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The first seed. The same seed is the same plan.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Runs at the same time. One that kills Kafka or PostgreSQL is alone.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Only plans with a fault of this kind, as `SetRedisBack`.
    #[arg(long)]
    only: Option<String>,
    /// Writes the results into this folder.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Only say what would happen.
    #[arg(long)]
    plan: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Thousands of connections for a long time in mild weather: a tenth of them never read, a tenth send rubbish. Memory
    /// has to stay flat, and no answer may be wrong.
    Soak {
        /// How long, e.g. 30m.
        #[arg(long, default_value = "30m", value_parser = humantime::parse_duration)]
        time: Duration,
        /// How many.
        #[arg(long, default_value_t = 16_000, value_parser = clap::value_parser!(u32).range(20..))]
        connections: u32,
        /// The same seed is the same weather.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Writes the results into this folder.
        #[arg(long)]
        report: Option<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(command) = arguments.command {
        return until_interrupted(last(command)).await;
    }
    let seeds = arguments.seed..arguments.seed.saturating_add(arguments.runs);
    let plans = seeds.map(|seed| Plan::new(seed, Scale::FULL));
    let is_wanted = |plan: &Plan| {
        arguments.only.as_ref().is_none_or(|only| plan.steps.iter().any(|step| step.fault.name() == *only))
    };
    let plans: Vec<Plan> = plans.filter(is_wanted).collect();
    if arguments.plan {
        for plan in &plans {
            print!("{plan}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    until_interrupted(async { Ok(all(plans, &arguments).await? == 0) }).await
}

/// Whether all is well, as an exit status.
async fn until_interrupted(work: impl Future<Output = anyhow::Result<bool>>) -> anyhow::Result<ExitCode> {
    check_binary()?;
    tokio::select! {
        is_well = work => Ok(if is_well? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            // What was started dies with this process; the next one takes the data away.
            eprintln!("interrupted");
            Ok(ExitCode::from(130))
        }
    }
}

async fn last(Command::Soak { time, connections, seed, report }: Command) -> anyhow::Result<bool> {
    let scale = soak::Scale { seed, time, connections: usize::try_from(connections)? };
    soak::raise_limit(scale.connections)?;
    let stores = Arc::new(Stores::start().await.context("starting Kafka and PostgreSQL")?);
    println!("{connections} connections for {} from seed {seed}", humantime::format_duration(time));
    let outcome = soak::soak(&stores, scale).await?;
    let time = humantime::format_duration(time).to_string().replace(' ', "");
    let command = format!("make soak TIME={time} CONNECTIONS={connections} SEED={seed}");
    print!("{}", outcome.text(&command));
    if let Some(folder) = &report {
        outcome.write(folder, &command)?;
        println!("written to {}", folder.join("report.md").display());
    }
    if let Some(folder) = &outcome.folder {
        println!("logs: {}", folder.display());
    }
    if let Some(stores) = Arc::into_inner(stores) {
        stores.clean_up()?;
    }
    Ok(outcome.is_well())
}

async fn all(plans: Vec<Plan>, arguments: &Arguments) -> anyhow::Result<u64> {
    let began = Instant::now();
    let stores = Arc::new(Stores::start().await.context("starting Kafka and PostgreSQL")?);
    println!("Kafka and PostgreSQL are up after {:.1} s", began.elapsed().as_secs_f64());
    let (mut plans, mut runs, mut tally) = (plans.into_iter(), JoinSet::new(), Tally::default());
    loop {
        while runs.len() < arguments.jobs.max(1)
            && let Some(plan) = plans.next()
        {
            let stores = Arc::clone(&stores);
            runs.spawn(async move {
                let outcome = play(&stores, &plan).await;
                (plan, outcome)
            });
        }
        let Some(ended) = runs.join_next().await else { break };
        let (plan, outcome) = ended?;
        tally.add(&plan, &outcome);
        report(&plan, outcome);
    }
    for (name, value) in tally.totals(began.elapsed()) {
        println!("{name:>24} {value}");
    }
    if let Some(folder) = &arguments.report {
        let command = format!("make faults SEED={} RUNS={} JOBS={}", arguments.seed, arguments.runs, arguments.jobs);
        tally.write(folder, &command, began.elapsed())?;
        println!("written to {}", folder.join("report.md").display());
    }
    if let Some(stores) = Arc::into_inner(stores) {
        stores.clean_up()?;
    }
    Ok(tally.failed())
}

fn report(plan: &Plan, outcome: anyhow::Result<Outcome>) {
    match outcome {
        Ok(outcome) if outcome.wrong.is_empty() => {
            let (claims, yes, silent) = outcome.counts;
            println!(
                "seed {:>4} passed in {:>4.1} s (settled in {:.1}): {claims} claims, {yes} yes, {silent} without an answer; {}",
                plan.seed,
                outcome.took.as_secs_f64(),
                outcome.settled_in.as_secs_f64(),
                plan.steps.iter().map(|step| step.fault.name()).collect::<Vec<_>>().join(" "),
            );
        }
        Ok(outcome) => {
            println!("seed {:>4} FAILED in {:.1} s\n{plan}", plan.seed, outcome.took.as_secs_f64());
            let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
            for wrong in &outcome.wrong {
                let kind = shown.entry(wrong.get(..KIND).unwrap_or(wrong)).or_default();
                *kind += 1;
                if *kind <= SHOWN_MAX {
                    println!("  ! {wrong}");
                }
            }
            println!(
                "  {} contradictions; logs: {}",
                outcome.wrong.len(),
                outcome.folder.unwrap_or_default().display()
            );
        }
        Err(error) => println!("seed {:>4} COULD NOT BE RUN: {error:#}\n{plan}", plan.seed),
    }
}

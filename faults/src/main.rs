//! The fault driver: runs of many seeds, a line each, and an exit status.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use faults::installation::check_binary;
use faults::plan::{Plan, Scale};
use faults::run::{Outcome, play};
use faults::stores::Stores;
use tokio::task::JoinSet;

/// Contradictions of one run that are shown; the rest follows from the same cause more often than not.
const SHOWN_MAX: usize = 20;

/// Hurts Onrush in mid-rush, and says whether it kept its promises.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The first seed. The same seed is the same plan.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Runs at the same time. One that kills Kafka or PostgreSQL is alone.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Redis is emptied or set back, too, and the campaign rebuilt.
    #[arg(long)]
    lose_redis: bool,
    /// Only say what would happen.
    #[arg(long)]
    plan: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let scale = Scale { loses_redis: arguments.lose_redis, ..Scale::FULL };
    let seeds = arguments.seed..arguments.seed.saturating_add(arguments.runs);
    if arguments.plan {
        seeds.for_each(|seed| print!("{}", Plan::new(seed, scale)));
        return Ok(ExitCode::SUCCESS);
    }
    check_binary()?;
    tokio::select! {
        failed = all(seeds, scale, arguments.jobs.max(1)) => {
            Ok(if failed? == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            // What was started dies with this process; the next one takes the data away.
            eprintln!("interrupted");
            Ok(ExitCode::from(130))
        }
    }
}

async fn all(mut seeds: std::ops::Range<u64>, scale: Scale, jobs: usize) -> anyhow::Result<usize> {
    let began = Instant::now();
    let stores = Arc::new(Stores::start().await.context("starting Kafka and PostgreSQL")?);
    println!("Kafka and PostgreSQL are up after {:.1} s", began.elapsed().as_secs_f64());
    let (mut passed, mut failed) = (0, 0);
    let mut runs = JoinSet::new();
    loop {
        while runs.len() < jobs
            && let Some(seed) = seeds.next()
        {
            let stores = Arc::clone(&stores);
            runs.spawn(async move {
                let plan = Plan::new(seed, scale);
                let outcome = play(&stores, &plan).await;
                (plan, outcome)
            });
        }
        let Some(ended) = runs.join_next().await else { break };
        let (plan, outcome) = ended?;
        if report(&plan, outcome) {
            passed += 1;
        } else {
            failed += 1;
        }
    }
    println!("{passed} passed, {failed} failed in {:.0} s", began.elapsed().as_secs_f64());
    if let Some(stores) = Arc::into_inner(stores) {
        stores.clean_up()?;
    }
    Ok(failed)
}

fn report(plan: &Plan, outcome: anyhow::Result<Outcome>) -> bool {
    match outcome {
        Ok(outcome) if outcome.wrong.is_empty() => {
            let (yes, other, silent) = outcome.counts;
            println!(
                "seed {:>4} passed in {:>4.1} s (settled in {:.1}): {yes} yes, {other} other, {silent} without an answer; {}",
                plan.seed,
                outcome.took.as_secs_f64(),
                outcome.settled_in.as_secs_f64(),
                plan.steps.iter().map(|step| step.fault.name()).collect::<Vec<_>>().join(" "),
            );
            true
        }
        Ok(outcome) => {
            println!("seed {:>4} FAILED\n{plan}", plan.seed);
            for wrong in outcome.wrong.iter().take(SHOWN_MAX) {
                println!("  ! {wrong}");
            }
            println!(
                "  {} contradictions; logs: {}",
                outcome.wrong.len(),
                outcome.folder.unwrap_or_default().display()
            );
            false
        }
        Err(error) => {
            println!("seed {:>4} COULD NOT BE RUN: {error:#}\n{plan}", plan.seed);
            false
        }
    }
}

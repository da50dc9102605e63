//! `strategies`: the ways to sell a stock, side by side, and what decides how fast Onrush's own is.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use strategies::driver::Load;
use strategies::findings::{BatchRound, Findings, LedgerRound, median};
use strategies::side_by_side::{self, Outcome};
use strategies::stores::Stores;
use strategies::{batches, ledger};

/// Ways to sell a stock, on the configured Redis, Kafka and PostgreSQL. What it makes there it takes away again.
#[derive(Parser)]
#[command(name = "strategies", version)]
struct Cli {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Every way sells the same stock to the same users. Fails if a right one is not exact, or a wrong one seems to be.
    Run,
    /// Claims that Redis alone decides in a second, one a call and many a call.
    RedisBatches,
    /// Rows that the ledger's statement writes in a second, and COPY.
    Ledger,
    /// All three.
    All,
}

#[derive(Args)]
struct Options {
    /// How many users ask, once each.
    #[arg(long, global = true, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    users: u64,
    /// How many units there are.
    #[arg(long, global = true, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    stock: u64,
    /// Requests at a time. The wrong ways need several to be wrong.
    #[arg(long, global = true, default_value_t = 256, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    concurrency: u32,
    /// Connections to the database, for the ways that sell there.
    #[arg(long, global = true, default_value_t = 32, value_parser = clap::value_parser!(u32).range(2..=200))]
    connections: u32,
    /// When a way that is not done is stopped, in s.
    #[arg(long, global = true, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds_max: u64,
    /// Alternating rounds of redis-batches and ledger.
    #[arg(long, global = true, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Write what was found to this file, as JSON.
    #[arg(long, global = true)]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let Cli { what, options } = Cli::parse();
    let (mut findings, mut surprises) = (Findings::default(), Vec::new());
    if what != What::RedisBatches {
        let stores = Stores::make(options.connections).await?;
        // Also after Ctrl-C and after a failure nothing is left in the stores.
        let outcome = tokio::select! {
            outcome = in_stores(&stores, what, &options, &mut findings) => outcome,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("stopped")),
        };
        stores.remove().await?;
        surprises = outcome?;
    }
    if matches!(what, What::RedisBatches | What::All) {
        findings.redis_batches = redis_batches(options.rounds as usize).await?;
        batch_summary(&findings.redis_batches);
    }
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&findings)?;
        std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    for surprise in &surprises {
        eprintln!("{surprise}");
    }
    Ok(if surprises.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What needs all stores. Answers what should not be.
async fn in_stores(
    stores: &Stores,
    what: What,
    options: &Options,
    findings: &mut Findings,
) -> anyhow::Result<Vec<String>> {
    let mut surprises = Vec::new();
    if matches!(what, What::Run | What::All) {
        let load = Load {
            users: options.users,
            stock: options.stock,
            concurrency: options.concurrency as usize,
            seconds_max: options.seconds_max,
        };
        println!("{} users, {} units, {} requests at a time", load.users, load.stock, load.concurrency);
        println!(
            "{:<30} {:>9} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "", "answered", "answers/s", "p50 ms", "p99 ms", "oversold", "undersold", "disorder"
        );
        let outcomes = side_by_side::compare(stores, load, line).await?;
        surprises = outcomes.iter().filter_map(Outcome::surprise).collect();
        findings.strategies = outcomes.into_iter().map(|outcome| outcome.strategy).collect();
    }
    if matches!(what, What::Ledger | What::All) {
        findings.ledger = ledger::compare(&stores.database, options.rounds as usize, ledger_line).await?;
        let ratio = |copy: fn(&LedgerRound) -> f64| median(findings.ledger.iter().map(|it| it.ours / copy(it)));
        println!(
            "ledger: the statement has {:.2} of the facts/s of COPY, {:.2} where COPY writes the history too (medians)",
            ratio(|it| it.copy),
            ratio(|it| it.copy_with_history)
        );
    }
    Ok(surprises)
}

/// Stops after the round in which Ctrl-C was pressed.
async fn redis_batches(rounds: usize) -> anyhow::Result<Vec<BatchRound>> {
    let stop = Arc::new(AtomicBool::new(false));
    let stop_too = Arc::clone(&stop);
    let mut measured = tokio::task::spawn_blocking(move || {
        batches::compare(rounds, |round| {
            batch_line(round);
            // Relaxed: nothing else is told by it.
            anyhow::ensure!(!stop_too.load(Ordering::Relaxed), "stopped");
            Ok(())
        })
    });
    tokio::select! {
        outcome = &mut measured => return outcome?,
        _ = tokio::signal::ctrl_c() => stop.store(true, Ordering::Relaxed),
    }
    measured.await?
}

fn line(outcome: &Outcome) {
    let it = &outcome.strategy;
    println!(
        "{:<30} {:>9} {:>10.0} {:>9.1} {:>9.1} {:>9} {:>9} {:>9}{}\n    {}",
        it.name,
        it.answered,
        it.per_second,
        it.p50_ms,
        it.p99_ms,
        it.oversold,
        it.undersold,
        it.out_of_order,
        if it.was_cut_off { "  cut off" } else { "" },
        it.note
    );
}

fn batch_line(round: &BatchRound) {
    println!("redis: one {:.0}, of 64 {:.0}, of 256 {:.0} claims/s", round.one, round.of_64, round.of_256);
}

fn batch_summary(rounds: &[BatchRound]) {
    let one = median(rounds.iter().map(|round| round.one));
    let times = |of: fn(&BatchRound) -> f64| median(rounds.iter().map(of)) / one;
    println!(
        "redis: batches of 64 decide {:.2} times as many, of 256 {:.2} times (medians)",
        times(|it| it.of_64),
        times(|it| it.of_256)
    );
}

fn ledger_line(round: &LedgerRound) {
    println!(
        "ledger: ours {:.0} facts/s, COPY of the claims {:.0}, COPY of claims and history {:.0}",
        round.ours, round.copy, round.copy_with_history
    );
}

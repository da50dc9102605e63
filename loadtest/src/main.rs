//! `rush`: many users ask an Onrush server for few coupons, over real HTTP, and a table says how it went.
//!
//! It shares its machine with the server that it measures, so it is built to be light: tokens are made before the clock
//! starts, nothing is spawned for a request, and bodies are read only as far as they are needed.

mod audit;
mod http_client;
mod latency;
mod open_files;
mod operator;
mod plan;
mod ready;
mod report;
mod rush;
mod settings;
mod table;
mod tally;
mod target;
mod tokens;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::settings::Settings;
use crate::target::Target;

/// More would only take cores from the server.
const WORKER_THREADS: usize = 2;

/// Load for an Onrush server on this machine.
#[derive(Parser)]
#[command(name = "rush", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Let all users ask at once, check every answer, ask the auditor, print a table. Exits 0 only if all is well.
    Burst(Burst),
    /// Wait until the server says that it can serve.
    WaitReady(WaitReady),
    /// Print where the server is, as its settings have it.
    Url(Server),
}

#[derive(Args)]
struct Server {
    /// Where the server is; only addresses of this machine. Left out: what `http.listen` is in the settings.
    #[arg(long)]
    url: Option<String>,
    /// The settings that the server was started with. Variables such as `ONRUSH__HTTP__LISTEN` are laid over them.
    #[arg(long, default_value = ".local/onrush.toml")]
    config: PathBuf,
}

#[derive(Args)]
struct Burst {
    #[command(flatten)]
    server: Server,
    /// How many users ask.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,
    /// How many coupons there are.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    stock: u32,
    /// Connections that the users share.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    connections: u32,
    /// Requests of each user at the same time, each on a connection of its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    per_user_tries: u32,
    /// The id of the campaign, which must be new. Left out: rush-<ms since 1970>.
    #[arg(long)]
    campaign: Option<String>,
    /// The file with the operator's token.
    #[arg(long, default_value = ".local/operator-token")]
    operator_token_file: PathBuf,
    /// How long a request may take, in s.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    timeout_s: u64,
    /// How long all rows may take to reach the database after the last answer, in s.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    audit_wait_s: u64,
    /// Write the result to this file too, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Args)]
struct WaitReady {
    #[command(flatten)]
    server: Server,
    /// How long to wait, in s.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    timeout_s: u64,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build();
    let outcome = runtime.context("cannot start threads").and_then(|runtime| runtime.block_on(run(cli.command)));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("rush: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Burst(arguments) => burst(arguments).await,
        Command::WaitReady(arguments) => {
            let target = target_of(&arguments.server, &Settings::load(&arguments.server.config)?)?;
            ready::wait(&target, Duration::from_secs(arguments.timeout_s)).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Url(server) => {
            println!("{}", target_of(&server, &Settings::load(&server.config)?)?.url());
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn burst(arguments: Burst) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(&arguments.server.config)?;
    let target = target_of(&arguments.server, &settings)?;
    let plan = plan::Plan {
        campaign: arguments.campaign.unwrap_or_else(|| format!("rush-{}", tokens::now().as_millis())),
        users: arguments.users,
        stock: arguments.stock,
        connections: arguments.connections,
        per_user_tries: arguments.per_user_tries,
        timeout: Duration::from_secs(arguments.timeout_s),
        audit_wait: Duration::from_secs(arguments.audit_wait_s),
    };
    let operator = operator::Operator::new(&target, &arguments.operator_token_file, plan.timeout)?;
    let report = rush::run(&plan, &target, &operator, settings.hs256_secret()?).await?;
    print!("{}", table::render(&report));
    if let Some(path) = arguments.json {
        let json = serde_json::to_string_pretty(&report)?;
        std::fs::write(&path, json + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn target_of(server: &Server, settings: &Settings) -> anyhow::Result<Target> {
    match &server.url {
        Some(url) => Target::parse(url),
        None => Target::of_listener(settings.listen()?),
    }
}

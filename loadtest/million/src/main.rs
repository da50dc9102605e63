//! `million`: a million users in one waiting room, on this machine. What they are told is held against what was so, and
//! what it costs is judged.
//!
//! - [`sections`]: what is measured, one module each; [`plan`]: how many, and for how long.
//! - [`crowd`], [`wheel`]: who comes, and when; [`listener`]: who listens.
//! - [`history`], [`order`], [`pace`], [`judge`]: whether it was true.
//! - [`stage`], [`redis`], [`watch`], [`joined`]: what is asked, and what is looked at meanwhile.

mod crowd;
mod history;
mod joined;
mod judge;
mod listener;
mod order;
mod pace;
mod plan;
mod redis;
mod sections;
mod stage;
mod watch;
mod wheel;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bench::bench::absorb;
use bench::sections::Promise;
use bench::stores::Stores;
use bench::users::Users;
use bench::{machine, output};
use clap::{Parser, Subcommand, ValueEnum};
use onrush::clock::Millis;
use report::data::Run;
use testkit::open_files;
use tokio::signal::unix::{SignalKind, signal};

use plan::Plan;
use sections::Section;
use stage::Stage;

/// More would only take cores from what is measured.
const WORKER_THREADS: usize = 2;
/// What is still under way at the end belongs to a run that was stopped.
const STOP_MAX: Duration = Duration::from_secs(1);
/// A machine that is busier than this before anything is started is said to be.
const QUIET_PERCENT_MAX: f64 = 10.0;
const ID_BYTES: usize = 10;

/// Lets a million users wait on this machine, and writes a report.
#[derive(Parser)]
#[command(name = "million", version)]
struct Cli {
    #[command(subcommand)]
    child: Option<Child>,
    /// Only these, with commas between them.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Section>,
    /// Everything with few users and for moments only, to see whether it works. What it finds is no finding.
    #[arg(long)]
    quick: bool,
    /// Users who join the one room.
    #[arg(long)]
    users: Option<usize>,
    /// It is over when so many were admitted,
    #[arg(long)]
    admit_total: Option<u64>,
    /// or after so many minutes.
    #[arg(long)]
    minutes: Option<u64>,
    /// So many are admitted,
    #[arg(long)]
    admit: Option<u64>,
    /// at most, in any window of so many ms.
    #[arg(long)]
    every_ms: Option<u64>,
    /// Connections of the crowd.
    #[arg(long)]
    connections: Option<usize>,
    /// Event streams.
    #[arg(long)]
    streams: Option<usize>,
    /// Users who wait while status is compared with bare.
    #[arg(long)]
    ratio_users: Option<usize>,
    /// Pairs of a comparison.
    #[arg(long)]
    pairs: Option<usize>,
    /// Users by whom Redis' memory is weighed.
    #[arg(long)]
    weighed_users: Option<usize>,
    /// Where reports go; each gets a folder of its own there.
    #[arg(long, default_value = "reports")]
    reports: PathBuf,
}

#[derive(Subcommand)]
enum Child {
    /// Holds event streams open; this program starts itself so.
    #[command(hide = true)]
    StreamsChild(listener::Orders),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.child {
        Some(Child::StreamsChild(orders)) => listen(orders),
        None => measure(cli),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("million: {error:#}");
        ExitCode::FAILURE
    })
}

fn listen(orders: listener::Orders) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(listener::run(orders))?;
    Ok(ExitCode::SUCCESS)
}

fn measure(cli: Cli) -> anyhow::Result<ExitCode> {
    // The nodes inherit it.
    open_files::raise_to_hard_limit()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build()?;
    let outcome = runtime.block_on(run(cli));
    runtime.shutdown_timeout(STOP_MAX);
    outcome
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let stores = Arc::new(Stores::new()?);
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // Whatever is running ends when it is dropped.
    let outcome = tokio::select! {
        outcome = all(&cli, &stores) => outcome,
        _ = interrupted.recv() => Err(anyhow::anyhow!("stopped")),
        _ = terminated.recv() => Err(anyhow::anyhow!("stopped")),
    };
    let is_well = matches!(&outcome, Ok((_, true)));
    // Who stopped it knows why; what failed is to be looked into.
    stores.clean_up(outcome.is_ok() && !is_well).await;
    let (run, _) = outcome?;
    let mut folder = output::folder(&run, &cli.reports).into_os_string();
    folder.push("-waiting");
    let folder = PathBuf::from(folder);
    report::write(&run, &folder)?;
    print!("\n{}", output::summary(&run));
    println!("\n{} after {:.0} s", folder.display(), run.seconds);
    if !is_well {
        for note in run.notes.iter().filter(|note| note.starts_with(NOT_MEASURED) || note.starts_with("Not as")) {
            eprintln!("million: {note}");
        }
        eprintln!("million: something was not true, or not measured; logs are below {}", stores.folder.display());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

const NOT_MEASURED: &str = "Not measured";

/// All sections, and whether all that visitors were told was true. What one section does not find is not found; the others
/// go on.
async fn all(cli: &Cli, stores: &Arc<Stores>) -> anyhow::Result<(Run, bool)> {
    let begun = Instant::now();
    let plan = plan_of(cli);
    let mut run = Run {
        date: Millis::now().to_rfc3339().chars().take(10).collect(),
        commit: machine::commit(&stores.checkout),
        machine: machine::look().await,
        versions: machine::versions(stores).await,
        commands: vec![command(cli)],
        notes: notes(&plan),
        ..Run::default()
    };
    let busy = run.machine.busy_before_percent;
    if busy > QUIET_PERCENT_MAX {
        run.notes.push(format!("The machine was busy before the run began ({busy} %): what is found is worth less."));
        println!("the machine is busy with something else ({busy} %): what is found is worth less");
    }
    let tokens = plan.tokens();
    println!("signing the tokens of {tokens} users");
    let users = tokio::task::spawn_blocking(move || Users::sign_as(tokens, |user| Plan::id(user, ID_BYTES))).await??;
    let stage = Stage { plan, stores: Arc::clone(stores), users: Arc::new(users) };
    let mut is_well = true;
    for section in Section::value_variants().iter().filter(|it| cli.only.is_empty() || cli.only.contains(it)) {
        println!("{section:?}");
        match section.run(&stage).await.with_context(|| format!("{section:?}")) {
            Ok((part, is_true)) => {
                is_well &= is_true;
                absorb(&mut run, part);
            }
            Err(error) => {
                is_well = false;
                run.targets.extend(section.promises().iter().map(Promise::not_measured));
                run.notes.push(format!("{NOT_MEASURED}: {error:#}"));
            }
        }
    }
    run.seconds = begun.elapsed().as_secs_f64().round();
    Ok((run, is_well))
}

fn plan_of(cli: &Cli) -> Plan {
    let mut plan = if cli.quick { Plan::quick() } else { Plan::full() };
    plan.users = cli.users.unwrap_or(plan.users);
    plan.admit_total = cli.admit_total.unwrap_or(plan.admit_total);
    plan.minutes = cli.minutes.unwrap_or(plan.minutes);
    plan.admit = cli.admit.unwrap_or(plan.admit);
    plan.every_ms = cli.every_ms.unwrap_or(plan.every_ms);
    plan.connections = cli.connections.unwrap_or(plan.connections);
    plan.streams = cli.streams.unwrap_or(plan.streams);
    plan.ratio_users = cli.ratio_users.unwrap_or(plan.ratio_users);
    plan.pairs.pairs = cli.pairs.unwrap_or(plan.pairs.pairs);
    plan.weighed_users = cli.weighed_users.unwrap_or(plan.weighed_users);
    plan
}

/// As one would type it.
fn command(cli: &Cli) -> String {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match (words.is_empty(), cli.quick) {
        (true, _) => "make million".to_owned(),
        _ => testkit::node::typed(&format!("target/release/million {}", words.join(" "))),
    }
}

fn notes(plan: &Plan) -> Vec<String> {
    let mut notes = vec![
        "Client, nodes and Redis share the machine's cores: what the client needs, the nodes do not have. Ratios compare \
         neighbours in time; figures a second are this machine's own."
            .to_owned(),
        "The client is one thread that reads of an answer its status, its length and the members that it needs. Redis is a \
         private one for each section, with its log on (everysec) and not rewritten meanwhile."
            .to_owned(),
    ];
    if plan.is_quick {
        notes.push("A quick run, to see whether everything works: none of its figures means anything.".to_owned());
    }
    notes
}

//! `bench`: all that Onrush promises of its speed, measured on this machine and judged.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bench::bench::{Bench, Progress, absorb};
use bench::plan::Plan;
use bench::sections::Section;
use bench::stores::Stores;
use bench::users::Users;
use bench::{machine, output};
use clap::Parser;
use onrush::clock::Millis;
use report::data::Run;
use tokio::signal::unix::{SignalKind, signal};

/// More would only take cores from what is measured: this program's own tasks are few, the loads have threads of their own.
const WORKER_THREADS: usize = 2;
/// What is still under way at the end belongs to a run that was stopped.
const STOP_MAX: Duration = Duration::from_secs(1);
/// A machine that is busier than this before anything is started is said to be.
const QUIET_PERCENT_MAX: f64 = 10.0;

/// Measures Onrush on this machine, and writes a report.
#[derive(Parser)]
#[command(name = "bench", version)]
struct Cli {
    /// Only these sections, with commas between them. A name that there is not is answered with those that there are.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Everything for moments only, to see whether it works. What it finds is no finding.
    #[arg(long)]
    quick: bool,
    /// Where reports go; each gets a folder of its own there.
    #[arg(long, default_value = "reports")]
    reports: PathBuf,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build();
    let outcome = runtime.context("cannot start threads").and_then(|runtime| {
        let outcome = runtime.block_on(run(cli));
        runtime.shutdown_timeout(STOP_MAX);
        outcome
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let sections = chosen(&cli.only)?;
    let stores = Arc::new(Stores::new()?);
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // Whatever is running ends when it is dropped.
    let outcome = tokio::select! {
        outcome = measure(&cli, &sections, &stores) => outcome,
        _ = interrupted.recv() => Err(anyhow::anyhow!("stopped")),
        _ = terminated.recv() => Err(anyhow::anyhow!("stopped")),
    };
    // Who stopped it knows why; what failed is to be looked into.
    stores.clean_up(matches!(&outcome, Ok((_, failures)) if *failures > 0)).await;
    let (run, failures) = outcome?;
    let folder = output::folder(&run, &cli.reports);
    report::write(&run, &folder)?;
    print!("\n{}", output::summary(&run));
    println!("\n{} after {:.0} s", folder.display(), run.seconds);
    if failures > 0 {
        eprintln!("bench: {failures} sections failed; their logs are below {}", stores.folder.display());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn chosen(only: &[String]) -> anyhow::Result<Vec<Section>> {
    let names = Section::ALL.map(Section::name);
    for name in only {
        ensure!(names.contains(&name.as_str()), "there is no section {name}, but {}", names.join(", "));
    }
    let is_chosen = |section: &Section| only.is_empty() || only.iter().any(|name| name == section.name());
    Ok(Section::ALL.into_iter().filter(is_chosen).collect())
}

/// All sections, and how many of them failed. What one does not find is not found; the others go on.
async fn measure(cli: &Cli, sections: &[Section], stores: &Arc<Stores>) -> anyhow::Result<(Run, usize)> {
    let begun = Instant::now();
    let plan = if cli.quick { Plan::QUICK } else { Plan::FULL };
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
    println!("signing the tokens of {} users", plan.users);
    let users = tokio::task::spawn_blocking(move || Users::sign(plan.users)).await??;
    let lengths = sections.iter().map(|section| (section.name(), section.length(&plan))).collect();
    let mut bench =
        Bench { plan, users: Arc::new(users), stores: Arc::clone(stores), progress: Progress::new(lengths) };
    let mut failures = 0;
    for (index, section) in sections.iter().enumerate() {
        bench.progress.begin(index);
        match section.run(&bench).await {
            Ok(part) => absorb(&mut run, part),
            Err(error) => {
                eprintln!("bench: {} failed: {error:#}", section.name());
                failures += 1;
                run.targets.extend(section.promises().iter().map(bench::sections::Promise::not_measured));
                run.notes.push(format!("{} was not measured: {error:#}", section.name()));
            }
        }
    }
    run.seconds = begun.elapsed().as_secs_f64().round();
    Ok((run, failures))
}

fn command(cli: &Cli) -> String {
    match (cli.quick, cli.only.is_empty()) {
        (false, true) => "make bench".to_owned(),
        (quick, all) => {
            let quick = if quick { " --quick" } else { "" };
            let only = if all { String::new() } else { format!(" --only {}", cli.only.join(",")) };
            testkit::node::typed(&format!("target/release/bench{quick}{only}"))
        }
    }
}

fn notes(plan: &Plan) -> Vec<String> {
    let mut notes = vec![
        "Client, Onrush, Redis, and where they take part Kafka and PostgreSQL, share the machine's cores: what the client \
         needs, the server does not have. Ratios compare neighbours in time; figures a second are this machine's own."
            .to_owned(),
        "The client is one thread that sends bytes made before the clock starts and reads of an answer its status, its \
         length, its code and its number."
            .to_owned(),
        "In the open model an arrival's time begins when it was due; it is sent up to 0.25 ms later, which counts.".to_owned(),
        "Redis is a private one for each section, with its log on (everysec).".to_owned(),
    ];
    if plan.is_quick {
        notes.push("A quick run, to see whether everything works: none of its figures means anything.".to_owned());
    }
    notes
}

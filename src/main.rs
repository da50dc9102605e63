//! The program: reads what it is to do, does it, and waits for a signal.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use onrush::app::{Node, Role};
use onrush::config::Config;
use onrush::ids::{CampaignId, UserId};
use onrush::ledger::{Auditor, Verdict};
use onrush::rebuild::{Rebuilder, Rebuilt};
use onrush::redis::Redis;
use onrush::waiting::PublishedDraw;
use onrush::{database, http, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A burst engine for first-come coupons and tickets.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A file of settings; they are explained in config/default.toml.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer users and operators.
    Serve,
    /// Move facts from Redis to Kafka and from there to the database.
    Work,
    /// Serve and work in one process.
    All,
    /// Bring the database's tables up to date.
    Migrate,
    /// Compare Redis, Kafka and the database. Exit status: 0 all agree, 1 something is broken, 2 it could not be told,
    /// 3 facts are still on their way.
    Audit {
        /// Only this campaign; without it, all.
        campaign: Option<CampaignId>,
        /// How long facts on their way are waited for.
        #[arg(long, value_parser = humantime::parse_duration, default_value = "0s")]
        wait: Duration,
    },
    /// Bring back what was lost in Redis, from the database and Kafka, into the next generation. Needs a running worker. What
    /// it is at goes to standard error. Whatever fails may be run again. Exit status: 0 nothing is lost any more, 1 something
    /// still is, 2 it could not be told.
    Rebuild {
        /// Only this campaign.
        #[arg(required_unless_present = "all")]
        campaign: Option<CampaignId>,
        /// All that are lost.
        #[arg(long, conflicts_with = "campaign")]
        all: bool,
        /// Go on although dead letters of a campaign cannot be read. If they hold claims, their units are sold again.
        #[arg(long)]
        without_unreadable: bool,
        /// How long facts on their way are waited for.
        #[arg(long, value_parser = humantime::parse_duration, default_value = "60s")]
        wait: Duration,
    },
    /// What concerns the draw of a waiting room.
    Draw {
        #[command(subcommand)]
        command: DrawCommand,
    },
    /// Print a user's token.
    Token {
        /// Whose.
        #[arg(long)]
        user: UserId,
        /// How long it is good.
        #[arg(long, value_parser = humantime::parse_duration, default_value = "1h")]
        expires_in: Duration,
    },
}

#[derive(Subcommand)]
enum DrawCommand {
    /// Print the list that an order was drawn from, for `draw verify --list`: a line `<number> <user>` for each who waited
    /// when it closed. Exit status: 0 printed, 2 there is none.
    List {
        /// Of which campaign.
        campaign: CampaignId,
    },
    /// Recompute a draw from what is public. Exit status: 0 all that was given holds, 1 it does not, 2 it cannot be told,
    /// as when it is not drawn yet.
    Verify {
        /// What GET /v1/campaigns/{id}/draw answered; - reads standard input.
        #[arg(long)]
        file: PathBuf,
        /// The list that was drawn: lines of a number, a space and a user id; - reads standard input.
        #[arg(long)]
        list: Option<PathBuf>,
        /// Print the place of this arrival number.
        #[arg(long)]
        number: Vec<u64>,
        /// Print the whole order, as lines of a place, a space and an arrival number.
        #[arg(long, conflicts_with = "number")]
        order: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    // Apart: all settings and all rooms are in it, and a thread's stack is no place for them.
    match Box::pin(run(Arguments::parse())).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("onrush: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = Config::load(arguments.config.as_deref())?;
    telemetry::start_log(&config.telemetry).context("telemetry.log")?;
    match arguments.command {
        Command::Serve => serve(config, Role::Serve).await,
        Command::Work => serve(config, Role::Work).await,
        Command::All => serve(config, Role::All).await,
        Command::Migrate => migrate(&config).await,
        Command::Audit { campaign, wait } => audit(&config, campaign, wait).await,
        Command::Rebuild { campaign, wait, without_unreadable, .. } => {
            rebuild(&config, campaign.as_ref(), (wait, without_unreadable)).await
        }
        Command::Draw { command: DrawCommand::List { campaign } } => list_draw(&config, &campaign).await,
        Command::Draw { command: DrawCommand::Verify { file, list, number, order } } => {
            verify_draw(&file, list.as_deref(), &number, order)
        }
        Command::Token { user, expires_in } => {
            let seconds = i64::try_from(expires_in.as_secs()).context("--expires-in")?;
            println!("{}", http::user_token(&config.auth, &user, seconds)?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn serve(config: Config, role: Role) -> anyhow::Result<ExitCode> {
    let node = Box::pin(Node::start(config, role)).await?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let loops = node.loops();
    let mut told = async || {
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            interrupted = tokio::signal::ctrl_c() => interrupted,
        }
    };
    tokio::select! {
        told = told() => told?,
        (name, why) = loops.given_up() => {
            tracing::error!(name, why, "stopping: a loop does not come back; start the node again");
            node.stop().await;
            return Ok(ExitCode::from(1));
        }
    }
    tracing::info!("shutting down: /readyz says 503 now; a second signal stops at once");
    tokio::select! {
        () = node.leave() => {}
        told = told() => told?,
    }
    tracing::info!("shutting down: finishing the requests that were accepted");
    node.stop().await;
    Ok(ExitCode::SUCCESS)
}

async fn migrate(config: &Config) -> anyhow::Result<ExitCode> {
    let database = database::open(&config.postgres)?;
    database::migrate(&database, &config.postgres).await.context("migrating the database")?;
    Ok(ExitCode::SUCCESS)
}

async fn audit(config: &Config, campaign: Option<CampaignId>, wait: Duration) -> anyhow::Result<ExitCode> {
    let redis = Arc::new(Redis::connect(&config.redis).await.context("connecting to Redis")?);
    let database = database::open(&config.postgres)?;
    let auditor = Auditor::new(Arc::clone(&redis), database, config)?;
    let campaigns = match &campaign {
        Some(campaign) => vec![campaign.clone()],
        None => auditor.campaigns().await?,
    };
    let (mut worst, mut untold) = (Verdict::Ok, 0);
    for id in campaigns {
        match auditor.audit_settled(&id, wait).await {
            Ok(Some(audit)) => {
                println!("{audit}");
                worst = worst.max(audit.verdict);
            }
            Ok(None) if campaign.is_some() => anyhow::bail!("there is no campaign {id}"),
            Ok(None) => println!("audit {id}: it is in Redis' directory, and no store knows anything of it"),
            // One that cannot be told hides no other.
            Err(error) => {
                untold += 1;
                println!("audit {id}: could not be told: {error}");
            }
        }
    }
    Ok(match worst {
        Verdict::Broken => ExitCode::from(1),
        _ if untold > 0 => ExitCode::from(2),
        Verdict::Settling => ExitCode::from(3),
        Verdict::Ok => ExitCode::SUCCESS,
    })
}

async fn rebuild(
    config: &Config,
    campaign: Option<&CampaignId>,
    (wait, without_unreadable): (Duration, bool),
) -> anyhow::Result<ExitCode> {
    let redis = Arc::new(Redis::connect(&config.redis).await.context("connecting to Redis")?);
    let database = database::open(&config.postgres)?;
    let rebuilder = Rebuilder::new(redis, database, config)?
        .without_unreadable(without_unreadable)
        .saying(|what| eprintln!("rebuild: {what}"));
    let outcomes = match campaign {
        None => rebuilder.rebuild_all(wait).await?,
        Some(campaign) => {
            let rebuilt = rebuilder.rebuild(campaign, wait).await;
            let rebuilt = rebuilt.transpose().with_context(|| format!("there is no campaign {campaign}"))?;
            vec![(campaign.clone(), rebuilt)]
        }
    };
    let (mut healthy, mut failed) = (0, 0);
    for (id, outcome) in &outcomes {
        match outcome {
            Ok(Rebuilt::Healthy) if campaign.is_none() => healthy += 1,
            Ok(Rebuilt::Healthy) => println!("rebuild {id}: nothing is lost, and nothing was done"),
            Ok(Rebuilt::Done { generation, live, highest, lost_numbers }) => println!(
                "rebuild {id}: done: generation {generation}, live {live}, highest number {highest}, \
                 numbers without a claim {lost_numbers}"
            ),
            Err(error) => {
                failed += 1;
                println!("rebuild {id}: failed: {error}");
            }
        }
    }
    if campaign.is_none() {
        let done = outcomes.len() - healthy - failed;
        println!("rebuild: {done} campaigns were rebuilt, {healthy} were not lost, {failed} are still lost");
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// As it was kept, to the byte: its hash is public.
async fn list_draw(config: &Config, campaign: &CampaignId) -> anyhow::Result<ExitCode> {
    let redis = Redis::connect(&config.redis).await.context("connecting to Redis")?;
    let keys = redis.keys().of(campaign);
    let none = || format!("no list of {campaign} was drawn, as far as Redis knows");
    let found = redis.fields(campaign, &keys.room(), vec!["list_hash".into()]).await?;
    let list_hash = found.into_iter().next().flatten().with_context(none)?;
    let list = redis.text(campaign, &keys.draw_list(&list_hash)).await?.with_context(none)?;
    std::io::stdout().lock().write_all(list.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// What was checked goes to standard error, so that the order can be sent on.
fn verify_draw(file: &Path, list: Option<&Path>, numbers: &[u64], order: bool) -> anyhow::Result<ExitCode> {
    let is_stdin = |path: &Path| path == Path::new("-");
    anyhow::ensure!(!(is_stdin(file) && list.is_some_and(is_stdin)), "only one of --file and --list can be -");
    let open = |path: &Path| -> anyhow::Result<Box<dyn BufRead>> {
        if is_stdin(path) {
            return Ok(Box::new(std::io::stdin().lock()));
        }
        Ok(Box::new(BufReader::new(File::open(path).with_context(|| path.display().to_string())?)))
    };
    let published: PublishedDraw = serde_json::from_reader(open(file)?).context("--file is no answer about a draw")?;
    let campaign = &published.campaign_id;
    let confirmed = match published.confirm(list.map(open).transpose()?) {
        Ok(confirmed) => confirmed,
        Err(why) => {
            eprintln!("draw {campaign}: {why}");
            return Ok(ExitCode::from(if why.is_broken() { 1 } else { 2 }));
        }
    };
    eprintln!("draw {campaign}: the seed is the one that was announced, and {} numbers were drawn", confirmed.draw.n());
    match confirmed.users {
        Some(users) => eprintln!("draw {campaign}: the list is the one that was drawn, with {users} users"),
        None => eprintln!("draw {campaign}: the list was not compared (--list)"),
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    for number in numbers {
        let place = confirmed.draw.place_of(*number).with_context(|| format!("number {number} was not in the draw"))?;
        writeln!(out, "number {number}: place {place}")?;
    }
    if order {
        for (place, number) in (1_u64..).zip(confirmed.draw.order()) {
            writeln!(out, "{place} {number}")?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

//! `upstream`: the other teams' APIs on this machine, in the foreground until it is stopped.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use upstream_dev::{ChatManner, Manners, Upstream};

/// Plays the user-info API and a language model, and misbehaves as told.
#[derive(Parser)]
#[command(name = "upstream", version)]
struct Cli {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:21480")]
    listen: SocketAddr,
    /// Of a hundred calls so many fail.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=100))]
    fail_percent: u64,
    /// What fails takes so long to do so.
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    fail_after: Duration,
    /// Which calls fail.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The key that chats must show; none if empty.
    #[arg(long, default_value = "")]
    chat_key: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let manners = Manners {
        fail_percent: cli.fail_percent,
        fail_after_ms: u64::try_from(cli.fail_after.as_millis()).context("--fail-after")?,
        down: false,
        seed: cli.seed,
        chat: ChatManner::Well,
    };
    let upstream = Upstream::start(cli.listen, manners, &cli.chat_key)
        .await
        .with_context(|| format!("listening on {}", cli.listen))?;
    println!("{}: {} % of the calls fail, after {:?}", upstream.url(), cli.fail_percent, cli.fail_after);
    upstream.wait().await;
    Ok(())
}

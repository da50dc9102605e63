//! `make tour`: takes the pictures of the visitors' page.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use browser::tour::{self, Places};
use clap::Parser;
use testkit::folder::own;

/// Goes through the waiting room in a real browser, and takes pictures.
#[derive(Parser)]
struct Args {
    /// Where the pictures are put.
    #[arg(long, default_value = "reports/waiting-room")]
    to: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    ensure!(browser::browser::is_there(), "there is no Chromium with its driver; `dev/chromium` installs them");
    let here = std::env::current_dir().context("the folder that this runs in")?;
    let folder = own(&here.join(".local/test"), "tour-")?;
    let pictures = here.join(args.to);
    tour::take(Places { folder, pictures: pictures.clone() }).await?;
    println!("the pictures are in {}", pictures.display());
    Ok(())
}

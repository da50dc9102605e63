//! Draws a report again from the data that it was made of.

use std::path::PathBuf;

use clap::Parser;

/// Draws a report again from its `data/run.json`.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The report's folder.
    folder: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let Arguments { folder } = Arguments::parse();
    report::write(&report::read(&folder)?, &folder)?;
    println!("{}", folder.join("index.html").display());
    Ok(())
}

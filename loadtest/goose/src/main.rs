//! `goose-load`: the load scenarios of `loadtest/k6/`, on goose, with the same checks.
//!
//! Goose is a closed model: so many members of a crowd, of which each asks, waits for the answer, and asks again. A slow
//! server is therefore asked less, and its slowest answers are underrepresented in its results; where that matters, use
//! k6, which asks at a rate of its own. In return goose makes every visit that was planned, however long it takes, and
//! the whole crowd is one program: what one was told is held against what all others were told.

mod answer;
mod attack;
mod caller;
mod campaign;
mod published;
mod queue;
mod records;
mod scenarios;
mod scene;
mod settings;
mod users;
mod verdict;

use std::process::ExitCode;

use clap::Parser;

use crate::scene::Scene;
use crate::settings::Settings;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Settings::parse()).await {
        Ok(failures) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("goose-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Lets the crowd in, asks the auditor, and says what was wrong.
async fn run(settings: Settings) -> anyhow::Result<Vec<String>> {
    let scene = Scene::open(settings).await?;
    attack::run(&scene).await?;
    let audit = scene.campaign.settle(scene.settings.audit_wait()).await;
    let failures = verdict::failures(&scene.settings, &scene.records.totals(), &audit);
    print!("{}", verdict::render(&scene.settings, &scene.records.totals(), &audit, &failures));
    Ok(failures)
}

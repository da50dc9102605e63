//! How does the crowd come? Each member makes one visit after the other, until all were made.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use goose::GooseAttack;
use goose::config::GooseConfiguration;
use goose::goose::{Scenario, Transaction, TransactionError, TransactionFunction};

use crate::caller::Caller;
use crate::scenarios;
use crate::scene::Scene;

/// Members that begin in a second: all of them, for a crowd that fits on one machine.
const BEGIN_PER_SECOND: &str = "100000";

/// Makes all visits. What was wrong with them is in the records.
pub(crate) async fn run(scene: &Arc<Scene>) -> anyhow::Result<()> {
    scenarios::prepare(scene).await?;
    let settings = &scene.settings;
    let crowd = u64::from(settings.crowd).min(settings.visits());
    // Whoever begins a visit too many finds that nobody is left, and is done.
    let each = settings.visits().div_ceil(crowd);
    let (crowd, each, rate) = (crowd.to_string(), each.to_string(), settings.rate.to_string());
    let arguments = [
        ["--host", settings.url.as_str()],
        ["--users", &crowd],
        ["--iterations", &each],
        ["--throttle-requests", &rate],
        ["--increase-rate", BEGIN_PER_SECOND],
    ];
    // A port that it could be controlled from, and what nobody asked for.
    let switches = ["--no-telnet", "--no-scenario-metrics", "--no-transaction-metrics", "--no-error-summary", "-q"];
    let arguments: Vec<&str> = arguments.into_iter().flatten().chain(switches).collect();
    let configuration = GooseConfiguration::parse_args_default(&arguments).context("goose's settings")?;
    let scenario =
        Scenario::new(settings.scenario.name()).register_transaction(Transaction::new(visit(scene)).set_name("visit"));
    let attack = GooseAttack::initialize_with_config(configuration)?.register_scenario(scenario);
    // Goose's future is large.
    Box::pin(attack.execute()).await.map_err(|error| anyhow!("goose: {error:?}"))?;
    scenarios::finish(scene).await
}

/// What a member of the crowd does again and again.
fn visit(scene: &Arc<Scene>) -> TransactionFunction {
    let scene = Arc::clone(scene);
    Arc::new(move |goose| {
        let scene = Arc::clone(&scene);
        Box::pin(async move {
            let made = match scene.next() {
                Ok(Some(user)) => scenarios::visit(&mut Caller::new(&scene, goose), &user).await,
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            made.map_err(|error| {
                scene.records.wrong(format!("{error:#}"));
                Box::new(TransactionError::Custom(format!("{error:#}")))
            })
        })
    })
}

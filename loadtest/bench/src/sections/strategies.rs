//! The other ways to sell a stock, Redis alone, and the ledger's statement: measured by the program `strategies`, judged
//! here.

use std::time::Duration;

use anyhow::{Context, ensure};
use report::data::{Run, Strategy, Table};
use serde::Deserialize;
use testkit::node::binary;
use testkit::process::Program;

use super::Promise;
use crate::bench::Bench;
use crate::pairs::{Spread, spread_of};
use crate::plan::Plan;
use crate::rig::Rig;

/// What it is to find out.
pub const PROMISES: &[Promise] = &[
    Promise { name: "grants in Redis alone, log on, batches of 64", target: "at least 3 times one call a claim" },
    Promise { name: "grants in Redis alone, log on, batches of 256", target: "at least 3.5 times one call a claim" },
    Promise { name: "Onrush and the pessimistic row lock", target: "at least 15 times" },
    Promise { name: "Onrush and every other correct strategy", target: "ahead of all" },
    Promise { name: "ledger statement for claims", target: "at least 0.45 of COPY" },
];

const OF_64_MIN: f64 = 3.0;
const OF_256_MIN: f64 = 3.5;
const OF_COPY_MIN: f64 = 0.45;
const OF_ROW_LOCK_MIN: f64 = 15.0;

/// What its strategies are called that matter here.
const ONRUSH: &str = "onrush";
const ROW_LOCK: &str = "pessimistic";

/// What the program writes.
#[derive(Debug, Default, Deserialize)]
struct Findings {
    strategies: Vec<Strategy>,
    redis_batches: Vec<Batches>,
    ledger: Vec<Ledger>,
}

/// Grants a second, one round.
#[derive(Debug, Deserialize)]
struct Batches {
    one: f64,
    of_64: f64,
    of_256: f64,
}

/// Rows a second, one round.
#[derive(Debug, Deserialize)]
struct Ledger {
    ours: f64,
    copy: f64,
}

/// About how long it takes.
#[must_use]
pub fn length(plan: &Plan) -> Duration {
    if plan.is_quick { Duration::from_secs(25) } else { Duration::from_secs(270) }
}

fn arguments(plan: &Plan) -> Vec<&'static str> {
    let mut arguments = vec!["all"];
    if plan.is_quick {
        arguments.extend(["--users", "600", "--stock", "300", "--seconds-max", "2", "--rounds", "1"]);
    }
    arguments
}

/// Measures.
pub async fn run(bench: &Bench) -> anyhow::Result<Run> {
    // The product is a part of it, so it is one that was built as the product was.
    let program = binary()?.with_file_name("strategies");
    ensure!(program.is_file(), "the program strategies is not built beside onrush; `make bench` does that");
    bench.progress.say("the ways to sell, Redis alone, the ledger's statement");
    let rig = Rig::start(&bench.stores, "strategies").await?;
    let (json, log) = (bench.stores.folder.join("strategies.json"), bench.stores.folder.join("strategies.log"));
    let config = &bench.stores.config;
    let stores = [
        ("ONRUSH__REDIS__URL", format!("redis://{}", rig.redis.address())),
        ("ONRUSH__KAFKA__BROKERS", config.kafka.brokers.clone()),
        ("ONRUSH__POSTGRES__URL", config.postgres.url.clone()),
    ];
    let arguments = arguments(&bench.plan);
    let run = Program::new("strategies", program)
        .args(&arguments)
        .args(["--json".as_ref(), json.as_os_str()])
        .envs(stores.map(|(name, value)| (name.to_owned(), value)))
        .folder(&bench.stores.checkout);
    let status = run.run(&log, length(&bench.plan) * 2).await?;
    rig.end().await?;
    let text = std::fs::read_to_string(&json);
    let text =
        text.with_context(|| format!("strategies ended with {status} and found nothing; see {}", log.display()))?;
    let mut found = judge(serde_json::from_str(&text).context("reading what strategies found")?);
    found.commands.push(format!("target/dist/strategies {}", arguments.join(" ")));
    if !status.success() {
        // A right one that was not exact, or a wrong one that seemed to be.
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let last = said.lines().last().unwrap_or_default();
        found.notes.push(format!("`strategies` ended with {status}: {last}"));
    }
    Ok(found)
}

fn judge(findings: Findings) -> Run {
    let times = |of: fn(&Batches) -> f64| {
        Spread::of(&findings.redis_batches.iter().map(|round| of(round) / round.one).collect::<Vec<_>>())
    };
    let (of_64, of_256) = (times(|round| round.of_64), times(|round| round.of_256));
    let ledger = Spread::of(&findings.ledger.iter().map(|round| round.ours / round.copy).collect::<Vec<_>>());
    let mut targets = vec![
        PROMISES[0].judged(
            format!("{:.2} times", of_64.median),
            spread_of(&of_64, "rounds"),
            of_64.median >= OF_64_MIN,
        ),
        PROMISES[1].judged(
            format!("{:.2} times", of_256.median),
            spread_of(&of_256, "rounds"),
            of_256.median >= OF_256_MIN,
        ),
    ];
    targets.extend(beside_others(&findings.strategies));
    let figure = format!("{:.2} of COPY", ledger.median);
    targets.push(PROMISES[4].judged(figure, spread_of(&ledger, "rounds"), ledger.median >= OF_COPY_MIN));
    let row = |name: &str, of: &dyn Fn() -> Vec<f64>| {
        let spread = Spread::of(&of());
        let cells = [spread.median, spread.min, spread.max].map(|value| format!("{value:.0}"));
        std::iter::once(name.to_owned()).chain(cells).collect::<Vec<_>>()
    };
    let (batches, rows) = (&findings.redis_batches, &findings.ledger);
    let tables = vec![Table {
        title: "Redis alone, and the ledger's statement".into(),
        text: "Grants a second with the log on, by claims in one call; rows a second into the table of claims.".into(),
        head: ["what", "median/s", "least/s", "most/s"].map(String::from).to_vec(),
        rows: vec![
            row("Redis, one claim a call", &|| batches.iter().map(|round| round.one).collect()),
            row("Redis, 64 claims a call", &|| batches.iter().map(|round| round.of_64).collect()),
            row("Redis, 256 claims a call", &|| batches.iter().map(|round| round.of_256).collect()),
            row("ledger statement", &|| rows.iter().map(|round| round.ours).collect()),
            row("COPY", &|| rows.iter().map(|round| round.copy).collect()),
        ],
    }];
    Run { targets, tables, strategies: findings.strategies, ..Run::default() }
}

/// Onrush against the row lock, and against all that are correct. One that is missing is not beaten.
fn beside_others(strategies: &[Strategy]) -> [report::data::Target; 2] {
    let is = |strategy: &Strategy, name: &str| strategy.name.to_lowercase().contains(name);
    let onrush = strategies.iter().find(|it| is(it, ONRUSH));
    let speed = onrush.map_or(0.0, |onrush| onrush.per_second);
    let lock = strategies.iter().find(|it| is(it, ROW_LOCK));
    let others = strategies.iter().filter(|it| it.is_correct && !is(it, ONRUSH));
    let next = others.max_by(|a, b| a.per_second.total_cmp(&b.per_second));
    let against = |other: Option<&Strategy>| match other {
        Some(other) => {
            let spread = format!("{speed:.0}/s against {:.0}/s of {}, one run", other.per_second, other.name);
            (speed / other.per_second.max(f64::MIN_POSITIVE), spread)
        }
        None => (0.0, "not there".to_owned()),
    };
    let ((of_lock, lock_spread), (of_next, next_spread)) = (against(lock), against(next));
    let exact = onrush.is_some_and(|it| it.oversold == 0 && it.undersold == 0);
    [
        PROMISES[2].judged(format!("{of_lock:.1} times"), lock_spread, exact && of_lock >= OF_ROW_LOCK_MIN),
        PROMISES[3].judged(format!("{of_next:.2} times the next one"), next_spread, exact && of_next > 1.0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strategy(name: &str, is_correct: bool, per_second: f64) -> Strategy {
        Strategy { name: name.into(), is_correct, per_second, ..Strategy::default() }
    }

    #[test]
    fn only_correct_ones_have_to_be_beaten_and_missing_ones_are_not() {
        let met = |strategies: &[Strategy]| beside_others(strategies).map(|target| target.met);
        let onrush = strategy("Onrush", true, 1_500.0);
        let lock = strategy("pessimistic row lock", true, 100.0);
        let wrong = strategy("read, then write", false, 9_000.0);
        assert_eq!(met(&[onrush.clone(), lock.clone(), wrong.clone()]), [true, true]);
        assert_eq!(met(&[onrush.clone(), wrong.clone()]), [false, false]);
        assert_eq!(met(&[lock.clone(), wrong]), [false, false]);
        let faster = strategy("one script call a request", true, 1_501.0);
        assert_eq!(met(&[onrush.clone(), lock.clone(), faster]), [true, false]);
        let oversold = Strategy { oversold: 1, ..onrush };
        assert_eq!(met(&[oversold, lock]), [false, false]);
    }

    #[test]
    fn what_the_program_writes_becomes_five_lines() {
        let json = r#"{"strategies":[],"redis_batches":[{"one":10,"of_64":29,"of_256":36},{"one":10,"of_64":31,"of_256":34},
            {"one":10,"of_64":30,"of_256":35}],"ledger":[{"ours":44,"copy":100}]}"#;
        let found = judge(serde_json::from_str(json).unwrap());
        let met: Vec<_> = found.targets.iter().map(|target| target.met).collect();
        assert_eq!(met, [true, true, false, false, false]);
        assert_eq!(found.targets[0].figure, "3.00 times");
        assert!(found.targets.iter().zip(PROMISES).all(|(target, promise)| target.name == promise.name));
    }
}

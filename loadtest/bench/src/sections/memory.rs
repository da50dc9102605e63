//! Does a node that rushes for five minutes need more and more memory? Rush after rush, each on a campaign of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use loadtest::wire::Kind;
use report::data::{Run, Series, Table, Timeline};

use super::Promise;
use super::window::{ROOM_FOR_FACTS, claims_of};
use crate::bench::{Bench, CONNECTIONS};
use crate::load::Load;
use crate::rig::{Node, Rig};
use crate::sampler::{Sampler, mean_mib};
use crate::tally::Tally;
use crate::users::Requests;

/// What it is to find out.
pub const PROMISES: &[Promise] =
    &[Promise { name: "memory of a node over 5 minutes of rush, last minute against second", target: "at most 1.1" }];

const GROWTH_MAX: f64 = 1.1;
const USERS: usize = 50_000;
const STOCK: u64 = 5_000;
/// No rush takes that long.
const RUSH_MAX: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The rush whose answers are drawn: the first ones also warm everything up.
const DRAWN: usize = 3;

/// Measures.
pub async fn run(bench: &Bench) -> anyhow::Result<Run> {
    let rig = Rig::start(&bench.stores, "memory").await?;
    let node = rig.node("all", &[ROOM_FOR_FACTS, ("LEDGER__ROWS_PER_SECOND_MAX", "100000")], None).await?;
    let minute = bench.plan.memory / 5;
    let sampler = Sampler::start(node.pid(), LOOK_EVERY.min(minute / 8));
    let (begun, mut rushes, mut answers, mut granted) = (Instant::now(), 0_usize, 0, 0);
    let mut drawn = Vec::new();
    let mut said = begun;
    while begun.elapsed() < bench.plan.memory {
        if rushes == 0 || said.elapsed() >= minute / 2 {
            said = Instant::now();
            bench.progress.say(&format!("rush {}", rushes + 1));
        }
        let tally = rush(bench, &node, &format!("rush-{rushes}")).await?;
        answers += tally.of(Kind::Granted) + tally.of(Kind::SoldOut);
        granted += tally.of(Kind::Granted);
        rushes += 1;
        if rushes <= DRAWN {
            drawn = vec![tally.timeline("A rush: 50,000 users, 5,000 units")];
        }
    }
    let seen = sampler.stop().await?;
    drop(node);
    rig.end().await?;

    let (second, last) = (mean_mib(&seen, minute, minute * 2), mean_mib(&seen, minute * 4, minute * 5));
    let growth = last / second.max(f64::MIN_POSITIVE);
    let smallest = seen.iter().map(|sample| sample.mib).fold(f64::INFINITY, f64::min);
    let largest = seen.iter().map(|sample| sample.mib).fold(0.0, f64::max);
    let mut head = ["rushes", "answers", "granted", "answers/s"].map(String::from).to_vec();
    head.extend((1..=5).map(|number| format!("minute {number}, MiB")));
    #[expect(clippy::cast_precision_loss)]
    let per_second = answers as f64 / bench.plan.memory.as_secs_f64();
    let mut row = vec![rushes.to_string(), answers.to_string(), granted.to_string(), format!("{per_second:.0}")];
    row.extend((0..5).map(|number| format!("{:.1}", mean_mib(&seen, minute * number, minute * (number + 1)))));
    drawn.push(Timeline {
        name: "Memory of a node, rush after rush".into(),
        unit: "MiB".into(),
        step_ms: u64::try_from(LOOK_EVERY.min(minute / 8).as_millis()).unwrap_or(u64::MAX),
        stacked: false,
        series: vec![Series { name: "onrush".into(), values: seen.iter().map(|sample| sample.mib).collect() }],
    });
    Ok(Run {
        targets: vec![PROMISES[0].judged(
            format!("{growth:.3}"),
            format!("{smallest:.1} to {largest:.1} MiB, {} looks", seen.len()),
            second > 0.0 && growth <= GROWTH_MAX,
        )],
        timelines: drawn,
        tables: vec![Table {
            title: "Memory over five minutes of rush".into(),
            text: "Rush after rush at full speed, 50,000 users on 5,000 units each, role all; resident memory of the \
                   node as a mean of each minute."
                .into(),
            head,
            rows: vec![row],
        }],
        ..Run::default()
    })
}

/// All users ask once, as fast as they are answered.
async fn rush(bench: &Bench, node: &Node, campaign: &str) -> anyhow::Result<Tally> {
    node.campaign(campaign, STOCK).await?;
    let path = claims_of(campaign);
    let load = Load {
        address: node.address,
        connections: CONNECTIONS,
        requests: Arc::new(Requests::from_to(node.address, &path, &bench.users, 0, USERS)),
        warm_up: Duration::ZERO,
        measured: RUSH_MAX,
        patience: Duration::from_secs(5),
        keep_claims: false,
    };
    let mut tally = load.closed().await?;
    tally.to = Instant::now();
    let (granted, refused) = (tally.of(Kind::Granted), tally.of(Kind::SoldOut));
    ensure!(
        granted == STOCK && granted + refused == USERS as u64,
        "{campaign}: {granted} granted of {STOCK}, {refused} refused, {} without an answer; the first odd one: {}",
        tally.no_answer,
        tally.first_odd.as_deref().unwrap_or("none")
    );
    Ok(tally)
}

//! What does a granted claim cost, beside the bare framework? In pairs: role `serve`, whose relay does not run, and then
//! the whole pipeline on the same cores.

use std::time::Duration;

use loadtest::wire::Kind;
use report::data::{CpuCost, ProcessCost, Run, Table};

use super::Promise;
use super::window::{self, BARE, ROOM_FOR_FACTS, claims_of};
use crate::bench::Bench;
use crate::histogram::Histogram;
use crate::pairs::{Pairs, Spread, spread_of};
use crate::proc::{CpuTimes, Watched};
use crate::rig::{Node, Rig};

/// What it is to find out.
pub const PROMISES: &[Promise] =
    &[Promise { name: "claims granted, role serve, relay paused", target: "at least 0.75 of bare" }];

const OF_BARE_MIN: f64 = 0.75;
/// How long the rows of one window may take to arrive.
const ROWS_MAX: Duration = Duration::from_secs(40);

#[derive(Default)]
struct Found {
    pairs: Pairs,
    bare: Histogram,
    claims: Histogram,
    granted: u64,
    cpu: CpuTimes,
}

/// Measures.
pub async fn run(bench: &Bench) -> anyhow::Result<Run> {
    let serve = pairs(bench, "serve").await?;
    let all = pairs(bench, "all").await?;
    let spread = Spread::of(&serve.pairs.ratios());
    let figure = format!("{:.2} of bare", spread.median);
    let target = PROMISES[0].judged(figure, spread_of(&spread, "pairs"), spread.median >= OF_BARE_MIN);
    let row = |name: &str, found: &Found| {
        let (ours, bare) = (Spread::of(&found.pairs.ours), Spread::of(&found.pairs.bare));
        let ratio = Spread::of(&found.pairs.ratios());
        let cells = [format!("{:.0}", ours.median), format!("{:.0}", bare.median), format!("{:.2}", ratio.median)];
        std::iter::once(name.to_owned()).chain(cells).chain([spread_of(&ratio, "pairs")]).collect()
    };
    let mut latencies = Vec::new();
    for (name, histogram) in [
        ("claims granted, serve, closed loop", &serve.claims),
        ("bare, beside serve, closed loop", &serve.bare),
        ("claims granted, whole pipeline, closed loop", &all.claims),
    ] {
        latencies.push(report::data::Latencies { name: name.to_owned(), buckets: histogram.buckets() });
    }
    Ok(Run {
        targets: vec![target],
        latencies,
        cpu: vec![serve.cost("claims granted, role serve"), all.cost("claims granted, whole pipeline")],
        tables: vec![Table {
            title: "Claims granted, against bare".into(),
            text: "Claims a second of distinct users, all of whom get a unit, as medians of all windows; beside them a \
                   handler that authenticates and answers the same bytes without deciding anything. In the second line \
                   relay, Kafka, ledger and PostgreSQL work on the same cores meanwhile."
                .into(),
            head: ["role", "claims/s", "bare/s", "ratio", "spread"].map(String::from).to_vec(),
            rows: vec![row("serve, relay paused", &serve), row("all, whole pipeline", &all)],
        }],
        notes: vec![
            "In the pairs, in the open model and under overload Redis writes its log (everysec), but does not rewrite it: a rewrite is a fork and seconds of a \
             core in one window out of many."
                .into(),
            "The same users ask in every window, each once, in the same order; campaigns are new in each.".into(),
        ],
        ..Run::default()
    })
}

/// One role's windows.
struct Rounds<'a> {
    bench: &'a Bench,
    rig: &'a Rig,
    node: &'a Node,
    watched: Watched,
    works: bool,
    found: Found,
}

async fn pairs(bench: &Bench, role: &str) -> anyhow::Result<Found> {
    let works = role == "all";
    let rig = Rig::start(&bench.stores, &format!("granted_{role}")).await?;
    rig.never_rewrite_log().await?;
    let fast = ("LEDGER__ROWS_PER_SECOND_MAX", "1000000");
    let node = rig.node(role, &[BARE, ROOM_FOR_FACTS, fast], None).await?;
    let mut watched = Watched::default()
        .and("client", Some(std::process::id()))
        .and("onrush", Some(node.pid()))
        .and("redis", rig.redis.pid());
    if works {
        watched = watched.and("kafka", bench.stores.kafka_pid()).and_family("postgres", bench.stores.postgres_pid());
    }
    let mut rounds = Rounds { bench, rig: &rig, node: &node, watched, works, found: Found::default() };
    for pair in 0..bench.plan.pairs {
        bench.progress.say(&format!("role {role}, pair {} of {}", pair + 1, bench.plan.pairs));
        // In turn first and second: what grows or tires with time then weighs on both.
        let (bare, ours) = if pair % 2 == 0 {
            let bare = rounds.bare().await?;
            (bare, rounds.claims(pair).await?)
        } else {
            let ours = rounds.claims(pair).await?;
            (rounds.bare().await?, ours)
        };
        rounds.found.pairs.add(bare, ours);
    }
    let found = rounds.found;
    drop(node);
    rig.end().await?;
    Ok(found)
}

impl Rounds<'_> {
    async fn bare(&mut self) -> anyhow::Result<f64> {
        let tally = window::ask(self.bench, self.node, "/bare/granted", Kind::Granted, false).await?;
        self.found.bare.merge(tally.times(Kind::Granted));
        Ok(tally.per_second(Kind::Granted))
    }

    async fn claims(&mut self, pair: usize) -> anyhow::Result<f64> {
        let campaign = format!("granted-{pair}");
        self.node.campaign(&campaign, self.bench.users.count() as u64).await?;
        let before = self.watched.times();
        let tally = window::ask(self.bench, self.node, &claims_of(&campaign), Kind::Granted, true).await?;
        self.found.cpu.add(&before, &self.watched.times());
        self.found.granted += tally.granted_ever;
        self.found.claims.merge(tally.times(Kind::Granted));
        if self.works {
            // What is still on its way would otherwise weigh on the bare window that follows.
            self.rig.rows_arrive(&campaign, tally.granted_ever, ROWS_MAX).await?;
        }
        Ok(tally.per_second(Kind::Granted))
    }
}

impl Found {
    #[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^52 claims")]
    fn cost(&self, name: &str) -> CpuCost {
        let cost = |(process, us): &(String, f64)| ProcessCost {
            process: process.clone(),
            us_per_claim: us / self.granted.max(1) as f64,
        };
        let processes = self.cpu.entries().iter().map(cost).collect();
        CpuCost { name: name.to_owned(), claims: self.granted, processes }
    }
}

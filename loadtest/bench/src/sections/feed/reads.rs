//! What does reading a post cost, from the process, from Redis, from the database? The first two beside the bare framework,
//! in pairs; all three by how long an answer takes at a rate that none of them minds.

use std::sync::Arc;
use std::time::Duration;

use loadtest::wire::Kind;
use report::data::{Latencies, Run, Table};

use super::posts;
use crate::bench::{Bench, CONNECTIONS};
use crate::histogram::Histogram;
use crate::load::Load;
use crate::pairs::{Pairs, Spread, spread_of};
use crate::plan::Plan;
use crate::rig::{Node, Rig, Setting};
use crate::sections::Promise;
use crate::sections::window::BARE;
use crate::tally::Tally;
use crate::users::Requests;

/// What it is to find out.
pub const PROMISES: &[Promise] = &[
    Promise { name: "a post read from the process", target: "at least 0.8 of bare" },
    Promise { name: "a post read from Redis", target: "at least 0.45 of bare" },
];

const LOCAL_OF_BARE_MIN: f64 = 0.8;
const REDIS_OF_BARE_MIN: f64 = 0.45;
const PATIENCE: Duration = Duration::from_secs(5);
const BODY_WORDS: usize = 60;
/// Few enough to be in the process at all times.
const HOT: usize = 100;
/// Arrivals a second where latencies are compared.
const PER_SECOND: f64 = 1_000.0;
/// Nothing expires while it is measured.
const FRESH: Setting<'static> = ("CACHE__TTL_MS", "86400000");
/// What the process keeps is over before it is asked for again.
const FORGETFUL: [Setting<'static>; 4] =
    [BARE, FRESH, ("CACHE__LOCAL_TTL_MS", "10"), ("CACHE__LOCAL_BYTES_MAX", "1048576")];

/// Posts that are asked for in turn, so many that one has long left the process when its turn comes again.
fn posts_in_redis(plan: &Plan) -> usize {
    if plan.is_quick { 5_000 } else { 30_000 }
}

/// About how long it takes.
#[must_use]
pub fn length(plan: &Plan) -> Duration {
    let pairs = plan.pair() * u32::try_from(plan.pairs).unwrap_or(u32::MAX);
    pairs * 2 + open_for(plan) * 3 + Duration::from_secs(if plan.is_quick { 3 } else { 12 })
}

fn open_for(plan: &Plan) -> Duration {
    plan.open / 4
}

#[derive(Default)]
struct Found {
    pairs: Pairs,
    bare: Histogram,
    ours: Histogram,
}

/// Measures.
pub async fn run(bench: &Bench) -> anyhow::Result<Run> {
    let rig = Rig::start(&bench.stores, "feed_reads").await?;
    let (local, forgetful) =
        (rig.node("serve", &[BARE, FRESH], None).await?, rig.node("serve", &FORGETFUL, None).await?);
    let in_redis = posts_in_redis(&bench.plan);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let for_misses = (PER_SECOND * open_for(&bench.plan).as_secs_f64()) as usize * 2;
    bench.progress.say("posts, and all of them once into Redis");
    let ids = posts::insert(&rig.database, in_redis + for_misses, BODY_WORDS).await?;
    let (known, never_asked) = ids.split_at(in_redis);
    let (known, never_asked) = (posts::paths(known), posts::paths(never_asked));
    fill(&forgetful, &known).await?;

    let hot = compare(bench, &local, "from the process", &known[..HOT]).await?;
    let redis = compare(bench, &forgetful, "from Redis", &known).await?;
    bench.progress.say("latencies at 1,000 a second");
    let mut times = Vec::new();
    for (name, node, requests) in [
        ("from the process", &local, Requests::paths(local.address, &known[..HOT])),
        ("from Redis", &forgetful, Requests::paths(forgetful.address, &known)),
        ("missed in both", &forgetful, Requests::paths_once(forgetful.address, &never_asked)),
    ] {
        let mut load = load(node, requests);
        (load.warm_up, load.measured, load.connections) = (Duration::ZERO, open_for(&bench.plan), 64);
        let arrivals = load.open(PER_SECOND).await?;
        arrivals.tally.insist(Kind::Ok)?;
        times.push((name, arrivals.tally.times(Kind::Ok).clone()));
    }
    drop((local, forgetful));
    rig.end().await?;
    Ok(report(&hot, &redis, &times))
}

fn report(hot: &Found, redis: &Found, times: &[(&str, Histogram)]) -> Run {
    let mut run = Run::default();
    let mut rows = Vec::new();
    for (promise, (name, found, min)) in
        PROMISES.iter().zip([("from the process", hot, LOCAL_OF_BARE_MIN), ("from Redis", redis, REDIS_OF_BARE_MIN)])
    {
        let ratio = Spread::of(&found.pairs.ratios());
        let (ours, bare) = (Spread::of(&found.pairs.ours), Spread::of(&found.pairs.bare));
        let spread = spread_of(&ratio, "pairs");
        run.targets.push(promise.judged(format!("{:.2} of bare", ratio.median), spread.clone(), ratio.median >= min));
        let cells = [format!("{:.0}", ours.median), format!("{:.0}", bare.median), format!("{:.2}", ratio.median)];
        rows.push(std::iter::once(name.to_owned()).chain(cells).chain([spread]).collect());
        for (whose, histogram) in [("closed loop", &found.ours), ("bare beside it, closed loop", &found.bare)] {
            run.latencies.push(Latencies { name: format!("posts {name}, {whose}"), buckets: histogram.buckets() });
        }
    }
    run.tables.push(Table {
        title: "Posts read, against bare".into(),
        text: format!(
            "Answers a second of one node, as medians of all windows, with {CONNECTIONS} connections that ask again once \
             they are answered, without credentials. From the process: {HOT} posts in turn. From Redis: so many posts in \
             turn that the process has forgotten each when it is asked for again. Bare: a handler that answers as many bytes \
             that were made before."
        ),
        head: ["tier", "answers/s", "bare/s", "ratio", "spread"].map(String::from).to_vec(),
        rows,
    });
    let ms = |histogram: &Histogram, per_cent: f64| {
        #[expect(clippy::cast_precision_loss)]
        let ms = histogram.percentile_us(per_cent) as f64 / 1e3;
        format!("{ms:.2}")
    };
    run.tables.push(Table {
        title: "How long a read takes, by where the post is found".into(),
        text: format!(
            "In ms, at {PER_SECOND} arrivals a second (open model). The system that these tiers are built after states 6 to \
             9 ms for a hit in the process, 16 to 21 ms for one in Redis and 50 to 75 ms for a miss, on machines and \
             networks of its own."
        ),
        head: ["found", "answers", "p50", "p90", "p99", "slowest"].map(String::from).to_vec(),
        rows: times
            .iter()
            .map(|(name, times)| {
                let figures = [50.0, 90.0, 99.0, 100.0].map(|per_cent| ms(times, per_cent));
                [(*name).to_owned(), times.total().to_string()].into_iter().chain(figures).collect()
            })
            .collect(),
    });
    for (name, times) in times {
        run.latencies.push(Latencies { name: format!("posts {name}, 1,000/s"), buckets: times.buckets() });
    }
    run
}

/// Every post once, so that Redis has it.
async fn fill(node: &Node, paths: &[String]) -> anyhow::Result<()> {
    let mut load = load(node, Requests::paths_once(node.address, paths));
    // Long enough for all: the requests end first.
    (load.warm_up, load.measured, load.connections) = (Duration::ZERO, Duration::from_mins(1), 32);
    load.closed().await?.insist(Kind::Ok)
}

async fn compare(bench: &Bench, node: &Node, name: &str, paths: &[String]) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for pair in 0..bench.plan.pairs {
        bench.progress.say(&format!("{name}, pair {} of {}", pair + 1, bench.plan.pairs));
        let mut speeds = [0.0; 2];
        // In turn first and second.
        for side in [pair % 2, 1 - pair % 2] {
            let bare = ["/bare/post".to_owned()];
            let tally = window(bench, node, if side == 0 { &bare } else { paths }).await?;
            if side == 0 { &mut found.bare } else { &mut found.ours }.merge(tally.times(Kind::Ok));
            speeds[side] = tally.per_second(Kind::Ok);
        }
        found.pairs.add(speeds[0], speeds[1]);
    }
    Ok(found)
}

async fn window(bench: &Bench, node: &Node, paths: &[String]) -> anyhow::Result<Tally> {
    let mut load = load(node, Requests::paths(node.address, paths));
    (load.warm_up, load.measured) = (bench.plan.warm_up, bench.plan.window);
    let tally = load.closed().await?;
    tally.insist(Kind::Ok)?;
    Ok(tally)
}

fn load(node: &Node, requests: Requests) -> Load {
    Load {
        address: node.address,
        connections: CONNECTIONS,
        requests: Arc::new(requests),
        warm_up: Duration::ZERO,
        measured: Duration::ZERO,
        patience: PATIENCE,
        keep_claims: false,
    }
}

//! What does it cost to ask for the status, and to join, beside the bare framework? In pairs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use bench::bench::CONNECTIONS;
use bench::histogram::Histogram;
use bench::load::Load;
use bench::pairs::{Pairs, Spread, spread_of};
use bench::rig::Node;
use bench::sections::Promise;
use bench::sections::window::BARE;
use bench::tally::Tally;
use bench::users::Requests;
use loadtest::wire::Kind;
use report::data::{Latencies, Run, Table};

use crate::joined::join_all;
use crate::plan::Plan;
use crate::stage::{Set, Stage};

/// What it is to find out.
pub(crate) const PROMISES: &[Promise] = &[
    Promise { name: "status of who waits, asked with a ticket", target: "at least 0.85 of bare" },
    Promise { name: "joins, each a new user", target: "at least 0.6 of bare" },
];

const STATUS_OF_BARE_MIN: f64 = 0.85;
const JOINS_OF_BARE_MIN: f64 = 0.6;
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Found {
    pairs: Pairs,
    bare: Histogram,
    ours: Histogram,
}

/// Measures.
pub(crate) async fn run(stage: &Stage) -> anyhow::Result<Run> {
    let set = Set::open(stage, "ratios", 1, &[BARE]).await?;
    let status = status(stage, &set).await?;
    let joins = joins(stage, &set).await?;
    set.close().await?;

    let mut run = Run::default();
    let mut rows = Vec::new();
    for (index, (name, found, min)) in
        [("status", &status, STATUS_OF_BARE_MIN), ("joins", &joins, JOINS_OF_BARE_MIN)].into_iter().enumerate()
    {
        let ratio = Spread::of(&found.pairs.ratios());
        let (ours, bare) = (Spread::of(&found.pairs.ours), Spread::of(&found.pairs.bare));
        let spread = spread_of(&ratio, "pairs");
        let figure = format!("{:.2} of bare", ratio.median);
        run.targets.push(PROMISES[index].judged(figure, spread.clone(), ratio.median >= min));
        let cells = [format!("{:.0}", ours.median), format!("{:.0}", bare.median), format!("{:.2}", ratio.median)];
        rows.push(std::iter::once(name.to_owned()).chain(cells).chain([spread]).collect());
        for (whose, histogram) in [("closed loop", &found.ours), ("bare beside it, closed loop", &found.bare)] {
            run.latencies.push(Latencies { name: format!("{name}, {whose}"), buckets: histogram.buckets() });
        }
    }
    run.tables.push(Table {
        title: "Waiting, against bare".into(),
        text: format!(
            "Answers a second of one node, as medians of all windows, with {CONNECTIONS} connections that ask again once \
             they are answered. Status: {} users who wait ask in turn, each with their ticket. Joins: users who were \
             never seen before, in a new room in each window. Bare: a handler that authenticates the same request and \
             answers the same bytes without deciding anything.",
            stage.plan.ratio_users
        ),
        head: ["what", "answers/s", "bare/s", "ratio", "spread"].map(String::from).to_vec(),
        rows,
    });
    Ok(run)
}

async fn status(stage: &Stage, set: &Set) -> anyhow::Result<Found> {
    const CAMPAIGN: &str = "status";
    let (plan, node) = (&stage.plan, &set.nodes[0]);
    set.campaign(CAMPAIGN, plan.stock(), &Plan::closed_room()).await?;
    let joined = join_all(&set.addresses(), CAMPAIGN, &stage.users, plan.ratio_users, plan.connections).await?;
    let tickets = Arc::new(joined.people.tickets);
    let mut found = Found::default();
    for pair in 0..plan.pairs.pairs {
        let mut speeds = [0.0; 2];
        // In turn first and second.
        for side in [pair % 2, 1 - pair % 2] {
            let path = if side == 0 { "/bare/waiting".to_owned() } else { waiting_of(CAMPAIGN) };
            let requests = Requests::with_tickets(node.address, &path, &stage.users, &tickets);
            let tally = window(stage, node, Arc::new(requests), Kind::Ok).await?;
            if side == 0 { &mut found.bare } else { &mut found.ours }.merge(tally.times(Kind::Ok));
            speeds[side] = tally.per_second(Kind::Ok);
        }
        say("status", pair, &mut found.pairs, speeds);
    }
    Ok(found)
}

async fn joins(stage: &Stage, set: &Set) -> anyhow::Result<Found> {
    let (plan, node) = (&stage.plan, &set.nodes[0]);
    let mut found = Found::default();
    for pair in 0..plan.pairs.pairs {
        let campaign = format!("joins-{pair}");
        set.campaign(&campaign, plan.stock(), &Plan::closed_room()).await?;
        let mut speeds = [0.0; 2];
        for side in [pair % 2, 1 - pair % 2] {
            let path = if side == 0 { "/bare/joined".to_owned() } else { waiting_of(&campaign) };
            let requests = Arc::new(Requests::once_each(node.address, &path, &stage.users));
            let tally = window(stage, node, Arc::clone(&requests), Kind::Placed).await?;
            ensure!(!requests.are_spent(), "all {} users have joined before the window's end", stage.users.count());
            if side == 0 { &mut found.bare } else { &mut found.ours }.merge(tally.times(Kind::Placed));
            speeds[side] = tally.per_second(Kind::Placed);
        }
        say("joins", pair, &mut found.pairs, speeds);
    }
    Ok(found)
}

async fn window(stage: &Stage, node: &Node, requests: Arc<Requests>, kind: Kind) -> anyhow::Result<Tally> {
    let load = Load {
        address: node.address,
        connections: CONNECTIONS,
        requests,
        warm_up: stage.plan.pairs.warm_up,
        measured: stage.plan.pairs.window,
        patience: PATIENCE,
        keep_claims: false,
    };
    let tally = load.closed().await?;
    tally.insist(kind)?;
    Ok(tally)
}

fn say(what: &str, pair: usize, pairs: &mut Pairs, [bare, ours]: [f64; 2]) {
    pairs.add(bare, ours);
    println!("  {what}, pair {}: {ours:.0}/s of {bare:.0}/s, {:.2}", pair + 1, ours / bare);
}

fn waiting_of(campaign: &str) -> String {
    format!("/v1/campaigns/{campaign}/waiting")
}

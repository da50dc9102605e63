//! What does a refusal cost, beside the bare framework? In pairs, of a campaign whose one unit is gone.

use anyhow::{Context, ensure};
use loadtest::wire::Kind;
use report::data::{Latencies, Run, Table};
use testkit::client::{HttpRequest, Method, token};

use super::Promise;
use super::window::{self, BARE, claims_of};
use crate::bench::Bench;
use crate::histogram::Histogram;
use crate::pairs::{Pairs, Spread, spread_of};
use crate::rig::{Node, Rig};

/// What it is to find out.
pub const PROMISES: &[Promise] =
    &[Promise { name: "sold-out refusals", target: "at least 0.95 of bare within the spread" }];

const OF_BARE_MIN: f64 = 0.95;
const CAMPAIGN: &str = "sold-out";

/// Measures.
pub async fn run(bench: &Bench) -> anyhow::Result<Run> {
    let rig = Rig::start(&bench.stores, "sold_out").await?;
    let node = rig.node("serve", &[BARE], None).await?;
    sell_out(&node, CAMPAIGN).await?;
    let (mut pairs, mut refused, mut bare) = (Pairs::default(), Histogram::default(), Histogram::default());
    for pair in 0..bench.plan.pairs {
        bench.progress.say(&format!("pair {} of {}", pair + 1, bench.plan.pairs));
        let mut speeds = [0.0; 2];
        // In turn first and second.
        for side in [pair % 2, 1 - pair % 2] {
            let path = if side == 0 { "/bare/sold-out".to_owned() } else { claims_of(CAMPAIGN) };
            let tally = window::ask(bench, &node, &path, Kind::SoldOut, false).await?;
            if side == 0 { &mut bare } else { &mut refused }.merge(tally.times(Kind::SoldOut));
            speeds[side] = tally.per_second(Kind::SoldOut);
        }
        pairs.add(speeds[0], speeds[1]);
    }
    drop(node);
    rig.end().await?;

    let spread = Spread::of(&pairs.ratios());
    let (ours, yardstick) = (Spread::of(&pairs.ours), Spread::of(&pairs.bare));
    let figure = format!("{:.2} of bare", spread.median);
    // Two runs of one and the same thing differ by the spread: what a quarter of the pairs reach is within it.
    let is_met = spread.upper_quartile >= OF_BARE_MIN;
    let cells = [format!("{:.0}", ours.median), format!("{:.0}", yardstick.median), format!("{:.2}", spread.median)];
    Ok(Run {
        targets: vec![PROMISES[0].judged(figure, spread_of(&spread, "pairs"), is_met)],
        latencies: vec![
            Latencies { name: "sold-out refusals, closed loop".into(), buckets: refused.buckets() },
            Latencies { name: "bare, beside sold-out refusals, closed loop".into(), buckets: bare.buckets() },
        ],
        tables: vec![Table {
            title: "Sold-out refusals, against bare".into(),
            text:
                "Refusals a second of a campaign whose one unit is gone, and the same bytes from a handler that only \
                   authenticates; medians of all windows."
                    .into(),
            head: ["refusals/s", "bare/s", "ratio", "spread"].map(String::from).to_vec(),
            rows: vec![cells.into_iter().chain([spread_of(&spread, "pairs")]).collect()],
        }],
        notes: vec![
            "Sold-out refusals count as 0.95 of bare within the spread if a quarter of the pairs reach that ratio."
                .into(),
        ],
        ..Run::default()
    })
}

/// Makes a campaign whose one unit somebody has who does not ask again.
async fn sell_out(node: &Node, campaign: &str) -> anyhow::Result<()> {
    node.campaign(campaign, 1).await?;
    let request = HttpRequest::new(Method::POST, claims_of(campaign)).bearer(&token("holder")?);
    let answer = node.client.send(&request).await.context("no answer to a claim")?;
    ensure!(answer.status == 201, "the one unit: {} {}", answer.status, answer.body);
    Ok(())
}

//! How long do answers take when there is time for them? Arrivals at half of the highest throughput, which is found first.

use std::sync::Arc;
use std::time::Duration;

use loadtest::wire::Kind;
use report::data::{Run, Table};

use super::Promise;
use super::window::{self, ROOM_FOR_FACTS, claims_of};
use crate::bench::{Bench, CONNECTIONS};
use crate::load::{Arrivals, Load};
use crate::rig::Rig;
use crate::users::Requests;

/// What it is to find out.
pub const PROMISES: &[Promise] = &[
    Promise {
        name: "answers at half of the highest throughput, open model",
        target: "p99 under 10 times p50 or under 5 ms",
    },
    Promise { name: "errors at half of the highest throughput", target: "0" },
];

const P99_OF_P50_MAX: f64 = 10.0;
const P99_MS_MAX: f64 = 5.0;
const WARM_UP: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);

/// Measures.
pub async fn run(bench: &Bench) -> anyhow::Result<Run> {
    let rig = Rig::start(&bench.stores, "open_model").await?;
    rig.never_rewrite_log().await?;
    let node = rig.node("serve", &[ROOM_FOR_FACTS], None).await?;
    let mut highest = 0.0_f64;
    for round in 0..2 {
        bench.progress.say("looking for the highest throughput");
        let campaign = format!("highest-{round}");
        node.campaign(&campaign, bench.users.count() as u64).await?;
        let tally = window::ask(bench, &node, &claims_of(&campaign), Kind::Granted, true).await?;
        highest = highest.max(tally.per_second(Kind::Granted));
    }
    let rate = highest / 2.0;
    bench.progress.say(&format!("{rate:.0} arrivals a second"));
    node.campaign("half", 10_000_000).await?;
    // Nobody may ask twice: where the users do not suffice, the run is as long as they do.
    #[expect(clippy::cast_precision_loss)]
    let enough = Duration::from_secs_f64(bench.users.count() as f64 / rate).saturating_sub(WARM_UP * 2);
    let load = Load {
        address: node.address,
        connections: CONNECTIONS,
        requests: Arc::new(Requests::once_each(node.address, &claims_of("half"), &bench.users)),
        warm_up: WARM_UP,
        measured: bench.plan.open.min(enough),
        patience: PATIENCE,
        keep_claims: false,
    };
    let seconds = load.measured.as_secs_f64();
    let Arrivals { tally, due, late, unsent } = load.open(rate).await?;
    drop(node);
    rig.end().await?;

    let times = tally.times(Kind::Granted);
    #[expect(clippy::cast_precision_loss)]
    let ms = |per_cent| times.percentile_us(per_cent) as f64 / 1e3;
    let (p50, p99, max) = (ms(50.0), ms(99.0), ms(100.0));
    let others: u64 = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Granted).map(|kind| tally.of(kind)).sum();
    let errors = others + tally.no_answer + unsent;
    let figure = format!("p99 {p99:.2} ms, p50 {p50:.2} ms");
    let spread = format!("{:.2} to {max:.2} ms, {} answers", ms(0.0), tally.of(Kind::Granted));
    let is_short = tally.of(Kind::Granted) > 0 && (p99 < P99_OF_P50_MAX * p50 || p99 < P99_MS_MAX);
    let row = [
        format!("{highest:.0}"),
        format!("{rate:.0}"),
        format!("{seconds:.0} s"),
        due.to_string(),
        late.to_string(),
        errors.to_string(),
    ];
    let head = ["highest throughput/s", "arrivals/s", "for", "arrivals", "sent more than 10 ms late", "errors"];
    Ok(Run {
        targets: vec![
            PROMISES[0].judged(figure, spread, is_short),
            PROMISES[1].judged(errors.to_string(), format!("{due} arrivals"), errors == 0),
        ],
        latencies: vec![tally.latencies("claims granted, half of the highest throughput, open model", Kind::Granted)],
        timelines: vec![tally.timeline("Half of the highest throughput, open model")],
        tables: vec![Table {
            title: "Half of the highest throughput".into(),
            text:
                "Arrivals at a fixed rate, role serve; each one's time begins when it was due, not when it was sent. \
                   An error is any answer but 201, and none."
                    .into(),
            head: head.map(String::from).to_vec(),
            rows: vec![row.to_vec()],
        }],
        ..Run::default()
    })
}

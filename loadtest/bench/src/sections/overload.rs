//! What becomes of good answers when ten times as many are asked for as can be given? What can be given is made small
//! first: a client on the same cores could never ask ten times what they can do at full speed.

use std::sync::Arc;
use std::time::Duration;

use loadtest::wire::Kind;
use report::data::{Run, Series, Table, Timeline};

use super::Promise;
use super::window::claims_of;
use crate::bench::Bench;
use crate::load::{Arrivals, Load};
use crate::rig::{Node, Rig};
use crate::sampler::{Sample, Sampler, mean_mib};
use crate::slow_line::SlowLine;
use crate::tally::{Tally, us};
use crate::users::Requests;

/// What it is to find out.
pub const PROMISES: &[Promise] = &[
    Promise { name: "good answers at ten times the load that can be served", target: "at least 0.8 of the peak" },
    Promise { name: "refusals beyond it", target: "all are 503 with Retry-After" },
    Promise { name: "memory of the node meanwhile, last third against second", target: "at most 1.1" },
];

const OF_PEAK_MIN: f64 = 0.8;
/// More than ten, since a closed loop finds a little less than what can be served.
const TIMES_THE_PEAK: f64 = 12.0;
const GROWTH_MAX: f64 = 1.1;
/// Fewer than this share in time, and it was the client that was overloaded.
const SENT_IN_TIME_MIN: f64 = 0.95;
/// A client that waits longer has gone elsewhere.
const PATIENCE: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_secs(1);
/// How much later Redis hears and is heard.
const DELAY: Duration = Duration::from_millis(10);
const BATCH_MAX: &str = "8";
/// Two calls at a time, however few wait: the peak is looked for with fewer than the overload brings.
const SECOND_CALL_MIN: &str = "1";
const IN_FLIGHT_MAX: usize = 256;
/// Enough to keep every call full while the peak is looked for, and too few to be refused: a claim may be answered a
/// moment before its place is free.
const PEAK_CONNECTIONS: usize = IN_FLIGHT_MAX / 2;
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Measures.
pub async fn run(bench: &Bench) -> anyhow::Result<Run> {
    let rig = Rig::start(&bench.stores, "overload").await?;
    rig.never_rewrite_log().await?;
    let line = SlowLine::start(rig.redis.address(), DELAY).await?;
    let in_flight = IN_FLIGHT_MAX.to_string();
    let settings = [
        ("CLAIM__BATCH_MAX", BATCH_MAX),
        ("CLAIM__SECOND_CALL_MIN", SECOND_CALL_MIN),
        ("CLAIM__CAMPAIGN_IN_FLIGHT_MAX", in_flight.as_str()),
    ];
    let node = rig.node("serve", &settings, Some(line.address())).await?;
    for campaign in ["peak", "overload"] {
        node.campaign(campaign, 10_000_000).await?;
    }
    bench.progress.say("looking for the peak");
    let peak = load(bench, &node, "peak", PEAK_CONNECTIONS, bench.plan.peak).closed().await?;
    peak.insist(Kind::Granted)?;
    let peak_per_second = peak.per_second(Kind::Granted);
    let rate = peak_per_second * TIMES_THE_PEAK;
    bench.progress.say(&format!("a peak of {peak_per_second:.0}/s, and {rate:.0} arrivals a second"));
    let sampler = Sampler::start(node.pid(), LOOK_EVERY);
    let overload = load(bench, &node, "overload", 4 * IN_FLIGHT_MAX, bench.plan.overload).open(rate).await?;
    let memory = sampler.stop().await?;
    drop(node);
    drop(line);
    rig.end().await?;
    Ok(judge(bench, peak_per_second, &overload, &memory))
}

fn load(bench: &Bench, node: &Node, campaign: &str, connections: usize, measured: Duration) -> Load {
    Load {
        address: node.address,
        connections,
        requests: Arc::new(Requests::once_each(node.address, &claims_of(campaign), &bench.users)),
        warm_up: WARM_UP,
        measured,
        patience: PATIENCE,
        keep_claims: false,
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^52 answers")]
fn judge(bench: &Bench, peak: f64, overload: &Arrivals, memory: &[Sample]) -> Run {
    let Arrivals { tally, due, late, unsent } = overload;
    let seconds = bench.plan.overload.as_secs_f64();
    let good = tally.times(Kind::Granted).within_us(us(PATIENCE)) as f64 / seconds;
    let in_time = 1.0 - (late + unsent) as f64 / (*due).max(1) as f64;
    let mut figure = format!("{:.2} of the peak", good / peak);
    if in_time < SENT_IN_TIME_MIN {
        figure = format!("{figure}, but only {:.0} % were sent in time", in_time * 100.0);
    }
    let worst = worst_second(tally) / peak;
    let spread = format!("{worst:.2} in the worst second, {good:.0}/s of {peak:.0}/s");
    let odd = tally.of(Kind::Ok) + tally.of(Kind::Other) + tally.of(Kind::SoldOut) + tally.no_retry_after;
    let refused = tally.of(Kind::Unavailable);
    let unanswered = tally.no_answer;
    let third = bench.plan.overload / 3;
    let mean = |from: u32| mean_mib(memory, WARM_UP + third * from, WARM_UP + third * (from + 1));
    let (middle, end) = (mean(1), mean(2));
    let growth = end / middle.max(f64::MIN_POSITIVE);
    let row = [
        format!("{peak:.0}"),
        format!("{:.0}", peak * TIMES_THE_PEAK),
        format!("{good:.0}"),
        format!("{:.0}", refused as f64 / seconds),
        due.to_string(),
        late.to_string(),
        unsent.to_string(),
        unanswered.to_string(),
    ];
    let head =
        ["peak/s", "arrivals/s", "good/s", "503/s", "arrivals", "sent more than 10 ms late", "never sent", "no answer"];
    Run {
        targets: vec![
            PROMISES[0].judged(figure, spread, good >= OF_PEAK_MIN * peak && in_time >= SENT_IN_TIME_MIN),
            PROMISES[1].judged(
                format!("{odd} other answers, {unanswered} without one"),
                format!("{refused} refusals"),
                odd == 0 && unanswered == 0 && refused > 0,
            ),
            PROMISES[2].judged(
                format!("{growth:.3}"),
                format!("{middle:.1} to {end:.1} MiB, means of {:.0} s", third.as_secs_f64()),
                middle > 0.0 && growth <= GROWTH_MAX,
            ),
        ],
        latencies: vec![
            tally.latencies("claims granted at ten times the load that can be served, open model", Kind::Granted),
            tally.latencies("503 at ten times the load that can be served, open model", Kind::Unavailable),
        ],
        timelines: vec![
            tally.timeline("Ten times the load that can be served"),
            Timeline {
                name: "Memory of the node at ten times the load".into(),
                unit: "MiB".into(),
                step_ms: u64::try_from(LOOK_EVERY.as_millis()).unwrap_or(u64::MAX),
                stacked: false,
                series: vec![Series { name: "onrush".into(), values: memory.iter().map(|it| it.mib).collect() }],
            },
        ],
        tables: vec![Table {
            title: "Ten times the load that can be served".into(),
            text: "Good answers are 201 within 2 s of when the arrival was due.".into(),
            head: head.map(String::from).to_vec(),
            rows: vec![row.to_vec()],
        }],
        notes: vec![format!(
            "What can be served under overload is made small: every message to and from Redis travels {} ms longer \
             (a proxy), a call decides at most {BATCH_MAX} claims, and {IN_FLIGHT_MAX} claims may be in flight.",
            DELAY.as_millis()
        )],
        ..Run::default()
    }
}

/// Good answers in the second that had the fewest.
fn worst_second(tally: &Tally) -> f64 {
    let timeline = tally.timeline("");
    let granted = timeline.series.iter().find(|series| series.name == Kind::Granted.label());
    let steps = granted.map_or(&[][..], |series| &series.values);
    #[expect(clippy::cast_precision_loss)]
    let seconds = steps.chunks_exact(10).map(|second| second.iter().sum::<f64>() / second.len() as f64);
    let worst = seconds.fold(f64::INFINITY, f64::min);
    if worst.is_finite() { worst } else { 0.0 }
}

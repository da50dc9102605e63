//! How long after its answer is a claim a row? The database is looked at every few ms, beside a steady load.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use loadtest::wire::Kind;
use onrush::database::Database;
use report::data::{Latencies, Run, Series, Table, Timeline};
use tokio::sync::watch;

use super::Promise;
use super::window::claims_of;
use crate::bench::Bench;
use crate::histogram::Histogram;
use crate::load::{Arrivals, Load};
use crate::rig::Rig;
use crate::tally::us;
use crate::users::Requests;

/// What it is to find out.
pub const PROMISES: &[Promise] =
    &[Promise { name: "claim answered to row visible, 2,000 claims/s held for 60 s", target: "p99 under 1 s" }];

const PER_SECOND: f64 = 2_000.0;
const P99_S_MAX: f64 = 1.0;
/// A machine that does not answer so many of the claims in time has not held the rate.
const HELD_MIN: f64 = 0.99;
/// How often the database is asked what is new: rows may be visible that much earlier than they are seen.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// More than are ever new at once.
const LOOK_ROWS_MAX: i64 = 50_000;
const ROWS_MAX: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(500);
const CAMPAIGN: &str = "visible";

/// Measures.
pub async fn run(bench: &Bench) -> anyhow::Result<Run> {
    let rig = Rig::start(&bench.stores, "visible").await?;
    let node = rig.node("all", &[("LEDGER__ROWS_PER_SECOND_MAX", "100000")], None).await?;
    node.campaign(CAMPAIGN, 10_000_000).await?;
    node.campaign("first", 10_000_000).await?;
    // The worker joins its group, the relay takes its lease: what happens once is not what is measured.
    let warm = load(bench, node.address, "first", Duration::from_secs(1));
    let warm = warm.open(PER_SECOND).await?.tally.granted_ever;
    rig.rows_arrive("first", warm, ROWS_MAX).await?;

    bench.progress.say("2,000 claims a second");
    let begun = Instant::now();
    let load = load(bench, node.address, CAMPAIGN, bench.plan.visible);
    let Followed { arrivals, claims, rows, times, missing } = follow(&rig.database, CAMPAIGN, load, PER_SECOND).await?;
    let Arrivals { tally, due, late, unsent } = arrivals;
    drop(node);
    rig.end().await?;

    #[expect(clippy::cast_precision_loss)]
    let s = |per_cent| times.percentile_us(per_cent) as f64 / 1e6;
    #[expect(clippy::cast_precision_loss)]
    let is_held = claims.len() as f64 >= HELD_MIN * due as f64 && missing == 0;
    let figure = match (is_held, missing) {
        (true, _) => format!("p99 {:.3} s", s(99.0)),
        (false, 0) => format!("p99 {:.3} s, but only {} of {due} were granted", s(99.0), claims.len()),
        (false, _) => format!("{missing} claims without a row"),
    };
    let spread = format!("{:.3} to {:.3} s, p50 {:.3} s, {} claims", s(0.0), s(100.0), s(50.0), times.total());
    let answered: Vec<Instant> = claims.iter().map(|(_, at)| *at).collect();
    let seen: Vec<Instant> = rows.into_iter().flatten().collect();
    let row = [due, late, unsent, claims.len() as u64, times.total()].map(|count| count.to_string());
    let head = ["arrivals", "sent more than 10 ms late", "never sent", "granted", "rows"];
    Ok(Run {
        targets: vec![PROMISES[0].judged(figure, spread, is_held && s(99.0) < P99_S_MAX)],
        latencies: vec![
            tally.latencies("claims granted at 2,000/s, whole pipeline, open model", Kind::Granted),
            Latencies { name: "claim answered to row visible, 2,000 claims/s".into(), buckets: times.buckets() },
        ],
        timelines: vec![cumulative(begun, &answered, &seen)],
        tables: vec![Table {
            title: "From answer to row".into(),
            text: format!(
                "The database is asked for new rows every {} ms, by number: a row is seen at most that, and the query's \
                 own time, later than it is visible, never earlier.",
                LOOK_EVERY.as_millis()
            ),
            head: head.map(String::from).to_vec(),
            rows: vec![row.to_vec()],
        }],
        ..Run::default()
    })
}

/// Claims, and when each became a row.
pub(super) struct Followed {
    pub(super) arrivals: Arrivals,
    /// Numbers, and when they were answered.
    pub(super) claims: Vec<(u64, Instant)>,
    /// By number, when each was first seen as a row.
    rows: Vec<Option<Instant>>,
    /// From the answer to the row.
    pub(super) times: Histogram,
    /// Claims without a row.
    pub(super) missing: u64,
}

/// Loads a campaign, and follows every claim to its row.
pub(super) async fn follow(
    database: &Database,
    campaign: &str,
    load: Load,
    per_second: f64,
) -> anyhow::Result<Followed> {
    let (expected, last) = watch::channel(None);
    let looking = tokio::spawn(look(database.clone(), campaign.to_owned(), last));
    let mut arrivals = load.open(per_second).await?;
    let claims = arrivals.tally.claims.take().unwrap_or_default();
    let highest = claims.iter().map(|(number, _)| *number).max().unwrap_or(0);
    expected.send_replace(Some((highest, Instant::now() + ROWS_MAX)));
    let rows = looking.await.context("the look-out failed")??;
    let (mut times, mut missing) = (Histogram::default(), 0);
    for (number, answered) in &claims {
        match rows.get(usize::try_from(*number)?).copied().flatten() {
            Some(seen) => times.add(us(seen.saturating_duration_since(*answered))),
            None => missing += 1,
        }
    }
    Ok(Followed { arrivals, claims, rows, times, missing })
}

pub(super) fn load(bench: &Bench, address: std::net::SocketAddr, campaign: &str, measured: Duration) -> Load {
    Load {
        address,
        connections: 64,
        requests: Arc::new(Requests::once_each(address, &claims_of(campaign), &bench.users)),
        warm_up: Duration::ZERO,
        measured,
        patience: Duration::from_secs(5),
        keep_claims: true,
    }
}

/// When each number was first seen as a row. Ends when it has seen the one that it is told of, or when its time is over.
async fn look(
    database: Database,
    campaign: String,
    expected: watch::Receiver<Option<(u64, Instant)>>,
) -> anyhow::Result<Vec<Option<Instant>>> {
    let mut seen: Vec<Option<Instant>> = vec![None];
    // Below it every number is there: only what is new is asked for.
    let mut whole = 0_usize;
    loop {
        let rows: Vec<i64> = sqlx::query_scalar(
            "SELECT number FROM claims WHERE campaign_id = $1 AND generation = 1 AND number > $2 ORDER BY number LIMIT $3",
        )
        .bind(&campaign)
        .bind(i64::try_from(whole)?)
        .bind(LOOK_ROWS_MAX)
        .fetch_all(&database)
        .await?;
        let now = Instant::now();
        for number in rows {
            let number = usize::try_from(number)?;
            if number >= seen.len() {
                seen.resize(number + 1, None);
            }
            seen[number].get_or_insert(now);
        }
        while seen.get(whole + 1).copied().flatten().is_some() {
            whole += 1;
        }
        if let Some((highest, deadline)) = *expected.borrow()
            && (whole as u64 >= highest || now > deadline)
        {
            return Ok(seen);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn cumulative(begun: Instant, answered: &[Instant], seen: &[Instant]) -> Timeline {
    let last = answered.iter().chain(seen).max().map_or(Duration::ZERO, |last| last.duration_since(begun));
    let steps = last.as_millis() / STEP.as_millis() + 1;
    let curve = |name: &str, moments: &[Instant]| {
        let mut sorted = moments.to_vec();
        sorted.sort_unstable();
        let mut values = Vec::new();
        for step in 1..=u32::try_from(steps).unwrap_or(u32::MAX) {
            #[expect(clippy::cast_precision_loss)]
            values.push(sorted.partition_point(|at| *at <= begun + STEP * step) as f64);
        }
        Series { name: name.to_owned(), values }
    };
    Timeline {
        name: "Claims answered against rows written, 2,000 claims/s".into(),
        unit: "claims".into(),
        step_ms: u64::try_from(STEP.as_millis()).unwrap_or(u64::MAX),
        stacked: false,
        series: vec![curve("claims answered", answered), curve("rows visible", seen)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cumulative_curves_count_all_that_came_by_the_end_of_a_step() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let timeline = cumulative(begun, &[at(1), at(500), at(501)], &[at(400), at(1_200)]);
        let values: Vec<_> = timeline.series.iter().map(|series| series.values.clone()).collect();
        assert_eq!(values, [vec![2.0, 3.0, 3.0], vec![1.0, 1.0, 2.0]]);
    }
}

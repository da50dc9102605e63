//! Does a flood of posts delay claims on their way to their rows? In pairs of a quiet window and one in which a flood is worked
//! off at the bulk limit, by the same node.

use std::time::{Duration, Instant};

use anyhow::ensure;
use onrush::database::Database;
use report::data::{Latencies, Run, Table};

use super::posts;
use crate::bench::Bench;
use crate::histogram::Histogram;
use crate::pairs::{Pairs, Spread, spread_of};
use crate::plan::Plan;
use crate::rig::{Node, Rig};
use crate::sections::Promise;
use crate::sections::visible::{Followed, follow, load};

/// What it is to find out.
pub const PROMISES: &[Promise] = &[Promise {
    name: "claim answered to row visible, while a flood of 100,000 posts is worked off",
    target: "p99 at most 1.25 times that of a quiet window",
}];

const TIMES_MAX: f64 = 1.25;
/// Claims a second in every window.
const PER_SECOND: f64 = 1_000.0;
const PAIRS: usize = 5;
/// Subscribers of each of the hundred authors.
const SUBSCRIBERS: i64 = 3;
const BODY_WORDS: usize = 40;
const WORKED_OFF_MAX: Duration = Duration::from_mins(4);
const CAMPAIGN: &str = "flood";

/// Posts of each flood: 100,000 in all five.
fn posts_of_a_flood(plan: &Plan) -> usize {
    if plan.is_quick { 500 } else { 20_000 }
}

fn window(plan: &Plan) -> Duration {
    if plan.is_quick { Duration::from_secs(2) } else { Duration::from_secs(10) }
}

fn pairs(plan: &Plan) -> usize {
    if plan.is_quick { 1 } else { PAIRS }
}

/// About how long it takes: a flood outlasts its window.
#[must_use]
pub fn length(plan: &Plan) -> Duration {
    if plan.is_quick {
        return Duration::from_secs(7);
    }
    window(plan) * 4 * u32::try_from(pairs(plan)).unwrap_or(u32::MAX) + Duration::from_secs(12)
}

/// Measures.
pub async fn run(bench: &Bench) -> anyhow::Result<Run> {
    let rig = Rig::start(&bench.stores, "feed_flood").await?;
    let lanes = ("FEED__LANES", r#"["relay","fill","inspect","deliver","index"]"#);
    let node = rig.node("all", &[("LEDGER__ROWS_PER_SECOND_MAX", "100000"), lanes], None).await?;
    subscribe(&rig.database).await?;
    // The workers join their groups, all lanes do their first post: what happens once is not what is measured.
    flood(&rig.database, 10).await?;
    worked_off(&rig.database).await?;
    let (mut pairs_found, mut quiet, mut flooded, mut rates) =
        (Pairs::default(), Histogram::default(), Histogram::default(), Vec::new());
    for pair in 0..pairs(&bench.plan) {
        bench.progress.say(&format!("pair {} of {}", pair + 1, pairs(&bench.plan)));
        let mut p99s = [0.0; 2];
        // In turn first and second.
        for side in [pair % 2, 1 - pair % 2] {
            let campaign = format!("{CAMPAIGN}-{pair}-{side}");
            if side == 0 {
                let times = claims(bench, &rig, &node, &campaign).await?;
                p99s[0] = p99(&times);
                quiet.merge(&times);
            } else {
                let begun = Instant::now();
                flood(&rig.database, posts_of_a_flood(&bench.plan)).await?;
                let times = claims(bench, &rig, &node, &campaign).await?;
                let is_under_way = left(&rig.database).await? > 0;
                ensure!(is_under_way || bench.plan.is_quick, "the flood was over before its window was");
                worked_off(&rig.database).await?;
                #[expect(clippy::cast_precision_loss)]
                rates.push(posts_of_a_flood(&bench.plan) as f64 / begun.elapsed().as_secs_f64());
                p99s[1] = p99(&times);
                flooded.merge(&times);
            }
        }
        pairs_found.add(p99s[0], p99s[1]);
    }
    drop(node);
    rig.end().await?;
    let ratio = Spread::of(&pairs_found.ratios());
    let (calm, busy, rate) = (Spread::of(&pairs_found.bare), Spread::of(&pairs_found.ours), Spread::of(&rates));
    let figure = format!("{:.2} times: p99 {:.3} s against {:.3} s", ratio.median, busy.median, calm.median);
    Ok(Run {
        targets: vec![PROMISES[0].judged(figure, spread_of(&ratio, "pairs"), ratio.median <= TIMES_MAX)],
        latencies: vec![
            Latencies { name: "claim answered to row visible, quiet".into(), buckets: quiet.buckets() },
            Latencies {
                name: "claim answered to row visible, beside a flood of posts".into(),
                buckets: flooded.buckets(),
            },
        ],
        tables: vec![Table {
            title: "Claims beside a flood of posts".into(),
            text: format!(
                "{PER_SECOND} claims a second are followed to their rows, in windows with and without a flood. A flood is {} \
                 posts by a hundred authors with {SUBSCRIBERS} subscribers each, which stand in the outbox of the database when \
                 its window begins and are relayed, inspected, delivered and indexed by the same node; it outlasts the window, \
                 and is worked off before the next one.",
                posts_of_a_flood(&bench.plan)
            ),
            head: ["p99 quiet, s", "p99 flooded, s", "ratio", "spread", "posts/s"].map(String::from).to_vec(),
            rows: vec![vec![
                format!("{:.3}", calm.median),
                format!("{:.3}", busy.median),
                format!("{:.2}", ratio.median),
                spread_of(&ratio, "pairs"),
                format!("{:.0}", rate.median),
            ]],
        }],
        ..Run::default()
    })
}

async fn claims(bench: &Bench, rig: &Rig, node: &Node, campaign: &str) -> anyhow::Result<Histogram> {
    node.campaign(campaign, 10_000_000).await?;
    let load = load(bench, node.address, campaign, window(&bench.plan));
    let Followed { arrivals, claims, times, missing, .. } = follow(&rig.database, campaign, load, PER_SECOND).await?;
    ensure!(missing == 0, "{missing} claims without a row");
    ensure!(claims.len() as u64 * 100 >= arrivals.due * 98, "only {} of {} were granted", claims.len(), arrivals.due);
    Ok(times)
}

fn p99(times: &Histogram) -> f64 {
    #[expect(clippy::cast_precision_loss)]
    let s = times.percentile_us(99.0) as f64 / 1e6;
    s
}

async fn subscribe(database: &Database) -> anyhow::Result<()> {
    sqlx::query(
        "INSERT INTO subscriptions (author_id, user_id)
         SELECT 'author-' || a, 'reader-' || r FROM generate_series(0, 99) a, generate_series(1, $1) r",
    )
    .bind(SUBSCRIBERS)
    .execute(database)
    .await?;
    Ok(())
}

/// Posts with their messages, as publishing them would leave them.
async fn flood(database: &Database, count: usize) -> anyhow::Result<()> {
    const AT_ONCE: usize = 2_000;
    for first in (0..count).step_by(AT_ONCE) {
        let posts = first..count.min(first + AT_ONCE);
        let titles: Vec<String> = posts.clone().map(|post| posts::text(post, 4)).collect();
        let bodies: Vec<String> = posts.clone().map(|post| posts::text(post + 1_000_003, BODY_WORDS)).collect();
        let authors: Vec<String> = posts.map(|post| format!("author-{}", post % 100)).collect();
        sqlx::query(
            "WITH new AS (
                 INSERT INTO posts (author_id, title, body)
                 SELECT author, title, body FROM unnest($1::text[], $2::text[], $3::text[]) AS n (author, title, body)
                 RETURNING post_id, author_id, title, body)
             INSERT INTO post_outbox (post_id, message)
             SELECT post_id, jsonb_build_object('v', 1, 'post_id', lpad(post_id::text, 19, '0'), 'revision', 1,
                 'happened', 'created', 'author_id', author_id, 'title', title, 'body', body) FROM new",
        )
        .bind(authors)
        .bind(titles)
        .bind(bodies)
        .execute(database)
        .await?;
    }
    Ok(())
}

/// Posts that are not searchable yet: indexing is the last that happens to them.
async fn left(database: &Database) -> anyhow::Result<i64> {
    let left = "SELECT (SELECT count(*) FROM posts) - (SELECT count(*) FROM post_search)";
    Ok(sqlx::query_scalar(left).fetch_one(database).await?)
}

async fn worked_off(database: &Database) -> anyhow::Result<()> {
    let deadline = Instant::now() + WORKED_OFF_MAX;
    loop {
        let left = left(database).await?;
        if left == 0 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{left} posts are not worked off after {WORKED_OFF_MAX:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

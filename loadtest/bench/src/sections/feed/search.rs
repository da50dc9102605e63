//! How long does a search take among a hundred thousand posts?

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::stream::{TryStreamExt, iter};
use loadtest::wire::{Kind, Wire};
use onrush::feed::{Inspected, Outcome, PostId, SCHEMA_VERSION, search};
use report::data::{Latencies, Run, Table};

use super::posts;
use crate::bench::Bench;
use crate::histogram::Histogram;
use crate::plan::Plan;
use crate::rig::{Node, Rig};
use crate::tally::us;

const BODY_WORDS: usize = 40;
/// Posts that are put into the index at a time.
const PUTS_AT_ONCE: usize = 3;

/// What is asked, by how much it finds.
const QUESTIONS: [(&str, &[&str]); 6] = [
    ("a word that most posts have", &["쿠폰", "할인", "선착순"]),
    ("a word of every twentieth post", &["제주도", "노트북", "winter", "드라마"]),
    ("two words", &["쿠폰 운동화", "콘서트 티켓", "coupon discount", "선착순 공연"]),
    ("a compound, written in one and apart", &["할인쿠폰", "무료배송", "선착순 쿠폰", "한정판운동화"]),
    ("with a particle", &["쿠폰을", "서울에서", "티켓이", "배송으로"]),
    ("a rare word", &["제품777호", "제품1234호", "제품1999호"]),
];

fn count(plan: &Plan) -> usize {
    if plan.is_quick { 2_000 } else { 100_000 }
}

fn questions_each(plan: &Plan) -> usize {
    if plan.is_quick { 20 } else { 300 }
}

/// About how long it takes.
#[must_use]
pub fn length(plan: &Plan) -> Duration {
    if plan.is_quick { Duration::from_secs(4) } else { Duration::from_secs(110) }
}

/// Measures.
pub async fn run(bench: &Bench) -> anyhow::Result<Run> {
    let rig = Rig::start(&bench.stores, "feed_search").await?;
    let node = rig.node("serve", &[], None).await?;
    let count = count(&bench.plan);
    bench.progress.say(&format!("{count} posts, and their index"));
    let ids = posts::insert(&rig.database, count, BODY_WORDS).await?;
    let begun = Instant::now();
    iter(ids.iter().enumerate().map(anyhow::Ok))
        .try_for_each_concurrent(PUTS_AT_ONCE, async |(post, id)| {
            search::put(&rig.database, &inspected(post, *id)).await?;
            Ok(())
        })
        .await?;
    #[expect(clippy::cast_precision_loss)]
    let indexed_per_second = count as f64 / begun.elapsed().as_secs_f64();
    sqlx::raw_sql("ANALYZE posts; ANALYZE post_search").execute(&rig.database).await?;

    let (mut all, mut rows) = (Histogram::default(), Vec::new());
    for (name, questions) in QUESTIONS {
        bench.progress.say(name);
        let times = ask(&node, questions, questions_each(&bench.plan)).await?;
        #[expect(clippy::cast_precision_loss)]
        let ms = [50.0, 99.0, 100.0].map(|per_cent| format!("{:.1}", times.percentile_us(per_cent) as f64 / 1e3));
        rows.push([name.to_owned(), times.total().to_string()].into_iter().chain(ms).collect());
        all.merge(&times);
    }
    let bytes: i64 =
        sqlx::query_scalar("SELECT pg_total_relation_size('post_search')").fetch_one(&rig.database).await?;
    drop(node);
    rig.end().await?;
    #[expect(clippy::cast_precision_loss)]
    let ms = [50.0, 99.0, 100.0].map(|per_cent| format!("{:.1}", all.percentile_us(per_cent) as f64 / 1e3));
    rows.push(["all".to_owned(), all.total().to_string()].into_iter().chain(ms).collect());
    Ok(Run {
        latencies: vec![Latencies { name: format!("searches among {count} posts"), buckets: all.buckets() }],
        tables: vec![Table {
            title: format!("Searches among {count} posts"),
            text: format!(
                "In ms, one after the other over HTTP, none of them answered from a cache. Index and its rows take {} MiB; \
                 {indexed_per_second:.0} posts a second were put into it.",
                bytes >> 20
            ),
            head: ["what is asked", "searches", "p50", "p99", "slowest"].map(String::from).to_vec(),
            rows,
        }],
        ..Run::default()
    })
}

fn inspected(post: usize, id: i64) -> Inspected {
    Inspected {
        v: SCHEMA_VERSION,
        post_id: PostId(id),
        revision: 1,
        outcome: Outcome::Passed,
        author_id: format!("author-{}", post % 100),
        title: posts::text(post, 4),
        body: posts::text(post + 1_000_003, BODY_WORDS),
        category: "general".into(),
        tags: vec!["쿠폰".into()],
    }
}

/// In turn, each time with another number of items, so that no answer is one that was given before.
async fn ask(node: &Node, questions: &[&str], count: usize) -> anyhow::Result<Histogram> {
    let mut wire = Wire::open(node.address).await?;
    let mut times = Histogram::default();
    for turn in 0..count {
        let question = questions[turn % questions.len()];
        let encoded = question.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
        let limit = 10 + turn / questions.len() % 91;
        let request = format!("GET /v1/search?q={encoded}&limit={limit} HTTP/1.1\r\nhost: {}\r\n\r\n", node.address);
        let begun = Instant::now();
        let answer = wire.exchange(request.as_bytes()).await?;
        times.add(us(begun.elapsed()));
        ensure!(answer.kind == Kind::Ok, "{question}: {} {}", answer.status, String::from_utf8_lossy(answer.body));
        ensure!(answer.text(b"\"post_id\":\"").is_some(), "{question} finds nothing");
    }
    Ok(times)
}

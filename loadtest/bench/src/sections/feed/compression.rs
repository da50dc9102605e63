//! What does it save to compress a person's data, and from which size on? By the cache's own packing, in this process.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Context;
use onrush::cache::{Packing, Unpacked};
use onrush::config;
use onrush::feed::{Inbox, Newest, PostId};
use report::data::{Run, Table};

use crate::bench::Bench;
use crate::plan::Plan;

/// Posts in an inbox.
const POSTS: [usize; 10] = [1, 3, 6, 10, 15, 20, 30, 50, 100, 200];
/// It pays where at least this part is saved: less is not worth the time, nor the second form in Redis.
const SAVED_MIN: f64 = 0.2;
/// The first of an inbox's ids, of November 2026; those after it are minutes apart.
const FIRST_ID: i64 = 3_767_000_000_000_000_000;

/// About how long it takes.
#[must_use]
pub fn length(_: &Plan) -> Duration {
    Duration::from_secs(2)
}

/// Measures.
pub async fn run(bench: &Bench) -> anyhow::Result<Run> {
    bench.progress.say("inboxes of 1 to 200 posts");
    let settings = bench.stores.config.cache.clone();
    let times = if bench.plan.is_quick { 200 } else { 20_000 };
    tokio::task::spawn_blocking(move || measure(&settings, times)).await?
}

fn measure(settings: &config::Cache, times: u32) -> anyhow::Result<Run> {
    let always = Packing::new(&config::Cache { compress_bytes_min: 1, ..settings.clone() });
    let never = Packing::new(&config::Cache { compress_bytes_min: usize::MAX, ..settings.clone() });
    let (mut rows, mut pays_from) = (Vec::new(), None);
    for posts in POSTS {
        let json = serde_json::to_vec(&inbox(posts))?;
        let pack = |packing: &Packing| packing.pack(Some(&json)).context("an inbox that is too large to be kept");
        let (before, after) = (pack(&never)?, pack(&always)?);
        #[expect(clippy::cast_precision_loss)]
        let saved = 1.0 - after.len() as f64 / before.len() as f64;
        if saved < SAVED_MIN {
            pays_from = None;
        } else {
            pays_from.get_or_insert(json.len());
        }
        let packing = us_of(times, || pack(&always).is_ok());
        let unpacking = us_of(times, || matches!(always.unpack(&after), Some(Unpacked::Json(_))));
        rows.push(vec![
            posts.to_string(),
            before.len().to_string(),
            after.len().to_string(),
            format!("{:.0} %", saved * 100.0),
            format!("{packing:.1}"),
            format!("{unpacking:.1}"),
        ]);
    }
    let from = pays_from.map_or("no size".to_owned(), |bytes| format!("{bytes} bytes"));
    Ok(Run {
        tables: vec![Table {
            title: "A person's data in Redis, compressed".into(),
            text: format!(
                "Inboxes as the cache keeps them (zstd, level {}), each packed and unpacked {times} times. It saves a fifth or \
                 more from {from} on; cache.compress_bytes_min is {}.",
                settings.compress_level, settings.compress_bytes_min
            ),
            head: ["posts", "bytes before", "bytes after", "saved", "us to pack", "us to unpack"]
                .map(String::from)
                .to_vec(),
            rows,
        }],
        ..Run::default()
    })
}

/// The newest posts of somebody who follows some authors, minutes apart.
fn inbox(posts: usize) -> Inbox {
    let mut id = FIRST_ID;
    let mut ids: Vec<PostId> = (0..posts)
        .map(|post| {
            // Milliseconds stand above 21 bits of a counter.
            let minutes = i64::try_from(post * 37 % 11 + 1).unwrap_or(1);
            id += (minutes * 60_000 + i64::try_from(post * 7_919 % 60_000).unwrap_or(0)) << 21;
            PostId(id + i64::try_from(post * 104_729 % 2_097_152).unwrap_or(0))
        })
        .collect();
    ids.reverse();
    Inbox { newest: Newest { ids, is_all: posts < 200 }, read_authors: vec!["author-7".into(), "author-31".into()] }
}

/// How long it takes, in us, on average.
fn us_of(times: u32, mut what: impl FnMut() -> bool) -> f64 {
    let begun = Instant::now();
    for _ in 0..times {
        assert!(black_box(what()), "what was packed can be unpacked");
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(times)
}

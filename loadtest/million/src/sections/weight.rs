//! How much of Redis does one who waits take? By the difference that so many make, for short ids and for long ones.

use std::sync::Arc;

use anyhow::Context;
use bench::sections::Promise;
use bench::users::Users;
use report::data::{Run, Table};

use crate::joined::join_all;
use crate::plan::Plan;
use crate::stage::{Set, Stage};

/// What it is to find out.
pub(crate) const PROMISES: &[Promise] = &[
    Promise { name: "Redis' memory for one who waits, id of 10 bytes", target: "at most 130 bytes" },
    Promise { name: "Redis' memory for one who waits, id of 36 bytes", target: "at most 165 bytes" },
];

/// Lengths of ids, and what one of them may take.
const LENGTHS: [(usize, f64); 2] = [(10, 130.0), (36, 165.0)];

/// Measures.
pub(crate) async fn run(stage: &Stage) -> anyhow::Result<Run> {
    let count = stage.plan.weighed_users;
    let mut run = Run::default();
    let mut rows = Vec::new();
    for ((bytes, max), promise) in LENGTHS.into_iter().zip(PROMISES) {
        let users = tokio::task::spawn_blocking(move || Users::sign_as(count, |user| Plan::id(user, bytes))).await??;
        // A Redis of its own for each: what one has freed, the other would find.
        let set = Set::open(stage, &format!("weight_{bytes}"), 1, &[]).await?;
        set.campaign("weight", stage.plan.stock(), &Plan::closed_room()).await?;
        let before = set.redis.settled_memory().await?;
        join_all(&set.addresses(), "weight", &Arc::new(users), count, stage.plan.connections).await?;
        let after = set.redis.settled_memory().await?;
        let estimate = set.redis.memory_of(&set.redis.room("weight")?).await?;
        set.close().await?;
        let grown = after.checked_sub(before).context("Redis has less in memory than before")?;
        let each = per(grown, count);
        println!("  ids of {bytes} bytes: {each:.1} bytes each ({:.1} by MEMORY USAGE)", per(estimate, count));
        let spread = format!("{count} who wait, one look");
        run.targets.push(promise.judged(format!("{each:.1} bytes"), spread, each <= max));
        rows.push(vec![
            bytes.to_string(),
            count.to_string(),
            grown.to_string(),
            format!("{each:.1}"),
            format!("{:.1}", per(estimate, count)),
        ]);
    }
    run.tables.push(Table {
        title: "Redis' memory for those who wait".into(),
        text: "What `used_memory` has grown by since before the first joined, less the buffers of the log and of \
               connections, once it does not change any more; and beside it the sum of `MEMORY USAGE` over the room's \
               keys. A private Redis for each length. A table of Redis' own doubles at powers of two, so that the \
               figure depends on the count: 200,000 fill theirs to three quarters, a million to nineteen twentieths."
            .into(),
        head: ["bytes of an id", "who wait", "bytes grown", "bytes each", "by MEMORY USAGE"].map(String::from).to_vec(),
        rows,
    });
    Ok(run)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per(bytes: u64, count: usize) -> f64 {
    bytes as f64 / count.max(1) as f64
}

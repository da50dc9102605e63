//! Short runs of the fault driver: plans as `make faults` plays them, without the kills that take longest.

use faults::plan::{Plan, Scale};
use faults::run::play;
use tokio::task::JoinSet;

use crate::support::{run, stores};

/// Among them: nodes killed and stopped, replies lost, Redis restarted.
const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

#[test]
fn five_short_plans_end_with_every_promise_kept() {
    run(async {
        let stores = stores().await;
        let mut runs = JoinSet::new();
        for seed in SEEDS {
            let stores = stores.clone();
            runs.spawn(async move {
                let plan = Plan::new(seed, Scale::SHORT);
                let outcome = play(&stores, &plan).await.unwrap();
                assert!(outcome.wrong.is_empty(), "{plan}{}\n{:?}", outcome.wrong.join("\n"), outcome.folder);
            });
        }
        while let Some(ended) = runs.join_next().await {
            ended.unwrap();
        }
    });
}

//! How long does it take until all who claim at once have their answers, by the node's own way to Redis?

mod support;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Throughput};
use futures::future::join_all;
use onrush::claim::{Answer, Request};
use onrush::ids::{AttemptId, UserId};
use support::Stores;

/// Claims of one campaign before the next one takes over.
const CLAIMS_MAX: u64 = 100_000;

/// Rushes, one after the other; answers how long they took.
async fn rushes(stores: &Stores, callers: u64, rushes: u64) -> Duration {
    let claims = stores.claims();
    let (mut took, mut user, mut campaign) = (Duration::ZERO, 0, stores.campaign().await);
    for _ in 0..rushes {
        if user >= CLAIMS_MAX {
            stores.forget(&campaign.id()).await;
            (user, campaign) = (0, stores.campaign().await);
        }
        let users: Vec<UserId> = (user..user + callers)
            .map(|user| format!("user-{user}").parse().expect("letters, digits and a hyphen"))
            .collect();
        user += callers;
        let began = Instant::now();
        let asked = users
            .into_iter()
            .map(|user| claims.claim(&campaign, Request { attempt: AttemptId::random(), user, pass: None }));
        let answers = join_all(asked).await;
        took += began.elapsed();
        assert!(answers.iter().all(|answer| matches!(answer, Ok(Answer::Issued(_)))), "{answers:?}");
    }
    stores.forget(&campaign.id()).await;
    took
}

fn main() {
    let mut criterion = support::criterion();
    let stores = Stores::make();
    let mut group = criterion.benchmark_group("coalescer");
    for callers in [1, 64, 1_024] {
        group.throughput(Throughput::Elements(callers));
        group.bench_with_input(BenchmarkId::from_parameter(callers), &callers, |bencher, callers| {
            bencher.iter_custom(|iterations| stores.wait_for(rushes(&stores, *callers, iterations)));
        });
    }
    group.finish();
    stores.remove();
    criterion.final_summary();
}

//! How long does `claim/issue.lua` take, with the way to Redis and back, for batches of several sizes?

mod support;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Throughput};
use onrush::ids::{AttemptId, CampaignId};
use onrush::redis::{Reply, Script, Value};
use onrush::script;
use support::Stores;

static ISSUE: Script<6> = script!(prelude + "claim/issue");

/// Claims of one campaign before the next one takes over.
const CLAIMS_MAX: u64 = 100_000;

/// Calls, one after the other; answers how long they took.
async fn calls(stores: &Stores, requests: u64, calls: u64) -> Duration {
    let (mut took, mut user, mut campaign) = (Duration::ZERO, 0, stores.campaign().await.id());
    for _ in 0..calls {
        if user >= CLAIMS_MAX {
            stores.forget(&campaign).await;
            (user, campaign) = (0, stores.campaign().await.id());
        }
        let mut args: Vec<Value> = ["", "1", "0", "", ""].map(Value::from_static_str).into();
        for _ in 0..requests {
            user += 1;
            args.extend([AttemptId::random().as_str().into(), format!("user-{user}").into()]);
        }
        took += call(stores, &campaign, args, requests).await;
    }
    stores.forget(&campaign).await;
    took
}

async fn call(stores: &Stores, campaign: &CampaignId, args: Vec<Value>, requests: u64) -> Duration {
    let keys = stores.redis.keys().of(campaign).issue();
    let began = Instant::now();
    let reply = stores.redis.call(&ISSUE, campaign, keys, args).await.expect("Redis is there");
    let took = began.elapsed();
    let reply = Reply::parse(reply).expect("a reply of a script");
    let issued = reply.rest.iter().filter(|answer| matches!(answer, Value::Integer(number) if *number > 0)).count();
    assert_eq!(issued as u64, requests, "{reply:?}");
    took
}

fn main() {
    let mut criterion = support::criterion();
    let stores = Stores::make();
    let mut group = criterion.benchmark_group("issue");
    for requests in [1, 16, 64, 256] {
        group.throughput(Throughput::Elements(requests));
        group.bench_with_input(BenchmarkId::from_parameter(requests), &requests, |bencher, requests| {
            bencher.iter_custom(|iterations| stores.wait_for(calls(&stores, *requests, iterations)));
        });
    }
    group.finish();
    stores.remove();
    criterion.final_summary();
}

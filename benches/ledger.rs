//! How long does a batch of facts take to become rows, by the statement of the ledger's writer?

mod support;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Throughput};
use onrush::facts::{Fact, FactClaim, Kind, SCHEMA_VERSION};
use onrush::ids::AttemptId;
use onrush::ledger::{FactAt, write_facts};
use support::Stores;

/// The fact of a claim that the ledger has not seen.
fn claimed(campaign: &str, number: u64) -> Fact {
    let attempt = AttemptId::random().as_str().to_owned();
    Fact {
        v: SCHEMA_VERSION,
        campaign: campaign.to_owned(),
        generation: 1,
        fact_no: number,
        kind: Kind::Claimed,
        change: -1,
        at: 1_700_000_000_000,
        claim: Some(FactClaim { number, generation: 1, user: format!("user-{number}"), attempt }),
        reason: None,
    }
}

/// Batches, one after the other; answers how long they took.
async fn batches(stores: &Stores, rows: u64, batches: u64) -> Duration {
    let (mut took, campaign) = (Duration::ZERO, format!("c{:016x}", rand::random::<u64>()));
    for batch in 0..batches {
        let numbers = batch * rows + 1..=(batch + 1) * rows;
        let facts = numbers.enumerate().map(|(place, number)| FactAt { place, fact: claimed(&campaign, number) });
        let facts = facts.collect();
        let began = Instant::now();
        let written = write_facts(&stores.database, facts).await.expect("PostgreSQL is there");
        took += began.elapsed();
        assert_eq!(written.new, rows);
    }
    took
}

fn main() {
    let mut criterion = support::criterion();
    let stores = Stores::make();
    let mut group = criterion.benchmark_group("ledger");
    for rows in [200, 2_000] {
        group.throughput(Throughput::Elements(rows));
        group.bench_with_input(BenchmarkId::from_parameter(rows), &rows, |bencher, rows| {
            bencher.iter_custom(|iterations| stores.wait_for(batches(&stores, *rows, iterations)));
        });
    }
    group.finish();
    stores.remove();
    criterion.final_summary();
}

//! What do facts cost on their way: out of an outbox entry, into Kafka's form, and out of it?

mod support;

use std::fmt::Write;
use std::hint::black_box;

use criterion::Throughput;
use onrush::facts::{EntryHead, Fact, SCHEMA_VERSION, read_entry};
use onrush::ids::{AttemptId, CampaignId};

/// Facts of one entry: those of a full batch.
const FACTS: u64 = 256;

/// Field `f` of an outbox entry, as the prelude writes it.
fn entry() -> String {
    let mut text = String::new();
    for number in 1..=FACTS {
        let separator = if number == 1 { "" } else { "\u{1e}" };
        let attempt = AttemptId::random();
        write!(
            text,
            "{separator}{number}\u{1f}claimed\u{1f}-1\u{1f}{number}\u{1f}1\u{1f}user-{number}\u{1f}{}",
            attempt.as_str()
        )
        .expect("a string takes it");
    }
    text
}

fn main() {
    let mut criterion = support::criterion();
    let campaign: CampaignId = "bench".parse().expect("letters");
    let head = EntryHead { v: SCHEMA_VERSION, generation: 1, at: 1_700_000_000_000 };
    let text = entry();
    let facts = read_entry(&campaign, head, &text).expect("an entry of 256 facts");
    assert_eq!(facts.len() as u64, FACTS);
    let encoded: Vec<Vec<u8>> = facts.iter().map(Fact::to_json).collect();

    let mut group = criterion.benchmark_group("facts");
    group.throughput(Throughput::Elements(FACTS));
    group.bench_function("read_entry", |bencher| {
        bencher.iter(|| read_entry(&campaign, head, black_box(&text)));
    });
    group.bench_function("to_json", |bencher| {
        bencher.iter(|| black_box(&facts).iter().map(Fact::to_json).collect::<Vec<_>>());
    });
    group.bench_function("from_json", |bencher| {
        bencher.iter(|| {
            let parsed = black_box(&encoded).iter().map(|bytes| Fact::from_json(bytes));
            parsed.collect::<Result<Vec<_>, _>>().expect("they were facts before")
        });
    });
    group.finish();
    criterion.final_summary();
}

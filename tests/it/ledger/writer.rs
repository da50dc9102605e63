//! From Kafka to the database.

use std::time::{Duration, Instant};

use onrush::facts::{Fact, Kind};
use onrush::kafka::{Consumer, Offsets};
use onrush::ledger::{Step, Tick, Writer};
use sqlx::Row;

use crate::support::stores::{PATIENCE, Stores, eventually, fact};
use crate::support::topic;

/// Ticks until so many records are dealt with.
pub(crate) async fn tick_until(writer: &mut Writer, records: usize) -> usize {
    let (begin, mut written) = (Instant::now(), 0);
    while written < records && begin.elapsed() < PATIENCE {
        match writer.tick().await {
            Tick::Wrote(count) => written += count,
            Tick::Idle | Tick::Throttled(_) | Tick::Failed => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    written
}

/// One writer deals with so many records and leaves.
pub(crate) async fn write_all(stores: &Stores, records: usize) -> usize {
    let mut writer = stores.writer();
    let written = tick_until(&mut writer, records).await;
    writer.close().await;
    written
}

/// Every order of two pairs: 0, 0, 1, 1.
const ORDERS: [[usize; 4]; 6] = [[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]];

#[tokio::test(flavor = "multi_thread")]
async fn facts_in_any_order_and_twice_give_the_same_rows() {
    for batch_max in [1, 3, 1_000] {
        let stores = Stores::with(|config| config.ledger.batch_max = batch_max).await;
        let mut facts = Vec::new();
        for (ends, second) in [("back", Kind::GivenBack), ("used", Kind::Redeemed)] {
            for (number, order) in ORDERS.iter().enumerate() {
                let campaign = format!("{ends}-{number}");
                let pair = [fact(&campaign, 2, Kind::Claimed, 7), fact(&campaign, 3, second, 7)];
                facts.extend(order.iter().map(|index| pair[*index].clone()));
            }
        }
        stores.publish(&facts).await;
        assert_eq!(write_all(&stores, facts.len()).await, facts.len());

        let rows = sqlx::query(
            "SELECT campaign_id, concat_ws('|', generation, number, user_id, attempt, extract(epoch FROM claimed_at),
                 extract(epoch FROM given_back_at), extract(epoch FROM redeemed_at)) FROM claims ORDER BY 1",
        );
        let rows = rows.fetch_all(&stores.database).await.unwrap();
        assert_eq!(rows.len(), 12);
        for row in rows {
            // `concat_ws` leaves the null half out; which one it is shows in the counts below.
            let expected = "1|7|user-7|attempt-7|1700000000.125000|1700000000.126000";
            assert_eq!(row.get::<String, _>(1), expected, "{} in batches of {batch_max}", row.get::<String, _>(0));
        }
        let given_back = "SELECT count(*) FROM claims WHERE campaign_id LIKE 'back%' AND redeemed_at IS NULL";
        assert_eq!(stores.count(given_back).await, 6);
        let used = "SELECT count(*) FROM claims WHERE campaign_id LIKE 'used%' AND given_back_at IS NULL";
        assert_eq!(stores.count(used).await, 6);
        assert_eq!(stores.count("SELECT count(*) FROM stock_history").await, 24);
        assert_eq!(stores.count("SELECT count(*) FROM contradictions").await, 0);
    }
}

/// All orders of these.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let insert =
        |shorter: Vec<usize>| (0..count).map(move |at| [&shorter[..at], &[count - 1], &shorter[at..]].concat());
    permutations(count - 1).into_iter().flat_map(insert).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coupon_is_used_or_not_by_the_last_fact_in_whatever_order_they_come() {
    for batch_max in [1, 2, 1_000] {
        let stores = Stores::with(|config| config.ledger.batch_max = batch_max).await;
        let mut facts = Vec::new();
        for (ends, count) in [("undone", 3), ("again", 4)] {
            for (index, order) in permutations(count).into_iter().enumerate() {
                let campaign = format!("{ends}-{index}");
                let kinds = [Kind::Claimed, Kind::Redeemed, Kind::Unredeemed, Kind::Redeemed];
                let of = |at: usize| fact(&campaign, at as u64 + 1, kinds[at], 7);
                facts.extend(order.into_iter().map(of));
            }
        }
        stores.publish(&facts).await;
        assert_eq!(write_all(&stores, facts.len()).await, facts.len());
        let undone = "SELECT count(*) FROM claims WHERE campaign_id LIKE 'undone%' AND redeemed_at IS NULL
                          AND redemption_fact_no = 3 AND claimed_at IS NOT NULL";
        assert_eq!(stores.count(undone).await, 6, "in batches of {batch_max}");
        let again = "SELECT count(*) FROM claims WHERE campaign_id LIKE 'again%' AND redemption_fact_no = 4
                         AND extract(epoch FROM redeemed_at) = 1700000000.127 AND claimed_at IS NOT NULL";
        assert_eq!(stores.count(again).await, 24, "in batches of {batch_max}");
        assert_eq!(stores.count("SELECT count(*) FROM contradictions").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contradiction_is_recorded_and_not_applied() {
    for batch_max in [1, 1_000] {
        let stores = Stores::with(|config| config.ledger.batch_max = batch_max).await;
        let right = fact("c", 2, Kind::Claimed, 1);
        let mut other_time = right.clone();
        other_time.at += 1;
        let mut other_number = right.clone();
        other_number.claim.as_mut().unwrap().number = 9;
        // Another fact, but of a claim that is somebody else's.
        let mut other_user = fact("c", 3, Kind::GivenBack, 1);
        other_user.claim.as_mut().unwrap().user = "thief".into();
        let right_too = fact("c", 4, Kind::Claimed, 2);
        let facts = [right.clone(), other_time, other_number, other_user, right_too];
        // One partition, so that the right one is first.
        for fact in &facts {
            topic::put(&stores, 0, &fact.to_json()).await;
        }
        assert_eq!(write_all(&stores, facts.len()).await, facts.len());

        let noted = "SELECT string_agg(concat_ws('|', fact_no, fact->>'user_id', fact->>'number', fact->>'at'), ' '
            ORDER BY fact_no, fact->>'number', fact->>'at') FROM contradictions";
        let noted: String = sqlx::query_scalar(noted).fetch_one(&stores.database).await.unwrap();
        assert_eq!(
            noted, "2|user-1|1|1700000000126 2|user-1|9|1700000000125 3|thief|1|1700000000126",
            "in batches of {batch_max}"
        );
        let claims = "SELECT string_agg(concat_ws('|', number, user_id, extract(epoch FROM claimed_at), given_back_at),
            ' ' ORDER BY number) FROM claims";
        let claims: String = sqlx::query_scalar(claims).fetch_one(&stores.database).await.unwrap();
        assert_eq!(claims, "1|user-1|1700000000.125000 2|user-2|1700000000.127000");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_set_aside_and_its_neighbours_become_rows() {
    let stores = Stores::new().await;
    let good = |fact_no| fact("c", fact_no, Kind::Claimed, fact_no);
    let bad = |fact_no, spoil: fn(&mut Fact)| {
        let mut fact = good(fact_no);
        spoil(&mut fact);
        fact.to_json()
    };
    let records = [
        good(1).to_json(),
        b"\xff\xfe".to_vec(),
        bad(2, |fact| fact.claim.as_mut().unwrap().user = "a\0b".into()),
        good(3).to_json(),
        // Only the database refuses these two.
        bad(4, |fact| fact.claim.as_mut().unwrap().attempt = "a\0b".into()),
        bad(5, |fact| fact.at = i64::MAX),
        bad(6, |fact| fact.fact_no = u64::MAX),
        bad(7, |fact| fact.claim = None),
        br#"{"v":2,"campaign":"c"}"#.to_vec(),
        good(8).to_json(),
    ];
    for record in &records {
        topic::put(&stores, 3, record).await;
    }
    assert_eq!(write_all(&stores, records.len()).await, records.len());
    stores.copy_letters(7).await;

    let rows: Vec<i64> =
        sqlx::query_scalar("SELECT fact_no FROM stock_history ORDER BY 1").fetch_all(&stores.database).await.unwrap();
    assert_eq!(rows, [1, 3, 8]);
    let letters = sqlx::query("SELECT record_offset, record, campaign_id FROM dead_letters ORDER BY 1");
    let letters = letters.fetch_all(&stores.database).await.unwrap();
    let offsets: Vec<i64> = letters.iter().map(|row| row.get(0)).collect();
    assert_eq!(offsets, [1, 2, 4, 5, 6, 7, 8]);
    for (letter, offset) in letters.iter().zip([1, 2, 4, 5, 6, 7, 8]) {
        assert_eq!(letter.get::<Vec<u8>, _>(1), records[offset]);
        assert_eq!(letter.get::<Option<String>, _>(2).as_deref(), (offset != 1).then_some("c"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_committed_after_the_database_and_a_writer_that_died_between_changes_no_row() {
    let stores = Stores::new().await;
    let facts: Vec<Fact> = (1..=50).map(|number| fact("c", number, Kind::Claimed, number)).collect();
    stores.publish(&facts).await;
    let offsets = Offsets::new(&stores.config.kafka).unwrap();
    let ends = offsets.ends().await.unwrap();

    let mut dying = stores.writer();
    let mut in_database = 0;
    eventually("a batch is in the database", async || match dying.write_batch().await.unwrap() {
        Step::InDatabase(records) => {
            in_database = records.records().len();
            true
        }
        Step::Idle | Step::Throttled(_) => false,
    })
    .await;
    dying.close().await;
    assert!(in_database > 0);
    assert_eq!(stores.count("SELECT count(*) FROM stock_history").await, i64::try_from(in_database).unwrap());
    assert_eq!(offsets.lag(&ends).await.unwrap(), 50, "nothing was committed to Kafka");

    assert_eq!(write_all(&stores, 50).await, 50);
    assert_eq!(offsets.lag(&ends).await.unwrap(), 0);
    assert_eq!(stores.count("SELECT count(*) FROM stock_history").await, 50);
    assert_eq!(stores.count("SELECT count(*) FROM claims").await, 50);
    assert_eq!(stores.count("SELECT count(*) FROM contradictions").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_another_worker_inserts_at_the_same_moment_is_still_compared() {
    let stores = Stores::new().await;
    stores.publish(&[fact("c", 1, Kind::Claimed, 1), fact("c", 2, Kind::Claimed, 2)]).await;
    // Another worker has inserted the first fact, with other content, and has not committed yet.
    let mut other = stores.database.begin().await.unwrap();
    let insert = "INSERT INTO stock_history (campaign_id, generation, fact_no, kind, change, decided_at)
        VALUES ('c', 1, 1, 'created', 5, now())";
    sqlx::query(insert).execute(&mut *other).await.unwrap();
    let (written, ()) = tokio::join!(write_all(&stores, 2), async {
        eventually("the writer waits for the other one", async || {
            let waiting = "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = 'stock_history'::regclass
                JOIN pg_locks r ON r.pid = l.pid AND r.relation = c.oid WHERE NOT l.granted";
            stores.count(waiting).await > 0
        })
        .await;
        other.commit().await.unwrap();
    });
    assert_eq!(written, 2);
    assert_eq!(stores.count("SELECT count(*) FROM contradictions WHERE fact_no = 1").await, 1);
    assert_eq!(stores.count("SELECT count(*) FROM claims WHERE number = 2").await, 1);
    assert_eq!(stores.count("SELECT count(*) FROM claims").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_waits_for_a_database_that_cannot_and_loses_nothing() {
    let stores = Stores::with(|config| config.ledger.retry_ms = 50).await;
    let facts: Vec<Fact> = (1..=20).map(|number| fact("c", number, Kind::Claimed, number)).collect();
    sqlx::query("ALTER TABLE claims RENAME TO away").execute(&stores.database).await.unwrap();
    stores.publish(&facts).await;
    let mut writer = stores.writer();
    let mut failures = 0;
    eventually("three attempts have failed", async || {
        failures += u32::from(writer.tick().await == Tick::Failed);
        failures == 3
    })
    .await;
    assert_eq!(stores.count("SELECT count(*) FROM stock_history").await, 0);
    sqlx::query("ALTER TABLE away RENAME TO claims").execute(&stores.database).await.unwrap();
    assert_eq!(tick_until(&mut writer, 20).await, 20);
    writer.close().await;
    assert_eq!(stores.count("SELECT count(*) FROM claims").await, 20);
    assert_eq!(stores.count("SELECT count(*) FROM dead_letters").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_buffer_is_bounded_and_all_arrives_once() {
    let stores = Stores::new().await;
    let facts: Vec<Fact> = (1..=1_000).map(|number| fact("c", number, Kind::Claimed, number)).collect();
    stores.publish(&facts).await;
    let consumer = Consumer::join(&stores.config.kafka, 100).unwrap();
    let mut seen = Vec::new();
    eventually("all have arrived", async || {
        assert!(consumer.buffered() <= 100, "{} in the buffer", consumer.buffered());
        // Slower than Kafka, so that partitions are paused and resumed.
        if consumer.buffered() >= 90 || seen.len() > 800 {
            let Some(taken) = consumer.take(60) else { return false };
            seen.extend(taken.records().iter().map(|record| Fact::from_json(&record.value).unwrap().fact_no));
            taken.written();
        }
        seen.len() >= 1_000
    })
    .await;
    consumer.close().await;
    seen.sort_unstable();
    assert_eq!(seen, (1..=1_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_changes_hands_after_its_batch_is_written_and_the_rest_goes_with_it() {
    let stores = Stores::new().await;
    let facts: Vec<Fact> = (1..=400).map(|number| fact("c", number, Kind::Claimed, number)).collect();
    let old = Consumer::join(&stores.config.kafka, 1_000).unwrap();
    // Two halves, so that the first one to be taken has records of every partition.
    stores.publish(&facts[..200]).await;
    eventually("the first half is there", async || old.buffered() == 200).await;
    stores.publish(&facts[200..]).await;
    eventually("all are there", async || old.buffered() == 400).await;
    let offsets = Offsets::new(&stores.config.kafka).unwrap();
    let ends = offsets.ends().await.unwrap();
    let taken = old.take(200).unwrap();

    let new = Consumer::join(&stores.config.kafka, 1_000).unwrap();
    let early = eventually("the new one has partitions", async || new.assignment().mine > 0);
    assert!(tokio::time::timeout(Duration::from_secs(2), early).await.is_err(), "taken away while being written");
    taken.written();
    eventually("the new one has its share", async || new.assignment().mine == 3).await;
    eventually("the old one has dropped some", async || old.buffered() < 200).await;
    eventually("what was not written is with one of them", async || old.buffered() + new.buffered() == 200).await;
    eventually("what was written is committed", async || offsets.lag(&ends).await.unwrap() == 200).await;
    old.close().await;
    new.close().await;
}

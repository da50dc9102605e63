//! From the outbox to Kafka.

use std::collections::HashMap;
use std::sync::Arc;

use onrush::facts::Fact;
use onrush::ids::CampaignId;
use onrush::kafka::Producer;
use onrush::ledger::{Drained, Head, Relay};
use onrush::redis::{Script, Value};
use tokio_util::sync::CancellationToken;

use super::writer::write_all;
use crate::support::stores::{Stores, eventually, users};
use crate::support::topic;

#[tokio::test(flavor = "multi_thread")]
async fn facts_go_to_kafka_in_order_and_the_outbox_becomes_empty() {
    let stores = Stores::with(|config| config.relay.entries_max = 3).await;
    let campaign = stores.put("order", 100).await;
    for batch in 0..10 {
        stores.issue(&campaign, &users(batch * 5 + 1, batch * 5 + 5)).await;
    }
    let relay = stores.relay();
    let mut drained = 0;
    while let Drained::Facts(facts) = relay.drain_once(&campaign).await {
        drained += facts;
    }
    assert_eq!(drained, 51);
    assert_eq!(stores.field(&campaign, "outbox_facts").await, "0");
    assert!(matches!(relay.drain_once(&campaign).await, Drained::Empty));

    let records = topic::read(&stores, 51).await;
    let mut by_partition: HashMap<i32, Vec<u64>> = HashMap::new();
    for (partition, value) in &records {
        by_partition.entry(*partition).or_default().push(Fact::from_json(value).unwrap().fact_no);
    }
    assert!(by_partition.values().all(|numbers| numbers.is_sorted()), "{by_partition:?}");
    let mut numbers: Vec<u64> = by_partition.into_values().flatten().collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=51).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_was_replaced_deletes_nothing_and_doubled_facts_are_one_row_each() {
    let stores = Stores::new().await;
    let campaign = stores.put("fenced", 10).await;
    stores.issue(&campaign, &users(1, 10)).await;
    let (old, new) = (stores.relay(), stores.relay());

    let Head::Published(by_old) = old.publish_head(&campaign).await.unwrap() else { panic!("nothing published") };
    assert!(matches!(new.drain_once(&campaign).await, Drained::HeldByAnother));
    // The old one's lease ends while it thinks that it has it.
    let keys = stores.redis.keys().of(&campaign);
    let release: onrush::redis::Script<1> =
        onrush::redis::Script::new("end", "--\n-- KEYS[1]\nreturn redis.call('DEL', KEYS[1])");
    stores.redis.call(&release, &campaign, [keys.relay()], Vec::new()).await.unwrap();
    let Head::Published(by_new) = new.publish_head(&campaign).await.unwrap() else { panic!("nothing published") };

    assert!(matches!(old.delete_published(&campaign, by_old).await, Ok(Drained::LeaseLost)));
    assert_eq!(stores.field(&campaign, "outbox_facts").await, "11");
    assert!(matches!(new.delete_published(&campaign, by_new).await, Ok(Drained::Facts(11))));
    assert_eq!(stores.field(&campaign, "outbox_facts").await, "0");

    assert_eq!(write_all(&stores, 22).await, 22);
    assert_eq!(stores.count("SELECT count(*) FROM stock_history").await, 11);
    assert_eq!(stores.count("SELECT count(*) FROM claims").await, 10);
    assert_eq!(stores.count("SELECT count(*) FROM contradictions").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn outboxes_that_no_message_told_of_are_found_and_leases_are_given_up_at_the_end() {
    let stores = Stores::with(|config| {
        config.relay.sweep_ms = 50;
        config.relay.sweep_campaigns_max = 3;
        config.relay.campaigns_at_once_max = 2;
    })
    .await;
    let mut campaigns = Vec::new();
    for number in 0..10 {
        campaigns.push(stores.put(&format!("swept-{number}"), 5).await);
    }
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(Arc::new(stores.relay()).run(shutdown.clone()));
    for campaign in &campaigns {
        eventually("the outbox is empty", async || stores.field(campaign, "outbox_facts").await == "0").await;
    }
    shutdown.cancel();
    running.await.unwrap();
    stores.issue(&campaigns[0], &users(1, 1)).await;
    assert!(matches!(stores.relay().drain_once(&campaigns[0]).await, Drained::Facts(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_kafka_the_outbox_stays_and_another_relay_goes_on() {
    let stores = Stores::with(|config| config.relay.lease_ms = 500).await;
    let campaign = stores.put("waiting", 10).await;
    stores.issue(&campaign, &users(1, 3)).await;
    let mut nowhere = stores.config.clone();
    nowhere.kafka.brokers = "127.0.0.1:1".into();
    nowhere.kafka.delivery_timeout_ms = 1_000;
    let producer = Arc::new(Producer::new(&nowhere.kafka).unwrap());
    let cut_off = Relay::new(stores.redis.clone(), producer, &nowhere);
    // Longer than the lease, which is kept meanwhile.
    assert!(matches!(cut_off.drain_once(&campaign).await, Drained::Failed(_)));
    assert_eq!(stores.field(&campaign, "outbox_facts").await, "4");
    let relay = stores.relay();
    assert!(matches!(relay.drain_once(&campaign).await, Drained::HeldByAnother));
    eventually("the lease has ended", async || matches!(relay.drain_once(&campaign).await, Drained::Facts(4))).await;
    assert_eq!(stores.field(&campaign, "outbox_facts").await, "0");
}

/// Adds an entry to a campaign's outbox, as though a script had written it.
async fn add_entry(stores: &Stores, campaign: &CampaignId, fields: &[(&str, &[u8])]) {
    static ADD: Script<2> = Script::new(
        "add",
        "--\n-- KEYS[1]\n-- KEYS[2]\nredis.call('HINCRBY', KEYS[2], 'outbox_facts', ARGV[1])\nreturn redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2))",
    );
    let keys = stores.redis.keys().of(campaign);
    let mut args: Vec<Value> = vec!["2".into()];
    args.extend(fields.iter().flat_map(|(name, value)| [Value::from(*name), Value::Bytes(value.to_vec().into())]));
    stores.redis.call(&ADD, campaign, [keys.outbox(), keys.campaign()], args).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_of_an_entry_is_a_dead_letter_and_stops_nobody() {
    let stores = Stores::with(|config| config.dead_letters.retries_max = 0).await;
    let campaign = stores.put("broken", 10).await;
    stores.issue(&campaign, &users(1, 2)).await;
    let line = |fact_no: u64, kind: &str| {
        format!("{fact_no}\u{1f}{kind}\u{1f}-1\u{1f}{0}\u{1f}1\u{1f}u{0}\u{1f}a{0}", fact_no - 1)
    };
    let mixed = format!("{}\u{1e}{}", line(4, "claimed"), line(5, "bewitched"));
    let head: [(&str, &[u8]); 4] = [("v", b"1"), ("g", b"1"), ("at", b"1700000000000"), ("n", b"2")];
    add_entry(&stores, &campaign, &[&head[..], &[("f", mixed.as_bytes())]].concat()).await;
    add_entry(&stores, &campaign, &[("v", b"2"), ("n", b"2"), ("f", b"of a newer program")]).await;
    add_entry(&stores, &campaign, &[("nothing", b"\xff\x00")]).await;
    stores.issue(&campaign, &users(3, 3)).await;

    // The auditor bears them, too.
    assert!(stores.auditor().audit(&campaign).await.is_ok());
    let relay = stores.relay();
    // Whoever dies after publishing leaves them to be published again.
    let Head::Published(_) = relay.publish_head(&campaign).await.unwrap() else { panic!("nothing published") };
    while let Drained::Facts(_) = relay.drain_once(&campaign).await {}
    assert_eq!(stores.field(&campaign, "outbox_facts").await, "0");
    let topic = stores.config.kafka.facts_topic.clone();
    // Created, three claims and the one line of the mixed entry; twice.
    assert_eq!(topic::read_from(&stores, &topic, 10).await.len(), 10);

    stores.copy_letters(3).await;
    let letters: Vec<(String, String, String, Vec<u8>)> =
        sqlx::query_as("SELECT campaign_id, reason, topic, record FROM dead_letters ORDER BY position")
            .fetch_all(&stores.database)
            .await
            .unwrap();
    assert_eq!(letters.len(), 3, "each once: {letters:?}");
    let outbox = stores.redis.keys().of(&campaign).outbox();
    for (id, _, origin, record) in &letters {
        let record: serde_json::Value = serde_json::from_slice(record).unwrap();
        assert_eq!((id.as_str(), &record["campaign"]), ("broken", &"broken".into()));
        assert_eq!(*origin, format!("{outbox} {}", record["outbox_entry"].as_str().unwrap()));
    }
    assert!(letters[0].1.contains("bewitched") && letters[1].1.contains("version 2"), "{letters:?}");
    assert!(letters[2].3.windows(4).any(|bytes| bytes == b"/wA="), "the bytes are kept: {letters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_read_of_an_entry_becomes_rows_when_it_is_sent_back_to_who_can() {
    let stores = Stores::with(|config| config.dead_letters.retries_max = 0).await;
    let lines = "2\u{1f}claimed\u{1f}-1\u{1f}1\u{1f}1\u{1f}u1\u{1f}a1\u{1e}3\u{1f}claimed\u{1f}-1\u{1f}2\u{1f}1\u{1f}u2\u{1f}a2";
    // As an older relay has set it aside, to which `claimed` was new.
    let letter = serde_json::json!({"campaign": "mended", "outbox_entry": "1-1",
        "fields": [["v", "1"], ["g", "1"], ["at", "1700000000000"], ["n", "2"], ["f", lines]]});
    topic::put(&stores, 0, letter.to_string().as_bytes()).await;
    assert_eq!(write_all(&stores, 1).await, 1);
    assert_eq!(stores.count("SELECT count(*) FROM claims WHERE campaign_id = 'mended'").await, 2);
    assert_eq!(stores.count("SELECT count(*) FROM stock_history").await, 2);
}

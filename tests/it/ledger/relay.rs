//! From the outbox to Kafka.

use std::collections::HashMap;
use std::sync::Arc;

use onrush::facts::Fact;
use onrush::kafka::Producer;
use onrush::ledger::{Drained, Head, Relay};
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
    let running = tokio::spawn(stores.relay().run(shutdown.clone()));
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

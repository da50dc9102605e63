//! The topic as it is, past our own producer and consumer.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message};

use super::stores::{PATIENCE, Stores};

fn client(stores: &Stores) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &stores.config.kafka.brokers);
    client
}

/// Puts any bytes into a partition.
pub(crate) async fn put(stores: &Stores, partition: i32, value: &[u8]) {
    let producer: FutureProducer = client(stores).create().unwrap();
    let record = FutureRecord::to(&stores.config.kafka.facts_topic).partition(partition).key("key").payload(value);
    producer.send(record, Duration::from_secs(10)).await.unwrap();
}

/// Reads so many records of all partitions of the topic of facts: partition and value.
pub(crate) async fn read(stores: &Stores, count: usize) -> Vec<(i32, Vec<u8>)> {
    let records = read_from(stores, &stores.config.kafka.facts_topic, count).await;
    records.into_iter().map(|(partition, _, value)| (partition, value)).collect()
}

/// The same of any topic, and with keys.
pub(crate) async fn read_from(stores: &Stores, topic: &str, count: usize) -> Vec<(i32, String, Vec<u8>)> {
    let mut config = client(stores);
    config.set("group.id", format!("{topic}-test-{}", super::names::unique("r"))).set("auto.offset.reset", "earliest");
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.subscribe(&[&topic]).unwrap();
        let (mut found, mut last_at) = (Vec::new(), Instant::now());
        // Somewhat longer than for what is expected: there must not be more.
        while last_at.elapsed() < if found.len() < count { PATIENCE } else { Duration::from_millis(300) } {
            if let Some(message) = consumer.poll(Duration::from_millis(50)) {
                let message = message.unwrap();
                let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
                found.push((message.partition(), key, message.payload().unwrap_or_default().to_vec()));
                last_at = Instant::now();
            }
        }
        found
    })
    .await
    .unwrap()
}

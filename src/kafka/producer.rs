//! From facts to acknowledged records.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use super::{KafkaError, client};
use crate::config;
use crate::facts::Fact;

/// Records that wait for their acknowledgement, of all campaigns together; who has more waits.
const QUEUE_RECORDS_MAX: usize = 100_000;
const QUEUE_KIB_MAX: usize = 65_536;

/// Publishes facts and dead letters. One for the whole node: campaigns share its connections and its bounded queue.
pub struct Producer {
    topic: String,
    settings: rdkafka::ClientConfig,
    // Replaced after a fatal error: an idempotent producer that lost its place does nothing any more.
    current: Mutex<FutureProducer>,
}

/// A record to be published.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    /// What puts it into a partition; empty: any.
    pub key: Vec<u8>,
    /// What it says.
    pub value: Vec<u8>,
    /// What is said about it, by name.
    pub headers: Vec<(&'static str, Vec<u8>)>,
}

/// How far a list of records came.
#[derive(Debug)]
pub struct Published {
    /// So many records from the list's head have been acknowledged. Later ones may have been, too.
    pub acknowledged: usize,
    /// Why it is not the whole list.
    pub failure: Option<KafkaError>,
}

impl Producer {
    /// Prepares connections without waiting for one.
    pub fn new(config: &config::Kafka) -> Result<Self, KafkaError> {
        let mut settings = client(config);
        settings
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("compression.type", "lz4")
            .set("message.timeout.ms", config.delivery_timeout_ms.to_string())
            .set("queue.buffering.max.messages", QUEUE_RECORDS_MAX.to_string())
            .set("queue.buffering.max.kbytes", QUEUE_KIB_MAX.to_string())
            // The relay hands over whole batches: there is little to gain from waiting for more.
            .set("linger.ms", "2");
        let current = Mutex::new(settings.create()?);
        Ok(Self { topic: config.facts_topic.clone(), settings, current })
    }

    /// Whether the brokers name a leader of the topic of facts, or say that it is not made yet, within this time.
    pub async fn answers(&self, within: Duration) -> bool {
        let producer = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let topic = self.topic.clone();
        let asking = tokio::task::spawn_blocking(move || {
            let metadata = producer.client().fetch_metadata(Some(&topic), within).ok()?;
            let leaders = metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions);
            Some(leaders.into_iter().all(|partition| partition.leader() >= 0))
        });
        asking.await.ok().flatten().unwrap_or(false)
    }

    /// Publishes facts in their order and waits until each is acknowledged or has failed, so that nothing of an earlier
    /// call is under way when the next begins.
    pub async fn publish(&self, facts: &[Fact]) -> Published {
        let record =
            |fact: &Fact| Outgoing { key: fact.key().into_bytes(), value: fact.to_json(), headers: Vec::new() };
        let records: Vec<Outgoing> = facts.iter().map(record).collect();
        self.publish_records(&self.topic, &records).await
    }

    /// The same, of any records, to this topic.
    pub async fn publish_records(&self, topic: &str, records: &[Outgoing]) -> Published {
        let producer = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut progress = Progress::default();
        for record in records {
            if !enqueue(&producer, topic, record, &mut progress).await {
                break;
            }
        }
        while progress.settle_oldest().await {}
        if progress.failure.is_some() {
            self.replace_if_broken(&producer);
        }
        Published { acknowledged: progress.acknowledged, failure: progress.failure.map(KafkaError::Client) }
    }

    fn replace_if_broken(&self, producer: &FutureProducer) {
        let Some((code, reason)) = producer.client().fatal_error() else { return };
        tracing::error!(%code, reason, "the Kafka producer cannot go on: replacing it");
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // Another campaign's task may have been here first.
        if current.client().native_ptr() == producer.client().native_ptr() {
            match self.settings.create() {
                Ok(fresh) => *current = fresh,
                Err(error) => tracing::error!(%error, "a new Kafka producer could not be made; trying again"),
            }
        }
    }
}

/// Answers whether it is worth going on.
async fn enqueue(producer: &FutureProducer, topic: &str, record: &Outgoing, progress: &mut Progress) -> bool {
    while progress.failure.is_none() {
        match producer.send_result(prepare(topic, record)) {
            Ok(delivery) => {
                progress.waiting.push_back(delivery);
                return true;
            }
            Err((ClientError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                if !progress.settle_oldest().await {
                    // The queue is full of other campaigns' facts.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            Err((error, _)) => progress.fail(error),
        }
    }
    false
}

fn prepare<'a>(topic: &'a str, record: &'a Outgoing) -> FutureRecord<'a, [u8], [u8]> {
    let prepared = FutureRecord::to(topic).payload(record.value.as_slice());
    let prepared = if record.key.is_empty() { prepared } else { prepared.key(record.key.as_slice()) };
    if record.headers.is_empty() {
        return prepared;
    }
    let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(value.as_slice()) })
    });
    prepared.headers(headers)
}

/// One call's records, oldest first.
#[derive(Default)]
struct Progress {
    waiting: VecDeque<DeliveryFuture>,
    acknowledged: usize,
    failure: Option<ClientError>,
}

impl Progress {
    /// Awaits the oldest record; `false` if there is none.
    async fn settle_oldest(&mut self) -> bool {
        let Some(delivery) = self.waiting.pop_front() else { return false };
        match delivery.await {
            Ok(Ok(_)) if self.failure.is_none() => self.acknowledged += 1,
            Ok(Ok(_)) => {}
            Ok(Err((error, _))) => self.fail(error),
            Err(_) => self.fail(ClientError::Canceled),
        }
        true
    }

    fn fail(&mut self, error: ClientError) {
        self.failure.get_or_insert(error);
    }
}

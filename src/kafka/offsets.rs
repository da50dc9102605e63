//! How far is a group, the ledger's writers above all? Asked from outside, without joining it.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::{KafkaError, client};
use crate::config;

/// How often, and after which pause, a question is asked again that failed.
const TRIES_MAX: u32 = 5;
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// Asks for the offsets of a topic and a group.
pub struct Offsets {
    inner: Arc<Inner>,
}

struct Inner {
    consumer: BaseConsumer,
    topic: String,
    timeout: Duration,
}

/// Where each partition ended at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    partitions: Vec<Partition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Partition {
    number: i32,
    // The oldest record that is kept: where a group that has committed nothing stands.
    low: i64,
    end: i64,
}

impl Offsets {
    /// Those of the ledger's writers. Prepares connections without waiting for one.
    pub fn new(config: &config::Kafka) -> Result<Self, KafkaError> {
        Self::of(config, &config.facts_topic, &config.ledger_group)
    }

    /// Those of any group.
    pub fn of(config: &config::Kafka, topic: &str, group: &str) -> Result<Self, KafkaError> {
        let consumer = client(config).set("group.id", group).set("enable.auto.commit", "false").create()?;
        let timeout = Duration::from_millis(config.request_timeout_ms);
        Ok(Self { inner: Arc::new(Inner { consumer, topic: topic.to_owned(), timeout }) })
    }

    /// Where the partitions end now. A topic that is not there yet has none: nothing was ever published. While it is
    /// being made, or its leaders change, brokers answer with errors that pass: those are asked again.
    pub async fn ends(&self) -> Result<Ends, KafkaError> {
        for _ in 1..TRIES_MAX {
            match self.blocking(Inner::ends).await {
                Err(error) => tracing::debug!(%error, "asking for the topic's ends again"),
                answered => return answered,
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
        self.blocking(Inner::ends).await
    }

    /// How many records of those before the ends the group has not dealt with yet.
    pub async fn lag(&self, ends: &Ends) -> Result<u64, KafkaError> {
        let ends = ends.clone();
        self.blocking(move |inner| inner.lag(&ends)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Inner) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, KafkaError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || ask(&inner))
            .await
            .unwrap_or(Err(KafkaError::Client(rdkafka::error::KafkaError::Canceled)))
    }
}

impl Inner {
    fn ends(&self) -> Result<Ends, KafkaError> {
        let numbers = match partition_numbers(&self.consumer, &self.topic, self.timeout) {
            Err(KafkaError::NoTopic(_)) => Vec::new(),
            numbers => numbers?,
        };
        let partitions = numbers
            .into_iter()
            .map(|number| {
                let (low, end) = self.consumer.fetch_watermarks(&self.topic, number, self.timeout)?;
                Ok(Partition { number, low, end })
            })
            .collect::<Result<_, rdkafka::error::KafkaError>>()?;
        Ok(Ends { partitions })
    }

    fn lag(&self, ends: &Ends) -> Result<u64, KafkaError> {
        let mut asked = TopicPartitionList::with_capacity(ends.partitions.len());
        for partition in &ends.partitions {
            asked.add_partition(&self.topic, partition.number);
        }
        let committed = self.consumer.committed_offsets(asked, self.timeout)?;
        let mut lag = 0;
        for partition in &ends.partitions {
            let found = committed.find_partition(&self.topic, partition.number);
            let at = match found.map(|element| element.error().map(|()| element.offset())).transpose()? {
                Some(Offset::Offset(offset)) => offset.max(partition.low),
                _ => partition.low,
            };
            lag += u64::try_from(partition.end - at).unwrap_or(0);
        }
        Ok(lag)
    }
}

/// The partitions that a topic has now.
pub(super) fn partition_numbers<C: rdkafka::consumer::ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    timeout: Duration,
) -> Result<Vec<i32>, KafkaError> {
    let wrong = |reason: String| KafkaError::Topic { topic: topic.to_owned(), reason };
    let metadata = consumer.fetch_metadata(Some(topic), timeout)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let found = found.ok_or_else(|| wrong("the brokers do not know it".into()))?;
    if let Some(error) = found.error() {
        if RDKafkaErrorCode::from(error) == RDKafkaErrorCode::UnknownTopicOrPartition {
            return Err(KafkaError::NoTopic(topic.to_owned()));
        }
        return Err(wrong(RDKafkaErrorCode::from(error).to_string()));
    }
    if found.partitions().is_empty() {
        return Err(wrong("it has no partitions yet".into()));
    }
    Ok(found.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect())
}

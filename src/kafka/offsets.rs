//! How far is a group, the ledger's writers above all? Asked from outside, without joining it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::{KafkaError, client};
use crate::config;

/// How often, and after which pause, a question is asked again that failed.
const TRIES_MAX: u32 = 5;
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// How long the oldest records of a topic may take to come.
const OLDEST_MAX: Duration = Duration::from_secs(1);

/// Asks for the offsets of a topic and a group.
pub struct Offsets {
    inner: Arc<Inner>,
}

struct Inner {
    consumer: BaseConsumer,
    topic: String,
    timeout: Duration,
    /// Who reads a record has the consumer for itself.
    reading: Mutex<()>,
}

/// What a group has not dealt with yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Records.
    pub records: u64,
    /// When the oldest of them was made, in ms since 1970, by its producer's clock.
    pub oldest_at: Option<i64>,
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
        Ok(Self { inner: Arc::new(Inner { consumer, topic: topic.to_owned(), timeout, reading: Mutex::default() }) })
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

    /// How much the group has not dealt with, and for how long. Fails where the last such question has no answer yet.
    pub async fn backlog(&self) -> Result<Backlog, KafkaError> {
        self.blocking(Inner::backlog).await
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
        Ok(self.behind(ends)?.iter().map(|(_, _, records)| records).sum())
    }

    fn backlog(&self) -> Result<Backlog, KafkaError> {
        let wrong = |reason: &str| KafkaError::Topic { topic: self.topic.clone(), reason: reason.to_owned() };
        let _reading = self.reading.try_lock().map_err(|_| wrong("it was asked before, and has not answered yet"))?;
        let behind = self.behind(&self.ends()?)?;
        let records = behind.iter().map(|(_, _, records)| records).sum();
        if behind.is_empty() {
            return Ok(Backlog { records, oldest_at: None });
        }
        let mut first = TopicPartitionList::with_capacity(behind.len());
        for (number, at, _) in &behind {
            first.add_partition_offset(&self.topic, *number, Offset::Offset(*at))?;
        }
        self.consumer.assign(&first)?;
        let oldest = self.oldest_of(behind.len());
        self.consumer.unassign()?;
        let oldest_at = Some(oldest?.ok_or_else(|| wrong("its oldest records could not be read in time"))?);
        Ok(Backlog { records, oldest_at })
    }

    /// The time of the oldest of the first records of so many assigned partitions, of those that come in time.
    fn oldest_of(&self, partitions: usize) -> Result<Option<i64>, KafkaError> {
        let until = Instant::now() + OLDEST_MAX;
        let mut seen: BTreeMap<i32, i64> = BTreeMap::new();
        while seen.len() < partitions {
            let left = until.saturating_duration_since(Instant::now());
            let Some(record) = self.consumer.poll(left) else { break };
            let record = record?;
            if let Some(made) = record.timestamp().to_millis() {
                seen.entry(record.partition()).or_insert(made);
            }
        }
        Ok(seen.values().copied().min())
    }

    /// Partitions in which the group is behind: where it stands, and by how many records.
    fn behind(&self, ends: &Ends) -> Result<Vec<(i32, i64, u64)>, KafkaError> {
        let mut asked = TopicPartitionList::with_capacity(ends.partitions.len());
        for partition in &ends.partitions {
            asked.add_partition(&self.topic, partition.number);
        }
        let committed = self.consumer.committed_offsets(asked, self.timeout)?;
        let mut behind = Vec::new();
        for partition in &ends.partitions {
            let found = committed.find_partition(&self.topic, partition.number);
            let at = match found.map(|element| element.error().map(|()| element.offset())).transpose()? {
                Some(Offset::Offset(offset)) => offset.max(partition.low),
                _ => partition.low,
            };
            if let Ok(records @ 1..) = u64::try_from(partition.end - at) {
                behind.push((partition.number, at, records));
            }
        }
        Ok(behind)
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

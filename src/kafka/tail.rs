//! What lies in topics beyond where their groups have committed? Read from outside, without joining a group.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::offsets::partition_numbers;
use super::{KafkaError, client};
use crate::config;

/// How long one poll waits.
const POLL: Duration = Duration::from_millis(100);

/// A topic, and the group that reads it.
type Read = (String, String);

/// Hands every record to `each` that lies between what the groups have committed and where their topics end now. Answers how
/// many that were. A topic that is not there has none. Fails where Kafka gives nothing for a request's time.
///
/// Records may go from one of the topics to the other and back, each time committed here only after they are there. So what all
/// groups have committed is asked first, and only then where the topics end: whichever way a record went, it is read.
pub async fn read_tails(
    config: &config::Kafka,
    reads: Vec<Read>,
    mut each: impl FnMut(&[u8]) + Send + 'static,
) -> Result<u64, KafkaError> {
    let config = config.clone();
    let read = move || {
        let tails: Vec<Tail> = reads.iter().map(|read| Tail::begin(&config, read)).collect::<Result<_, _>>()?;
        let mut count = 0;
        for tail in tails {
            count += tail.read(&mut each)?;
        }
        Ok(count)
    };
    tokio::task::spawn_blocking(read).await.unwrap_or(Err(KafkaError::Client(rdkafka::error::KafkaError::Canceled)))
}

/// Where one topic is read from.
struct Tail {
    consumer: BaseConsumer,
    topic: String,
    timeout: Duration,
    /// What the group has committed, by partition; nothing where it has committed nothing.
    committed: BTreeMap<i32, Option<i64>>,
}

impl Tail {
    fn begin(config: &config::Kafka, (topic, group): &Read) -> Result<Self, KafkaError> {
        let timeout = Duration::from_millis(config.request_timeout_ms);
        let consumer: BaseConsumer = client(config)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "10")
            .create()?;
        let numbers = match partition_numbers(&consumer, topic, timeout) {
            Err(KafkaError::NoTopic(_)) => Vec::new(),
            numbers => numbers?,
        };
        let mut asked = TopicPartitionList::with_capacity(numbers.len());
        for number in &numbers {
            asked.add_partition(topic, *number);
        }
        let found = if numbers.is_empty() { asked } else { consumer.committed_offsets(asked, timeout)? };
        let mut committed = BTreeMap::new();
        for number in numbers {
            let found = found.find_partition(topic, number);
            let at = match found.map(|found| found.error().map(|()| found.offset())).transpose()? {
                Some(Offset::Offset(offset)) => Some(offset),
                _ => None,
            };
            committed.insert(number, at);
        }
        Ok(Self { consumer, topic: topic.clone(), timeout, committed })
    }

    fn read(self, each: &mut impl FnMut(&[u8])) -> Result<u64, KafkaError> {
        let Self { consumer, topic, timeout, committed } = self;
        let (mut assigned, mut open) = (TopicPartitionList::new(), BTreeMap::new());
        for (number, at) in committed {
            let (low, end) = consumer.fetch_watermarks(&topic, number, timeout)?;
            let from = at.map_or(low, |at| at.max(low));
            if from < end {
                assigned.add_partition_offset(&topic, number, Offset::Offset(from))?;
                open.insert(number, end);
            }
        }
        consumer.assign(&assigned)?;
        let (mut count, mut heard) = (0, Instant::now());
        while !open.is_empty() {
            let Some(record) = consumer.poll(POLL) else {
                if heard.elapsed() > timeout {
                    let reason = "its tail is not given within a request's time".to_owned();
                    return Err(KafkaError::Topic { topic, reason });
                }
                continue;
            };
            let record = record?;
            heard = Instant::now();
            let Some(end) = open.get(&record.partition()).copied() else { continue };
            if record.offset() < end {
                each(record.payload().unwrap_or_default());
                count += 1;
            }
            if record.offset() + 1 >= end {
                open.remove(&record.partition());
            }
        }
        Ok(count)
    }
}

//! What lies in a topic beyond where a group has committed? Read from outside, without joining the group.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::offsets::partition_numbers;
use super::{KafkaError, client};
use crate::config;

/// How long one poll waits.
const POLL: Duration = Duration::from_millis(100);

/// Hands every record to `each` that lies between what the group has committed and where the topic ends now. Answers how
/// many that were. A topic that is not there has none. Fails where Kafka gives nothing for a request's time.
pub async fn read_tail(
    config: &config::Kafka,
    topic: &str,
    group: &str,
    each: impl FnMut(&[u8]) + Send + 'static,
) -> Result<u64, KafkaError> {
    let (config, topic, group) = (config.clone(), topic.to_owned(), group.to_owned());
    tokio::task::spawn_blocking(move || read(&config, &topic, &group, each))
        .await
        .unwrap_or(Err(KafkaError::Client(rdkafka::error::KafkaError::Canceled)))
}

fn read(config: &config::Kafka, topic: &str, group: &str, mut each: impl FnMut(&[u8])) -> Result<u64, KafkaError> {
    let timeout = Duration::from_millis(config.request_timeout_ms);
    let consumer: BaseConsumer = client(config)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "10")
        .create()?;
    let numbers = match partition_numbers(&consumer, topic, timeout) {
        Err(KafkaError::NoTopic(_)) => return Ok(0),
        numbers => numbers?,
    };
    // The ends first: what is committed afterwards is beyond no end that counts.
    let mut ends = BTreeMap::new();
    let mut asked = TopicPartitionList::with_capacity(numbers.len());
    for number in numbers {
        ends.insert(number, consumer.fetch_watermarks(topic, number, timeout)?);
        asked.add_partition(topic, number);
    }
    let committed = consumer.committed_offsets(asked, timeout)?;
    let mut assigned = TopicPartitionList::new();
    let mut open = BTreeMap::new();
    for (number, (low, end)) in ends {
        let found = committed.find_partition(topic, number);
        let from = match found.map(|found| found.error().map(|()| found.offset())).transpose()? {
            Some(Offset::Offset(offset)) => offset.max(low),
            _ => low,
        };
        if from < end {
            assigned.add_partition_offset(topic, number, Offset::Offset(from))?;
            open.insert(number, end);
        }
    }
    consumer.assign(&assigned)?;
    let (mut count, mut heard) = (0, Instant::now());
    while !open.is_empty() {
        let Some(record) = consumer.poll(POLL) else {
            if heard.elapsed() > timeout {
                let reason = "its tail is not given within a request's time".to_owned();
                return Err(KafkaError::Topic { topic: topic.to_owned(), reason });
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

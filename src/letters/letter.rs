//! Records that cannot be dealt with, on their way to the topic of dead letters and out of it.

use serde::Deserialize;

use crate::kafka::{Outgoing, Producer, Record};

const REASON: &str = "onrush-reason";
const ATTEMPTS: &str = "onrush-attempts";
const TOPIC: &str = "onrush-topic";
const PARTITION: &str = "onrush-partition";
const OFFSET: &str = "onrush-offset";
const LANE: &str = "onrush-lane";

/// A record that cannot be dealt with.
#[derive(Debug)]
pub struct Refused {
    /// Its place in the list.
    pub place: usize,
    /// Why.
    pub reason: String,
}

/// Publishes these records of `from` to `to`, a topic of dead letters. Answers how many of them, from the first on, Kafka
/// has acknowledged.
pub async fn set_aside(
    producer: &Producer,
    (from, to): (&str, &str),
    lane: Option<&'static str>,
    records: &[Record],
    letters: &[Refused],
) -> usize {
    if letters.is_empty() {
        return 0;
    }
    let outgoing = letters.iter().map(|letter| {
        let record = &records[letter.place];
        Headers::of(from, record, lane, &letter.reason).outgoing(record.key.clone(), record.value.clone())
    });
    let published = producer.publish_records(to, &outgoing.collect::<Vec<_>>()).await;
    for Refused { place, reason } in &letters[..published.acknowledged] {
        let Record { partition, offset, tries, .. } = &records[*place];
        tracing::error!(topic = from, lane, partition, offset, attempts = tries + 1, reason, "a record is set aside");
    }
    if let Some(error) = published.failure {
        tracing::warn!(%error, topic = from, "setting records aside; they are held back until Kafka has them");
    }
    published.acknowledged
}

/// What the headers of a dead letter say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// Why it could not be dealt with.
    pub reason: String,
    /// How often that was tried.
    pub attempts: i32,
    /// The topic that it was in.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Who could not deal with it; `None`: the ledger.
    pub lane: Option<String>,
}

impl Headers {
    fn of(topic: &str, record: &Record, lane: Option<&str>, reason: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            attempts: i32::try_from(record.tries).unwrap_or(i32::MAX).saturating_add(1),
            topic: topic.to_owned(),
            partition: record.partition,
            offset: record.offset,
            lane: lane.map(str::to_owned),
        }
    }

    /// A record without them was put into the topic by somebody else: it is its own origin.
    #[must_use]
    pub fn read(dead_letters_topic: &str, record: &Record) -> Self {
        let text = |name: &str| {
            let found = record.headers.iter().find(|(known, _)| known == name);
            // A text in the database has no U+0000, and the reason may quote what is wrong.
            found.map(|(_, value)| String::from_utf8_lossy(value).replace('\0', "\u{fffd}"))
        };
        let ours = || {
            Some(Self {
                reason: text(REASON)?,
                attempts: text(ATTEMPTS)?.parse().ok()?,
                topic: text(TOPIC)?,
                partition: text(PARTITION)?.parse().ok()?,
                offset: text(OFFSET)?.parse().ok()?,
                lane: text(LANE),
            })
        };
        ours().unwrap_or_else(|| Self {
            reason: "put into the topic of dead letters by another program".into(),
            attempts: 0,
            topic: dead_letters_topic.to_owned(),
            partition: record.partition,
            offset: record.offset,
            lane: None,
        })
    }

    /// The dead letter with this key and this value.
    #[must_use]
    pub(super) fn outgoing(&self, key: Vec<u8>, value: Vec<u8>) -> Outgoing {
        let mut headers = vec![
            (REASON, self.reason.clone().into_bytes()),
            (ATTEMPTS, self.attempts.to_string().into()),
            (TOPIC, self.topic.clone().into_bytes()),
            (PARTITION, self.partition.to_string().into()),
            (OFFSET, self.offset.to_string().into()),
        ];
        headers.extend(self.lane.iter().map(|lane| (LANE, lane.clone().into_bytes())));
        Outgoing { key, value, headers }
    }
}

/// Records of the same key and lane are dealt with in their order: see [`crate::kafka::Parallel`].
#[must_use]
pub fn key_and_lane(record: &Record) -> Vec<u8> {
    let lane = record.headers.iter().find(|(name, _)| name == LANE).map_or(&[][..], |(_, lane)| lane);
    [lane, b"\0", &record.key].concat()
}

/// The campaign that a fact names, as far as it can be read.
pub(super) fn campaign_of(headers: &Headers, record: &Record) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        campaign: String,
    }
    if headers.lane.is_some() {
        return None;
    }
    let named: Named = serde_json::from_slice(&record.value).ok()?;
    named.campaign.parse::<crate::ids::CampaignId>().ok().map(|id| id.as_str().to_owned())
}

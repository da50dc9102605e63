//! Records that cannot be dealt with, on their way to the topic of dead letters and out of it.

use serde::Deserialize;

use crate::facts::Unreadable;
use crate::ids::CampaignId;
use crate::kafka::{KafkaError, Outgoing, Producer, Record};

const REASON: &str = "onrush-reason";
const ATTEMPTS: &str = "onrush-attempts";
const TOPIC: &str = "onrush-topic";
const PARTITION: &str = "onrush-partition";
const OFFSET: &str = "onrush-offset";
const LANE: &str = "onrush-lane";
/// How often it was tried again after it had become a dead letter.
const DEAD_TRIES: &str = "onrush-dead-tries";

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
        tracing::error!(
            topic = from,
            lane,
            partition,
            offset,
            attempts = tries + 1,
            reason,
            "a record is set aside as a dead letter"
        );
    }
    if let Some(error) = published.failure {
        tracing::warn!(%error, topic = from, "dead letters could not be published; their records are held back until Kafka has them");
    }
    published.acknowledged
}

/// What cannot be read of an outbox entry.
#[derive(Debug, Clone, Copy)]
pub struct FromOutbox<'a> {
    /// The entry's id.
    pub entry: &'a str,
    /// Its place among what cannot be read of the entry.
    pub place: usize,
    /// What and why.
    pub unreadable: &'a Unreadable,
}

/// Publishes what cannot be read of this outbox (`from`, its key) to `to`, the ledger's topic of dead letters. All of it is
/// there afterwards, or it fails. The dead letter's origin names the outbox and the entry, and its record has all that was there.
pub async fn set_unreadable_aside(
    producer: &Producer,
    (from, to): (&str, &str),
    campaign: &CampaignId,
    letters: &[FromOutbox<'_>],
) -> Result<(), KafkaError> {
    let outgoing = letters.iter().map(|FromOutbox { entry, place, unreadable }| {
        let headers = Headers {
            reason: unreadable.reason.clone(),
            attempts: 1,
            topic: format!("{from} {entry}"),
            partition: 0,
            offset: i64::try_from(*place).unwrap_or(i64::MAX),
            lane: None,
            dead_tries: 0,
        };
        headers.outgoing(format!("{campaign}:").into_bytes(), unreadable.value.clone())
    });
    if let Some(error) = producer.publish_records(to, &outgoing.collect::<Vec<_>>()).await.failure {
        return Err(error);
    }
    for FromOutbox { entry, unreadable, .. } in letters {
        let reason = &unreadable.reason;
        tracing::error!(%campaign, entry, reason, "a part of an outbox entry cannot be read: it is set aside");
    }
    Ok(())
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
    /// How often it was tried again since it became a dead letter.
    pub dead_tries: u32,
}

impl Headers {
    /// Of a record that is set aside. One that was a dead letter before goes on being that dead letter.
    fn of(topic: &str, record: &Record, lane: Option<&str>, reason: &str) -> Self {
        if let Some(before) = Self::of_retried(record) {
            let tries = i32::try_from(record.tries).unwrap_or(i32::MAX).saturating_add(1);
            let attempts = before.attempts.saturating_add(tries);
            return Self { reason: reason.to_owned(), attempts, lane: lane.map(str::to_owned), ..before };
        }
        Self {
            reason: reason.to_owned(),
            attempts: i32::try_from(record.tries).unwrap_or(i32::MAX).saturating_add(1),
            topic: topic.to_owned(),
            partition: record.partition,
            offset: record.offset,
            lane: lane.map(str::to_owned),
            dead_tries: 0,
        }
    }

    /// Of a fact that is tried again since it became a dead letter: what it was then.
    fn of_retried(record: &Record) -> Option<Self> {
        Self::ours(record).filter(|headers| headers.dead_tries > 0 && headers.lane.is_none())
    }

    /// A record without them was put into the topic by somebody else: it is its own origin.
    #[must_use]
    pub fn read(dead_letters_topic: &str, record: &Record) -> Self {
        Self::ours(record).unwrap_or_else(|| Self {
            reason: "put into the topic of dead letters by another program".into(),
            attempts: 0,
            dead_tries: 0,
            topic: dead_letters_topic.to_owned(),
            partition: record.partition,
            offset: record.offset,
            lane: None,
        })
    }

    /// `None`: another program has put the record there.
    pub(super) fn ours(record: &Record) -> Option<Self> {
        let text = |name: &str| {
            let found = record.headers.iter().find(|(known, _)| known == name);
            // A text in the database has no U+0000, and the reason may quote what is wrong.
            found.map(|(_, value)| String::from_utf8_lossy(value).replace('\0', "\u{fffd}"))
        };
        Some(Self {
            reason: text(REASON)?,
            attempts: text(ATTEMPTS)?.parse().ok()?,
            topic: text(TOPIC)?,
            partition: text(PARTITION)?.parse().ok()?,
            offset: text(OFFSET)?.parse().ok()?,
            lane: text(LANE),
            dead_tries: text(DEAD_TRIES).and_then(|tries| tries.parse().ok()).unwrap_or(0),
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
        if self.dead_tries > 0 {
            headers.push((DEAD_TRIES, self.dead_tries.to_string().into()));
        }
        Outgoing { key, value, headers }
    }
}

/// Whether a fact was a dead letter before, and is tried once more: where it fails it is one again at once.
#[must_use]
pub fn is_retried(record: &Record) -> bool {
    record.headers.iter().any(|(name, _)| name == DEAD_TRIES)
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

//! Records that cannot become rows, on their way to the topic of dead letters and out of it.

use serde::Deserialize;

use crate::kafka::{Outgoing, Producer, Record};

const REASON: &str = "onrush-reason";
const ATTEMPTS: &str = "onrush-attempts";
const TOPIC: &str = "onrush-topic";
const PARTITION: &str = "onrush-partition";
const OFFSET: &str = "onrush-offset";

/// A record of the topic of facts, and why it cannot become rows.
pub(super) struct Refused {
    /// Its place in the batch.
    pub(super) place: usize,
    pub(super) reason: String,
}

/// Publishes these to the topic of dead letters. Answers how many of them, from the first on, Kafka has acknowledged.
pub(super) async fn set_aside(
    producer: &Producer,
    (from, to): (&str, &str),
    records: &[Record],
    letters: &[Refused],
) -> usize {
    if letters.is_empty() {
        return 0;
    }
    let outgoing: Vec<Outgoing> =
        letters.iter().map(|letter| outgoing(from, &records[letter.place], &letter.reason)).collect();
    let published = producer.publish_records(to, &outgoing).await;
    for Refused { place, reason } in &letters[..published.acknowledged] {
        let Record { partition, offset, tries, .. } = &records[*place];
        metrics::counter!("onrush_ledger_dead_letters_total").increment(1);
        tracing::error!(topic = from, partition, offset, attempts = tries + 1, reason, "a record is set aside");
    }
    if let Some(error) = published.failure {
        tracing::warn!(%error, "setting records aside; they are held back until Kafka has them");
    }
    published.acknowledged
}

fn outgoing(topic: &str, record: &Record, reason: &str) -> Outgoing {
    let attempts = record.tries + 1;
    Outgoing {
        key: record.key.clone(),
        value: record.value.clone(),
        headers: vec![
            (REASON, reason.into()),
            (ATTEMPTS, attempts.to_string().into()),
            (TOPIC, topic.into()),
            (PARTITION, record.partition.to_string().into()),
            (OFFSET, record.offset.to_string().into()),
        ],
    }
}

/// What the headers of a record of the topic of dead letters say.
pub(super) struct Headers {
    pub(super) reason: String,
    pub(super) attempts: i32,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

impl Headers {
    /// A record without them was put into the topic by somebody else: it is its own origin.
    pub(super) fn read(dead_letters_topic: &str, record: &Record) -> Self {
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
            })
        };
        ours().unwrap_or_else(|| Self {
            reason: "put into the topic of dead letters by another program".into(),
            attempts: 0,
            topic: dead_letters_topic.to_owned(),
            partition: record.partition,
            offset: record.offset,
        })
    }
}

/// The campaign that a record names, as far as it can be read.
pub(super) fn campaign_of(record: &Record) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        campaign: String,
    }
    let named: Named = serde_json::from_slice(&record.value).ok()?;
    named.campaign.parse::<crate::ids::CampaignId>().ok().map(|id| id.as_str().to_owned())
}

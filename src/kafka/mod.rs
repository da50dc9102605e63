//! How do we reach Kafka? The only place that names its client library: the topic, producing, consuming, offsets.
//!
//! - A fact counts as published when the brokers have acknowledged it, and never before.
//! - An offset is committed when whoever took the record says that it is written, and never before.
//! - What blocks runs on a thread of its own, never on one that other tasks share.

mod consumer;
mod membership;
mod offsets;
mod parallel;
mod poller;
mod producer;
mod record;
mod shared;
mod tail;

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;
use thiserror::Error;

use crate::config;
pub use consumer::{Consumer, Taken};
pub use membership::{Assignment, Membership};
pub use offsets::{Backlog, Ends, Offsets};
pub use parallel::{Job, Parallel, Share};
pub use producer::{Outgoing, Producer, Published};
pub use record::Record;
pub use tail::read_tails;

/// What a call to Kafka can fail with. All of it is worth another try.
#[derive(Debug, Error)]
pub enum KafkaError {
    /// The client library's word.
    #[error("Kafka: {0}")]
    Client(#[from] rdkafka::error::KafkaError),
    /// There is no such topic.
    #[error("Kafka: there is no topic {0}")]
    NoTopic(String),
    /// The topic is not as it must be, or is being made.
    #[error("Kafka: topic {topic}: {reason}")]
    Topic {
        /// Its name.
        topic: String,
        /// What is wrong.
        reason: String,
    },
}

impl KafkaError {
    /// Whether Kafka refuses the record for itself: it would refuse it again, whatever one does.
    #[must_use]
    pub fn is_of_the_record(&self) -> bool {
        use rdkafka::error::KafkaError as ClientError;
        let Self::Client(ClientError::MessageProduction(code)) = self else { return false };
        matches!(
            code,
            RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidMessage
                | RDKafkaErrorCode::InvalidMessageSize
                | RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::InvalidTimestamp
        )
    }
}

/// Creates the topic of facts, unless it is there already: then it stays as it is, with as many partitions as it has.
pub async fn ensure_topic(config: &config::Kafka) -> Result<(), KafkaError> {
    ensure(config, &config.facts_topic, config.partitions).await
}

/// The same, of the topic of dead letters. They are few, so one partition keeps them in one order.
pub async fn ensure_dead_letters_topic(config: &config::Kafka) -> Result<(), KafkaError> {
    ensure(config, &config.dead_letters_topic(), 1).await
}

/// The same, of any topic.
pub async fn ensure(config: &config::Kafka, name: &str, partitions: i32) -> Result<(), KafkaError> {
    let admin: AdminClient<DefaultClientContext> = client(config).create()?;
    let timeout = Some(Duration::from_millis(config.request_timeout_ms));
    let options = AdminOptions::new().request_timeout(timeout).operation_timeout(timeout);
    let (in_sync, retention_ms) =
        (config.min_insync_replicas.to_string(), config.retention_h.saturating_mul(3_600_000).to_string());
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(config.replication))
        .set("min.insync.replicas", &in_sync)
        .set("retention.ms", &retention_ms)
        // Facts are kept by time alone: a limit of size from the broker's defaults would throw away what a rebuild needs.
        .set("retention.bytes", "-1")
        .set("cleanup.policy", "delete");
    for outcome in admin.create_topics([&topic], &options).await? {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(KafkaError::Topic { topic, reason: code.to_string() }),
        }
    }
    Ok(())
}

/// What all clients have in common.
fn client(config: &config::Kafka) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &config.brokers)
        .set("client.id", "onrush")
        // A request that has no answer by then has failed; the default of a minute would hold up a node that stops.
        .set("socket.timeout.ms", config.request_timeout_ms.to_string())
        .set("socket.keepalive.enable", "true")
        // Pauses between attempts to connect again grow up to this; the default of 10 s outlasts most restarts.
        .set("reconnect.backoff.max.ms", "1000");
    client
}

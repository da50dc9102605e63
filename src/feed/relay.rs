//! From the database to Kafka: what the transactions that change posts left in `post_outbox`.
//!
//! - One relay at a time, of all nodes: it holds an advisory lock with a session of its own, and reads and writes the outbox
//!   with that. A session that is lost loses the lock, too, and another relay goes on.
//! - In the order of ids, and only below the oldest transaction that still runs: what commits later is never before what
//!   was read. So the messages of a post keep their order, since its row is locked before its id is drawn.
//! - While Kafka or the database is away all wait; nothing is overtaken. A message that Kafka refuses for itself is set
//!   aside as `failed`, and the others go on.
//! - What was published and could not be marked is published again. Who reads it bears that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Connection, FromRow, PgConnection};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::post::PostId;
use crate::config::{self, Config};
use crate::database::Database;
use crate::kafka::{self, KafkaError, Outgoing, Producer};

/// How often what waits is counted, and what is long done is removed.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How the database looks whether the relay's node is still there: after so many seconds of silence, so often, and so many
/// times in vain.
const KEEPALIVE: [(&str, &str); 3] =
    [("tcp_keepalives_idle", "5"), ("tcp_keepalives_interval", "2"), ("tcp_keepalives_count", "3")];
/// Done messages that one statement removes.
const REMOVE_MAX: i64 = 5_000;

/// A store that is away. Worth another try.
#[derive(Debug, Error)]
pub enum PostRelayError {
    /// Kafka is away.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The database is away, or the session is lost.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

/// What a tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relayed {
    /// So many messages are published, or set aside.
    Moved(usize),
    /// Nothing waits that may be published.
    Idle,
    /// Another relay is at it.
    AnotherRelay,
}

/// How the outbox of posts stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct PostOutbox {
    /// Messages that wait.
    pub waiting: i64,
    /// How long the oldest of them has waited, in s.
    pub oldest_waiting_s: i64,
    /// Messages that were set aside.
    pub failed: i64,
    /// Posts that are not where they belong, and cannot be mended: see `reconcile`.
    pub unmended: i64,
}

impl PostOutbox {
    /// As it stands now.
    pub async fn read(database: &Database) -> Result<Self, sqlx::Error> {
        sqlx::query_as(
            "SELECT count(*) AS waiting,
                    coalesce(floor(extract(epoch FROM clock_timestamp() - min(created_at))), 0)::bigint AS oldest_waiting_s,
                    (SELECT count(*) FROM post_outbox WHERE state = 'failed') AS failed,
                    coalesce((SELECT greatest(unmended, unmended_before) FROM post_reconciliation), 0) AS unmended
             FROM post_outbox WHERE state = 'waiting'",
        )
        .fetch_one(database)
        .await
    }
}

/// Relays messages about posts. One a node, of which one is active.
pub struct PostRelay {
    database: Database,
    producer: Arc<Producer>,
    kafka: config::Kafka,
    settings: config::Feed,
    session: Option<Session>,
    topic_is_there: bool,
    look_at: Instant,
}

struct Session {
    connection: PgConnection,
    has_lock: bool,
}

#[derive(FromRow)]
struct Waiting {
    id: i64,
    post_id: i64,
    message: String,
}

impl Waiting {
    fn outgoing(&self) -> Outgoing {
        let (key, value) = (PostId(self.post_id).to_string().into_bytes(), self.message.clone().into_bytes());
        Outgoing { key, value, headers: Vec::new() }
    }
}

impl PostRelay {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(database: Database, producer: Arc<Producer>, config: &Config) -> Self {
        Self {
            database,
            producer,
            kafka: config.kafka.clone(),
            settings: config.feed.clone(),
            session: None,
            topic_is_there: false,
            look_at: Instant::now(),
        }
    }

    /// Relays until it is told to stop, and gives the lock up then.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let retry = Duration::from_millis(self.settings.relay_retry_ms);
            let pause = match self.tick().await {
                // A flood goes no faster than the lanes behind may work it off: what waits in the database costs nobody.
                Ok(Relayed::Moved(count)) => self.pace_after(count),
                Ok(Relayed::Idle) => Duration::from_millis(self.settings.relay_every_ms),
                Ok(Relayed::AnotherRelay) => retry,
                Err(error) => {
                    metrics::counter!("onrush_feed_relay_failures_total").increment(1);
                    tracing::warn!(%error, "messages about posts wait in the database");
                    retry
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.close().await;
    }

    fn pace_after(&self, count: usize) -> Duration {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Duration::from_secs(1) * count / self.settings.relay_per_second_max
    }

    /// Publishes what waits, up to `relay_batch_max` messages.
    pub async fn tick(&mut self) -> Result<Relayed, PostRelayError> {
        if Instant::now() >= self.look_at {
            self.look_at = Instant::now() + LOOK_EVERY;
            self.look().await?;
        }
        if !self.topic_is_there {
            kafka::ensure(&self.kafka, &self.settings.original_topic, self.settings.partitions).await?;
            self.topic_is_there = true;
        }
        let relayed = self.relay().await;
        if matches!(relayed, Err(PostRelayError::Database(_))) {
            // Whether it still has the lock nobody knows.
            self.session = None;
        }
        relayed
    }

    /// Gives the lock up.
    pub async fn close(mut self) {
        if let Some(session) = self.session.take()
            && let Err(error) = session.connection.close().await
        {
            tracing::debug!(%error, "closing a session");
        }
    }

    async fn relay(&mut self) -> Result<Relayed, PostRelayError> {
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(Session { connection: connect(&self.database).await?, has_lock: false }),
        };
        if !session.has_lock {
            session.has_lock = sqlx::query_scalar(
                "SELECT pg_try_advisory_lock(hashtextextended('onrush-post-relay-' || current_schema(), 0))",
            )
            .fetch_one(&mut session.connection)
            .await?;
            if !session.has_lock {
                return Ok(Relayed::AnotherRelay);
            }
            tracing::info!("this node relays messages about posts");
        }
        let waiting: Vec<Waiting> = sqlx::query_as(
            "SELECT id, post_id, message::text AS message FROM post_outbox
             WHERE state = 'waiting' AND transaction < pg_snapshot_xmin(pg_current_snapshot())
             ORDER BY id LIMIT $1",
        )
        .bind(i64::from(self.settings.relay_batch_max))
        .fetch_all(&mut session.connection)
        .await?;
        if waiting.is_empty() {
            return Ok(Relayed::Idle);
        }
        publish(&mut session.connection, &self.producer, &self.settings.original_topic, &waiting).await
    }

    /// Shows how the outbox stands, and removes what is long done.
    async fn look(&self) -> Result<(), sqlx::Error> {
        let outbox = PostOutbox::read(&self.database).await?;
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and exact up to 2^53")]
        let show = |gauge: metrics::Gauge, value: i64| gauge.set(value as f64);
        show(metrics::gauge!("onrush_feed_outbox_waiting"), outbox.waiting);
        show(metrics::gauge!("onrush_feed_outbox_oldest_seconds"), outbox.oldest_waiting_s);
        show(metrics::gauge!("onrush_feed_outbox_failed"), outbox.failed);
        show(metrics::gauge!("onrush_feed_unmended"), outbox.unmended);
        sqlx::query(
            "DELETE FROM post_outbox WHERE id IN (
                 SELECT id FROM post_outbox
                 WHERE state = 'done' AND done_at < clock_timestamp() - $1 * interval '1 millisecond'
                 ORDER BY done_at LIMIT $2 FOR UPDATE SKIP LOCKED
             )",
        )
        .bind(i64::try_from(self.settings.outbox_keep_ms).unwrap_or(i64::MAX))
        .bind(REMOVE_MAX)
        .execute(&self.database)
        .await?;
        Ok(())
    }
}

/// A session that the database takes for lost, with its lock, soon after its node was cut off: by the system's defaults
/// that takes hours.
pub(super) async fn connect(database: &Database) -> Result<PgConnection, sqlx::Error> {
    let mut connection = database.acquire().await?.detach();
    for (setting, value) in KEEPALIVE {
        sqlx::query("SELECT set_config($1, $2, false)").bind(setting).bind(value).execute(&mut connection).await?;
    }
    Ok(connection)
}

/// Publishes these in their order, as far as it comes, and marks what became of them.
async fn publish(
    session: &mut PgConnection,
    producer: &Producer,
    topic: &str,
    waiting: &[Waiting],
) -> Result<Relayed, PostRelayError> {
    let records: Vec<Outgoing> = waiting.iter().map(Waiting::outgoing).collect();
    let mut published = producer.publish_records(topic, &records).await;
    let mut moved = published.acknowledged;
    mark_done(session, &waiting[..moved]).await?;
    if published.failure.as_ref().is_some_and(KafkaError::is_of_the_record) {
        // Brokers answer for many records at once: alone it shows whether it is this one.
        published = producer.publish_records(topic, &records[moved..=moved]).await;
        mark_done(session, &waiting[moved..moved + published.acknowledged]).await?;
        moved += published.acknowledged;
    }
    match published.failure {
        None => {}
        Some(error) if error.is_of_the_record() => {
            let Waiting { id, post_id, .. } = waiting[moved];
            mark_tried(session, id, "failed", &error.to_string()).await?;
            metrics::counter!("onrush_feed_outbox_set_aside_total").increment(1);
            tracing::error!(id, post = %PostId(post_id), %error, "Kafka refuses a message about a post: it is set aside");
            moved += 1;
        }
        Some(error) => {
            mark_tried(session, waiting[moved].id, "waiting", &error.to_string()).await?;
            metrics::counter!("onrush_feed_relayed_total").increment(moved as u64);
            return Err(error.into());
        }
    }
    metrics::counter!("onrush_feed_relayed_total").increment(moved as u64);
    Ok(Relayed::Moved(moved))
}

async fn mark_done(session: &mut PgConnection, done: &[Waiting]) -> Result<(), sqlx::Error> {
    if done.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE post_outbox SET state = 'done', attempts = attempts + 1, tried_at = clock_timestamp(),
                                done_at = clock_timestamp()
         WHERE id = ANY ($1)",
    )
    .bind(done.iter().map(|waiting| waiting.id).collect::<Vec<_>>())
    .execute(session)
    .await?;
    Ok(())
}

async fn mark_tried(session: &mut PgConnection, id: i64, state: &str, error: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE post_outbox SET state = $2, attempts = attempts + 1, last_error = $3, tried_at = clock_timestamp()
         WHERE id = $1",
    )
    .bind(id)
    .bind(state)
    .bind(error)
    .execute(session)
    .await?;
    Ok(())
}

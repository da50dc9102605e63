//! The loops of a node that carries posts: one for each lane, and one for each topic of dead letters.
//!
//! - A message that fails is tried again, and those of the same post wait behind it; tried often enough it is a dead letter,
//!   and only then is it finished. There its lane tries it some times more; what still fails waits for an operator.
//! - Where one of our stores is away nothing is given up: all wait for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::lanes::{Lane, LaneContext, LaneError};
use super::pace::Bulk;
use crate::config::{self, Config};
use crate::dead_letters::{self, Headers, Refused};
use crate::kafka::{self, Job, KafkaError, Membership, Parallel, Record};

/// How often offsets are committed, and how far behind a lane is asked.
const COMMIT_EVERY: Duration = Duration::from_millis(200);
const LAG_EVERY: Duration = Duration::from_secs(2);
/// How long partitions that are taken away, and a node that stops, wait for what is in work. What takes longer is given up,
/// and begun again by another; and what cannot even be given up is not waited for.
const REVOKE_GRACE: Duration = Duration::from_secs(3);
const REVOKE_WAIT_MAX: Duration = Duration::from_secs(10);
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// How often figures are shown while nothing happens.
const SHOW_EVERY: Duration = Duration::from_secs(1);
/// A reason is as long as a line, not as a record.
const REASON_CHARACTERS_MAX: usize = 1_000;

/// What a loop role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedConsumer {
    /// A lane's topic.
    Lane(Lane),
    /// The dead letters of the topic that this lane reads, of all its lanes.
    DeadLettersOf(Lane),
}

impl FeedConsumer {
    /// All loops of a node, in the order in which they are drained: each after those that feed it.
    pub const ALL: [Self; 6] = [
        Self::Lane(Lane::Fill),
        Self::Lane(Lane::Inspect),
        Self::Lane(Lane::Deliver),
        Self::Lane(Lane::Index),
        Self::DeadLettersOf(Lane::Inspect),
        Self::DeadLettersOf(Lane::Deliver),
    ];

    /// Whether a node with these settings does it. Dead letters of a topic are tried again by whoever works on one of its
    /// lanes.
    #[must_use]
    pub fn is_chosen(self, settings: &config::Feed) -> bool {
        let has = |lane: Lane| settings.lanes.contains(&lane.setting());
        match self {
            Self::Lane(lane) => has(lane),
            Self::DeadLettersOf(Lane::Fill | Lane::Inspect) => has(Lane::Fill) || has(Lane::Inspect),
            Self::DeadLettersOf(Lane::Deliver | Lane::Index) => has(Lane::Deliver) || has(Lane::Index),
        }
    }

    /// As metrics and threads name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lane(lane) => lane.name(),
            Self::DeadLettersOf(Lane::Fill | Lane::Inspect) => "original_dead",
            Self::DeadLettersOf(Lane::Deliver | Lane::Index) => "inspected_dead",
        }
    }

    pub(super) fn topic(self, settings: &config::Feed) -> String {
        match self {
            Self::Lane(lane) => lane.topic(settings).to_owned(),
            Self::DeadLettersOf(lane) => config::Feed::dead_letters_topic(lane.topic(settings)),
        }
    }

    pub(super) fn group(self, settings: &config::Feed) -> String {
        match self {
            Self::Lane(lane) => lane.group(settings),
            Self::DeadLettersOf(_) => format!("{}-{}", settings.group, self.name()),
        }
    }

    fn bulk(self) -> Option<Bulk> {
        match self {
            Self::Lane(Lane::Deliver) => Some(Bulk::Deliver),
            Self::Lane(Lane::Index) => Some(Bulk::Index),
            Self::DeadLettersOf(Lane::Deliver | Lane::Index) => Some(Bulk::DeadLetters),
            Self::Lane(Lane::Fill | Lane::Inspect) | Self::DeadLettersOf(Lane::Fill | Lane::Inspect) => None,
        }
    }
}

/// One loop.
pub struct LaneWorker {
    role: FeedConsumer,
    context: Arc<LaneContext>,
    kafka: config::Kafka,
    consumer: Option<Parallel>,
    tasks: JoinSet<()>,
}

impl LaneWorker {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(role: FeedConsumer, context: Arc<LaneContext>, config: &Config) -> Self {
        Self { role, context, kafka: config.kafka.clone(), consumer: None, tasks: JoinSet::new() }
    }

    /// Works until it is told to stop, and then finishes what it has begun.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            if let Err(error) = self.tick().await {
                tracing::warn!(%error, lane = self.role.name(), "messages about posts stay in Kafka for now");
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep(Duration::from_millis(self.context.settings.relay_retry_ms)) => {}
                }
                continue;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.arrival() => {}
                () = tokio::time::sleep(SHOW_EVERY) => {}
            }
        }
        self.close().await;
    }

    /// Begins what may be begun. Answers how many messages that are.
    pub async fn tick(&mut self) -> Result<usize, KafkaError> {
        if self.consumer.is_none() {
            self.consumer = Some(self.join().await?);
        }
        while self.tasks.try_join_next().is_some() {}
        let Some(consumer) = &self.consumer else { return Ok(0) };
        let mut begun = 0;
        while let Some(job) = consumer.begin() {
            let Record { partition, offset, .. } = *job.record();
            let post = String::from_utf8_lossy(&job.record().key).into_owned();
            let span = tracing::info_span!("post", lane = self.role.name(), partition, offset, post);
            self.tasks.spawn(work(self.role, Arc::clone(&self.context), job).instrument(span));
            begun += 1;
        }
        self.show();
        Ok(begun)
    }

    /// Finishes what is in work, commits what is finished, and leaves the group.
    pub async fn close(mut self) {
        if self.role.bulk().is_some() {
            self.context.pace.stop();
        }
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_MAX, drained).await.is_err() {
            tracing::warn!(lane = self.role.name(), "records in work take too long: another worker begins them again");
            self.tasks.shutdown().await;
        }
        if let Some(consumer) = self.consumer.take() {
            consumer.close().await;
        }
    }

    /// Waits until there may be something to begin.
    pub async fn arrival(&self) {
        match &self.consumer {
            Some(consumer) => consumer.arrival().await,
            None => std::future::pending().await,
        }
    }

    async fn join(&self) -> Result<Parallel, KafkaError> {
        let settings = &self.context.settings;
        let (topic, name) = (self.role.topic(settings), self.role.name());
        match self.role {
            FeedConsumer::Lane(lane) => {
                kafka::ensure(&self.kafka, &topic, settings.partitions).await?;
                kafka::ensure(&self.kafka, &config::Feed::dead_letters_topic(&topic), 1).await?;
                if lane == Lane::Inspect {
                    kafka::ensure(&self.kafka, &settings.inspected_topic, settings.partitions).await?;
                }
            }
            // They are few, so one partition keeps them in one order.
            FeedConsumer::DeadLettersOf(_) => kafka::ensure(&self.kafka, &topic, 1).await?,
        }
        let member = Membership {
            topic,
            group: self.role.group(settings),
            name,
            buffer_max: settings.buffer_max,
            commit_every: COMMIT_EVERY,
            revoke_wait_max: REVOKE_WAIT_MAX,
            poll_failures: metrics::counter!("onrush_feed_poll_failures_total", "lane" => name),
            lag_every: Some(LAG_EVERY),
        };
        let consumer = Parallel::join(&self.kafka, member, settings.in_flight_max, dead_letters::key_and_lane)?;
        if let Some(bulk) = self.role.bulk() {
            self.context.pace.count_in(bulk, consumer.share());
        }
        Ok(consumer)
    }

    fn show(&self) {
        let (Some(consumer), lane) = (&self.consumer, self.role.name()) else { return };
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and exact up to 2^53")]
        let show = |gauge: metrics::Gauge, value: u64| gauge.set(value as f64);
        show(metrics::gauge!("onrush_feed_in_flight", "lane" => lane), consumer.in_flight() as u64);
        show(metrics::gauge!("onrush_feed_held_back", "lane" => lane), consumer.held() as u64);
        if let Some(lag) = consumer.lag() {
            show(metrics::gauge!("onrush_feed_lag_records", "lane" => lane), lag);
        }
    }
}

/// Deals with one message.
async fn work(role: FeedConsumer, context: Arc<LaneContext>, job: Job) {
    match role {
        FeedConsumer::Lane(lane) => work_on_message(lane, &context, job).await,
        FeedConsumer::DeadLettersOf(_) => work_on_letter(&role.topic(&context.settings), &context, job).await,
    }
}

/// Does what the lane does. `None`: it is given up, wherever it was, since its partition is another's.
async fn attempt(lane: Lane, context: &LaneContext, job: &Job) -> Option<Result<(), LaneError>> {
    let taken_away = async {
        job.revoked().await;
        tokio::time::sleep(REVOKE_GRACE).await;
    };
    tokio::select! {
        outcome = handle(lane, context, job) => Some(outcome),
        () = taken_away => None,
    }
}

async fn handle(lane: Lane, context: &LaneContext, job: &Job) -> Result<(), LaneError> {
    let began = Instant::now();
    let outcome = context.handle(lane, job.record()).await;
    metrics::histogram!("onrush_feed_handle_seconds", "lane" => lane.name()).record(began.elapsed());
    match &outcome {
        Ok(()) => metrics::counter!("onrush_feed_handled_total", "lane" => lane.name()).increment(1),
        // What it failed with is said below, by whoever knows what comes next.
        Err(_) => metrics::counter!("onrush_feed_failures_total", "lane" => lane.name()).increment(1),
    }
    outcome
}

fn again(lane: Lane, context: &LaneContext, job: Job, error: &LaneError) {
    metrics::counter!("onrush_feed_retries_total", "lane" => lane.name()).increment(1);
    tracing::info!(%error, tries = job.record().tries + 1, "a message about a post is tried again later");
    job.again(Duration::from_millis(context.settings.retry_ms), error.is_of_the_message());
}

async fn work_on_message(lane: Lane, context: &LaneContext, job: Job) {
    let Some(outcome) = attempt(lane, context, &job).await else { return };
    let Err(error) = outcome else { return job.finish() };
    if !error.is_of_the_message() || job.record().tries < context.settings.retries_max {
        return again(lane, context, job, &error);
    }
    let from = lane.topic(&context.settings);
    let to = config::Feed::dead_letters_topic(from);
    let refused = [Refused { place: 0, reason: in_short(&error) }];
    let record = std::slice::from_ref(job.record());
    if dead_letters::set_aside(&context.producer, (from, &to), Some(lane.name()), record, &refused).await == 0 {
        return again(lane, context, job, &error);
    }
    metrics::counter!("onrush_feed_dead_letters_total", "lane" => lane.name()).increment(1);
    job.finish();
}

async fn work_on_letter(topic: &str, context: &LaneContext, job: Job) {
    let mut headers = Headers::read(topic, job.record());
    let lane = Lane::ALL.into_iter().find(|lane| headers.lane.as_deref() == Some(lane.name()));
    let tries_max = context.settings.dead_retries_max;
    if let Some(lane) = lane.filter(|_| tries_max > 0) {
        let Some(outcome) = attempt(lane, context, &job).await else { return };
        let Err(error) = outcome else { return job.finish() };
        let tries = job.record().tries + 1;
        if !error.is_of_the_message() || tries < tries_max {
            return again(lane, context, job, &error);
        }
        headers.attempts = headers.attempts.saturating_add(i32::try_from(tries).unwrap_or(i32::MAX));
        headers.reason = in_short(&error);
    }
    match dead_letters::keep(&context.database, topic, &[(headers.clone(), job.record())]).await {
        Ok(()) => {
            let name = lane.map_or("unknown", Lane::name);
            metrics::counter!("onrush_feed_letters_kept_total", "lane" => name).increment(1);
            tracing::error!(lane = name, reason = headers.reason, "a dead letter waits for an operator");
            job.finish();
        }
        Err(error) => {
            tracing::warn!(%error, "a dead letter stays in Kafka for now");
            job.again(Duration::from_millis(context.settings.retry_ms), false);
        }
    }
}

fn in_short(error: &LaneError) -> String {
    error.to_string().chars().take(REASON_CHARACTERS_MAX).collect()
}

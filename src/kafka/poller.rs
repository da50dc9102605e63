//! The thread that polls: it moves records into the buffer, pauses and resumes, commits, and answers rebalances.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::KafkaError;
use super::offsets::partition_numbers;
use super::record::Record;
use super::shared::{Shared, State};

/// How long one poll waits for a record; what else the thread does is late by so much at most.
const POLL: Duration = Duration::from_millis(20);
/// Records that are taken over in one go.
const BURST_RECORDS_MAX: usize = 500;
/// Pause after a request about the topic or an offset failed.
const RETRY: Duration = Duration::from_millis(500);
/// How long a question about the lag may hold up the thread.
const LAG_TIMEOUT: Duration = Duration::from_secs(1);

/// What the polling thread owns.
pub(super) struct Poller {
    consumer: BaseConsumer<Context>,
    shared: Arc<Shared>,
    timeout: Duration,
    paused: bool,
    retry_at: Instant,
    commit_at: Instant,
    lag_at: Instant,
}

impl Poller {
    pub(super) fn new(consumer: BaseConsumer<Context>, shared: Arc<Shared>, timeout: Duration) -> Self {
        let now = Instant::now();
        Self { consumer, shared, timeout, paused: false, retry_at: now, commit_at: now, lag_at: now }
    }

    /// Until the consumer is closed or dropped.
    pub(super) fn run(mut self) {
        while !self.shared.state().stopping {
            let burst = self.poll();
            self.take_over(burst);
            self.flow();
            if Instant::now() >= self.retry_at {
                self.commit();
                self.count_partitions();
                self.measure_lag();
            }
        }
        // Leaving the group revokes all partitions: see `Context`.
        drop(self.consumer);
    }

    fn poll(&self) -> Vec<Record> {
        let mut burst = Vec::new();
        let mut wait = POLL;
        // A full buffer is polled, too, for what is not a record; its partitions are paused.
        let room = self.shared.member.buffer_max.saturating_sub(self.shared.state().in_memory());
        while burst.len() < room.clamp(1, BURST_RECORDS_MAX) {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => burst.push(Record {
                    partition: message.partition(),
                    offset: message.offset(),
                    key: message.key().unwrap_or_default().to_vec(),
                    value: message.payload().unwrap_or_default().to_vec(),
                    headers: headers(&message),
                    tries: 0,
                }),
                Some(Err(error)) => {
                    self.shared.member.poll_failures.increment(1);
                    tracing::warn!(%error, topic = self.shared.member.topic, "polling Kafka failed; trying again");
                }
            }
            wait = Duration::ZERO;
        }
        burst
    }

    fn take_over(&self, burst: Vec<Record>) {
        if burst.is_empty() {
            return;
        }
        let mut state = self.shared.state();
        // A partition that was taken away during this very burst is another's now.
        let State { buffer, assigned, .. } = &mut *state;
        buffer.extend(burst.into_iter().filter(|record| assigned.contains(&record.partition)));
        drop(state);
        self.shared.arrived.notify_one();
    }

    /// Pauses and resumes. Looked at after every poll, since newly assigned partitions are not paused.
    fn flow(&mut self) {
        let (buffered, unpaused) = {
            let mut state = self.shared.state();
            if !state.held.is_empty() && !state.writing && state.ready(Instant::now()) > 0 {
                // What was held back is due: that is an arrival, too.
                self.shared.arrived.notify_one();
            }
            (state.in_memory(), std::mem::take(&mut state.unpaused))
        };
        self.paused &= !unpaused;
        let full = buffered >= self.shared.member.buffer_max;
        if (full && !self.paused) || (buffered < self.shared.member.buffer_max / 2 && (self.paused || unpaused)) {
            let outcome = self.consumer.assignment().and_then(|assigned| {
                if full { self.consumer.pause(&assigned) } else { self.consumer.resume(&assigned) }
            });
            match outcome {
                Ok(()) => self.paused = full,
                Err(error) => tracing::warn!(%error, full, "pausing or resuming partitions failed; trying again"),
            }
        }
    }

    fn commit(&mut self) {
        if Instant::now() < self.commit_at {
            return;
        }
        self.commit_at = Instant::now() + self.shared.member.commit_every;
        let offsets = self.shared.state().committable();
        if let Err(error) = self.shared.commit(&self.consumer, &offsets) {
            // They stay on record, and are tried again.
            tracing::warn!(%error, "committing Kafka offsets failed; trying again");
            self.retry_at = Instant::now() + RETRY;
        }
    }

    /// The share of the throttle needs to know how many there are.
    fn count_partitions(&mut self) {
        if self.shared.state().all_partitions > 0 {
            return;
        }
        match partition_numbers(&self.consumer, &self.shared.member.topic, self.timeout) {
            Ok(numbers) => {
                self.shared.state().all_partitions = numbers.len() as u64;
                self.shared.arrived.notify_one();
            }
            Err(error) => {
                tracing::warn!(%error, "counting the partitions of a topic failed; trying again");
                self.retry_at = Instant::now() + RETRY;
            }
        }
    }
}

impl Poller {
    /// How many records of this worker's partitions are not dealt with.
    fn measure_lag(&mut self) {
        let Some(every) = self.shared.member.lag_every else { return };
        if Instant::now() < self.lag_at {
            return;
        }
        self.lag_at = Instant::now() + every;
        match self.lag() {
            Ok(lag) => self.shared.state().lag = Some(lag),
            Err(error) => {
                tracing::debug!(%error, topic = self.shared.member.topic, "asking for the lag");
                self.lag_at += every * 4;
            }
        }
    }

    fn lag(&self) -> Result<u64, KafkaError> {
        let topic = &self.shared.member.topic;
        let committed = self.consumer.committed(LAG_TIMEOUT)?;
        let mut lag = 0;
        for element in committed.elements_for_topic(topic) {
            let (low, high) = self.consumer.fetch_watermarks(topic, element.partition(), LAG_TIMEOUT)?;
            let at = match element.offset() {
                Offset::Offset(offset) => offset.max(low),
                _ => low,
            };
            lag += u64::try_from(high - at).unwrap_or(0);
        }
        Ok(lag)
    }
}

impl Shared {
    /// Commits these, and strikes them off the list of what is to be committed.
    fn commit(&self, consumer: &BaseConsumer<Context>, offsets: &BTreeMap<i32, i64>) -> Result<(), KafkaError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (partition, offset) in offsets {
            list.add_partition_offset(&self.member.topic, *partition, Offset::Offset(*offset))?;
        }
        consumer.commit(&list, CommitMode::Sync)?;
        self.state().note_committed(offsets);
        Ok(())
    }

    fn assigned(&self, gained: &BTreeSet<i32>) {
        let mut state = self.state();
        state.assigned.extend(gained);
        state.leaving.retain(|partition| !gained.contains(partition));
        if !gained.is_empty() {
            state.gained_at = Instant::now();
            state.unpaused = true;
        }
        state.committed.retain(|partition, _| !gained.contains(partition));
        // The topic may have got more of them: the thread counts anew.
        state.all_partitions = 0;
    }

    fn revoke(&self, consumer: &BaseConsumer<Context>, revoked: &BTreeSet<i32>) {
        let mut waiting = self.state();
        waiting.leaving.extend(revoked);
        self.revoking.notify_waiters();
        let in_work = |state: &mut State| state.writing || state.in_flight.keys().any(|at| revoked.contains(at));
        let (mut state, waited) = self
            .idle
            .wait_timeout_while(waiting, self.member.revoke_wait_max, in_work)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            tracing::error!(
                topic = self.member.topic,
                "partitions are revoked while records are still in work: these are read twice"
            );
        }
        let mut last = state.committable();
        last.retain(|partition, _| revoked.contains(partition));
        state.forget(revoked);
        drop(state);
        // Who lost the partitions without being asked may not commit for them any more.
        if !consumer.assignment_lost()
            && let Err(error) = self.commit(consumer, &last)
        {
            tracing::warn!(%error, "committing offsets of revoked partitions failed: their records are read twice");
        }
    }
}

/// What the library calls, always on the polling thread.
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
}

impl ClientContext for Context {}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            let revoked = numbers(list);
            tracing::info!(?revoked, "partitions revoked");
            self.shared.revoke(consumer, &revoked);
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let gained = numbers(list);
                tracing::info!(?gained, "partitions assigned");
                self.shared.assigned(&gained);
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => tracing::warn!(%error, "rebalancing"),
        }
    }
}

fn headers(message: &impl Message) -> Vec<(String, Vec<u8>)> {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    headers.map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect()
}

fn numbers(list: &TopicPartitionList) -> BTreeSet<i32> {
    list.elements().iter().map(rdkafka::topic_partition_list::TopicPartitionListElem::partition).collect()
}

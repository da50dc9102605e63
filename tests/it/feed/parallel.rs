//! Many records in work at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onrush::kafka::{Job, Membership, Offsets, Outgoing, Parallel, Record, ensure};
use tokio::task::JoinSet;

use crate::support::stores::{Stores, eventually};

/// A topic of the test's own, and who reads it.
struct Topic {
    stores: Stores,
    offsets: Offsets,
}

impl Topic {
    async fn new(partitions: i32) -> Self {
        let stores = Stores::new().await;
        let (topic, group) = (&stores.config.feed.original_topic, &stores.config.feed.group);
        ensure(&stores.config.kafka, topic, partitions).await.unwrap();
        let offsets = Offsets::of(&stores.config.kafka, topic, group).unwrap();
        Self { stores, offsets }
    }

    /// Publishes `count` records; the n-th has the n-th key, over and over.
    async fn publish(&self, count: usize, keys: usize) {
        let records: Vec<Outgoing> = (0..count).map(|n| outgoing(n, keys)).collect();
        let published = self.stores.producer.publish_records(&self.stores.config.feed.original_topic, &records).await;
        assert_eq!(published.acknowledged, count);
    }

    fn join(&self, in_flight_max: usize) -> Parallel {
        let member = Membership {
            topic: self.stores.config.feed.original_topic.clone(),
            group: self.stores.config.feed.group.clone(),
            name: "test",
            buffer_max: 1_000,
            commit_every: Duration::from_millis(50),
            revoke_wait_max: Duration::from_secs(20),
            poll_failures: metrics::Counter::noop(),
            lag_every: None,
        };
        Parallel::join(&self.stores.config.kafka, member, in_flight_max, |record| record.key.clone()).unwrap()
    }

    async fn lag(&self) -> u64 {
        self.offsets.lag(&self.offsets.ends().await.unwrap()).await.unwrap()
    }
}

fn outgoing(n: usize, keys: usize) -> Outgoing {
    Outgoing { key: format!("key-{}", n % keys).into(), value: n.to_string().into(), headers: Vec::new() }
}

fn number(record: &Record) -> usize {
    String::from_utf8_lossy(&record.value).parse().unwrap()
}

async fn begin(parallel: &Parallel, count: usize) -> Vec<Job> {
    let mut jobs = Vec::new();
    eventually("so many are begun", async || {
        jobs.extend(std::iter::from_fn(|| parallel.begin()));
        jobs.len() >= count
    })
    .await;
    jobs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_is_in_work_than_there_are_partitions_and_each_key_keeps_its_order() {
    let topic = Topic::new(2).await;
    topic.publish(600, 30).await;
    let parallel = topic.join(16);
    let begun: Arc<Mutex<BTreeMap<Vec<u8>, Vec<usize>>>> = Arc::default();
    let in_work: Arc<Mutex<BTreeSet<Vec<u8>>>> = Arc::default();
    let (mut tasks, mut most) = (JoinSet::new(), 0);
    eventually("all are done", async || {
        while let Some(job) = parallel.begin() {
            let (key, n) = (job.record().key.clone(), number(job.record()));
            assert!(in_work.lock().unwrap().insert(key.clone()), "two of one key at the same time");
            begun.lock().unwrap().entry(key.clone()).or_default().push(n);
            let in_work = Arc::clone(&in_work);
            let fails = job.record().tries == 0 && n % 50 == 7;
            tasks.spawn(async move {
                tokio::time::sleep(Duration::from_millis(rand::random_range(0..8))).await;
                in_work.lock().unwrap().remove(&key);
                if fails { job.again(Duration::from_millis(30), true) } else { job.finish() }
            });
        }
        most = most.max(parallel.in_flight());
        while tasks.try_join_next().is_some() {}
        begun.lock().unwrap().values().map(Vec::len).sum::<usize>() == 612 && tasks.is_empty()
    })
    .await;
    assert!((3..=16).contains(&most), "{most} in work at most");
    for (key, numbers) in begun.lock().unwrap().iter() {
        // One that failed was the next of its key again.
        assert!(numbers.is_sorted(), "{}: {numbers:?}", String::from_utf8_lossy(key));
    }
    parallel.close().await;
    assert_eq!(topic.lag().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_finished_without_a_gap_is_committed() {
    let topic = Topic::new(1).await;
    topic.publish(10, 10).await;
    let parallel = topic.join(10);
    let mut jobs = begin(&parallel, 10).await;
    let (third, first) = (jobs.remove(3), jobs.remove(0));
    assert_eq!((number(first.record()), number(third.record())), (0, 3));
    jobs.into_iter().for_each(Job::finish);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(topic.lag().await, 10);
    first.finish();
    eventually("the first three are committed", async || topic.lag().await == 7).await;
    third.again(Duration::from_millis(500), true);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(topic.lag().await, 7, "what is held back is not finished");
    begin(&parallel, 1).await.into_iter().for_each(Job::finish);
    eventually("all is committed", async || topic.lag().await == 0).await;
    parallel.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_consumer_loses_nothing() {
    let topic = Topic::new(2).await;
    topic.publish(100, 100).await;
    let killed = topic.join(40);
    let mut finished = BTreeSet::new();
    for (place, job) in begin(&killed, 40).await.into_iter().enumerate() {
        // The others are dropped with whoever had them in work.
        if place % 3 > 0 {
            finished.insert(number(job.record()));
            job.finish();
        }
    }
    drop(killed);
    let next = topic.join(100);
    eventually("the rest is done", async || {
        while let Some(job) = next.begin() {
            finished.insert(number(job.record()));
            job.finish();
        }
        finished.len() == 100 && topic.lag().await == 0
    })
    .await;
    next.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_changes_hands_after_what_is_in_work_of_it_is_finished() {
    let topic = Topic::new(2).await;
    topic.publish(10, 10).await;
    let old = topic.join(10);
    let jobs = begin(&old, 10).await;
    let later: Vec<Outgoing> = (10..40).map(|n| outgoing(n, 40)).collect();
    let published = topic.stores.producer.publish_records(&topic.stores.config.feed.original_topic, &later).await;
    assert_eq!(published.acknowledged, 30);
    let new = topic.join(40);
    let early = eventually("the new one has a partition", async || new.share().assignment().mine > 0);
    let in_work: BTreeSet<i32> = jobs.iter().map(|job| job.record().partition).collect();
    assert_eq!(in_work.len(), 2, "something of each partition is in work");
    assert!(tokio::time::timeout(Duration::from_secs(2), early).await.is_err(), "taken away while in work");
    // Who has one of a partition that goes hears of it.
    futures::future::select_all(jobs.iter().map(|job| Box::pin(job.revoked()))).await;
    let finished: BTreeSet<usize> = jobs.iter().map(|job| number(job.record())).collect();
    jobs.into_iter().for_each(Job::finish);
    eventually("the new one has its share", async || new.share().assignment().mine == 1).await;
    let mut again = Vec::new();
    eventually("both do the rest", async || {
        for consumer in [&old, &new] {
            while let Some(job) = consumer.begin() {
                again.push(number(job.record()));
                job.finish();
            }
        }
        topic.lag().await == 0
    })
    .await;
    again.sort_unstable();
    let rest: Vec<usize> = (0..40).filter(|n| !finished.contains(n)).collect();
    assert_eq!(again, rest, "nothing is done twice");
    old.close().await;
    new.close().await;
}

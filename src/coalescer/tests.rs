//! The coalescer with a decider that waits for the test's word, call by call.

use std::time::{Duration, Instant};

use futures::future::{self, join_all};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use metrics::{Counter, Histogram};

use super::*;
use crate::redis::RedisError;

/// The request that makes `certain` panic.
const POISON: u32 = 666;

/// A call that has left. A test that drops it makes the decider panic.
struct Call {
    requests: Vec<u32>,
    go: oneshot::Sender<Result<(), RedisError>>,
}

impl Call {
    fn go(self) {
        self.go.send(Ok(())).unwrap();
    }
}

/// Answers each request with itself.
struct Echo {
    calls: mpsc::Sender<Call>,
    calls_max: usize,
    /// What from there on is answered with 0, without a call.
    certain_from: u32,
}

impl Decide for Echo {
    type Request = u32;
    type Answer = u32;

    fn calls_max(&self, _: &Campaign) -> usize {
        self.calls_max
    }

    fn certain(&self, _: &Campaign) -> impl Fn(&u32) -> Option<u32> {
        |request| {
            assert_ne!(*request, POISON);
            (*request >= self.certain_from).then_some(0)
        }
    }

    async fn decide(&self, _: &Arc<Campaign>, requests: &[u32]) -> Result<Vec<u32>, RedisError> {
        let (go, word) = oneshot::channel();
        self.calls.send(Call { requests: requests.to_vec(), go }).await.expect("the test listens");
        word.await.expect("the test gives its word")?;
        Ok(requests.to_vec())
    }
}

const LIMITS: Limits = Limits {
    batch_max: 3,
    second_call_min: 2,
    in_flight_max: 100,
    campaign_in_flight_max: 100,
    queue_wait_ms_max: 60_000,
};

fn echo(limits: Limits, calls_max: usize, certain_from: u32) -> (Coalescer<Echo>, mpsc::Receiver<Call>) {
    let (calls, left) = mpsc::channel(16);
    let meters = Meters {
        batch_requests: Histogram::noop(),
        call_seconds: Histogram::noop(),
        call_failures: Counter::noop(),
        abandoned: Counter::noop(),
    };
    (Coalescer::new(Echo { calls, calls_max, certain_from }, limits, meters), left)
}

/// One call at a time, and nothing is certain.
fn one_at_a_time(limits: Limits) -> (Coalescer<Echo>, mpsc::Receiver<Call>) {
    echo(limits, 1, u32::MAX)
}

/// What is awaited comes at once, or a test would hang.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), future).await.expect("nothing happens any more")
}

async fn next(left: &mut mpsc::Receiver<Call>) -> Call {
    soon(left.recv()).await.expect("the decider lives")
}

/// Once all tasks have done what they can.
async fn assert_none_left(left: &mut mpsc::Receiver<Call>, why: &str) {
    tokio::task::yield_now().await;
    assert!(matches!(left.try_recv(), Err(TryRecvError::Empty)), "{why}");
}

async fn assert_no_room(coalescer: &Coalescer<Echo>, campaign: &Arc<Campaign>, why: &str) {
    let refused = soon(coalescer.submit(campaign, 99)).await;
    assert!(matches!(refused, Err(CoalescerError::TooManyInFlight)), "{why}");
}

#[tokio::test]
async fn what_waits_shares_the_next_call_in_the_order_of_arrival() {
    let (coalescer, mut left) = one_at_a_time(LIMITS);
    let campaign = Campaign::alone("c");
    let first = coalescer.submit(&campaign, 1);
    let call = next(&mut left).await;
    assert_eq!(call.requests, [1], "nothing was under way: it leaves at once, alone");
    let mut others: Vec<_> = (2..=6).map(|request| coalescer.submit(&campaign, request)).collect();
    // Awaited in another order than they came.
    others.reverse();
    call.go();
    assert_eq!(soon(first).await.unwrap(), 1);
    for requests in [[2, 3, 4].as_slice(), &[5, 6]] {
        let call = next(&mut left).await;
        assert_eq!(call.requests, requests);
        call.go();
    }
    let answers: Vec<_> = soon(join_all(others)).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [6, 5, 4, 3, 2], "each hears its own");
}

#[tokio::test]
async fn a_second_call_leaves_when_enough_wait_and_no_third() {
    let (coalescer, mut left) = echo(LIMITS, 2, u32::MAX);
    let campaign = Campaign::alone("c");
    let _first: Vec<_> = (1..=4).map(|request| coalescer.submit(&campaign, request)).collect();
    let first_call = next(&mut left).await;
    assert_eq!(first_call.requests, [1, 2, 3]);
    assert_none_left(&mut left, "one is not enough").await;
    let _second = coalescer.submit(&campaign, 5);
    let second_call = next(&mut left).await;
    assert_eq!(second_call.requests, [4, 5]);
    let _third: Vec<_> = (6..=8).map(|request| coalescer.submit(&campaign, request)).collect();
    assert_none_left(&mut left, "two are under way").await;
    second_call.go();
    assert_eq!(next(&mut left).await.requests, [6, 7, 8]);
    drop(first_call);
}

#[tokio::test]
async fn who_has_gone_before_its_turn_is_not_decided() {
    let (coalescer, mut left) = one_at_a_time(Limits { campaign_in_flight_max: 3, in_flight_max: 3, ..LIMITS });
    let campaign = Campaign::alone("c");
    let first = coalescer.submit(&campaign, 1);
    let call = next(&mut left).await;
    let (second, third) = (coalescer.submit(&campaign, 2), coalescer.submit(&campaign, 3));
    drop(second);
    call.go();
    assert_eq!(soon(first).await.unwrap(), 1);
    let call = next(&mut left).await;
    assert_eq!(call.requests, [3], "the decider never hears of the second");
    let _room: Vec<_> = (4..=5).map(|request| coalescer.submit(&campaign, request)).collect();
    assert_no_room(&coalescer, &campaign, "3, 4 and 5 have it").await;
    call.go();
    assert_eq!(soon(third).await.unwrap(), 3);
    assert_eq!(next(&mut left).await.requests, [4, 5], "the second's place was given back");
}

#[tokio::test]
async fn what_is_certain_does_not_travel() {
    let (coalescer, mut left) = echo(LIMITS, 1, 10);
    let campaign = Campaign::alone("c");
    let answers = join_all([10, 1, 11, 2].map(|request| coalescer.submit(&campaign, request)));
    let decided = async {
        let call = next(&mut left).await;
        assert_eq!(call.requests, [1, 2]);
        call.go();
    };
    let (answers, ()) = soon(future::join(answers, decided)).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [0, 1, 0, 2]);
}

#[tokio::test]
async fn whose_turn_comes_too_late_is_refused_unsent() {
    let (coalescer, mut left) = one_at_a_time(Limits { queue_wait_ms_max: 1, in_flight_max: 1, ..LIMITS });
    let campaign = Campaign::alone("c");
    let late = coalescer.submit(&campaign, 1);
    // The queue's task shares this thread, and has not begun.
    let since = Instant::now();
    while since.elapsed().as_millis() < 2 {
        std::hint::spin_loop();
    }
    assert!(matches!(soon(late).await, Err(CoalescerError::WaitedTooLong)));
    assert_none_left(&mut left, "it was sent all the same").await;
    // Its place is free again.
    assert!(coalescer.shared.in_flight.enter());
}

#[tokio::test]
async fn what_is_in_flight_is_bounded_for_each_campaign_and_for_all() {
    let (coalescer, mut left) = one_at_a_time(Limits { campaign_in_flight_max: 2, in_flight_max: 3, ..LIMITS });
    let (campaign, other) = (Campaign::alone("c"), Campaign::alone("d"));
    let first = coalescer.submit(&campaign, 1);
    let call = next(&mut left).await;
    let _second = coalescer.submit(&campaign, 2);
    assert_no_room(&coalescer, &campaign, "one is being decided, one waits").await;
    let _others = coalescer.submit(&other, 4);
    let others_call = next(&mut left).await;
    assert_eq!(others_call.requests, [4], "another campaign has a queue of its own");
    assert_no_room(&coalescer, &other, "three of all").await;
    call.go();
    assert_eq!(soon(first).await.unwrap(), 1);
    let _third = coalescer.submit(&campaign, 3);
    let call = next(&mut left).await;
    assert_eq!(call.requests, [2], "what was refused is not decided");
    call.go();
    assert_eq!(next(&mut left).await.requests, [3], "there was room again");
    drop(others_call);
}

#[tokio::test]
async fn all_of_a_batch_hear_that_a_failed_call_is_unknown_and_the_next_is_decided() {
    let (coalescer, mut left) = one_at_a_time(LIMITS);
    let campaign = Campaign::alone("c");
    let both = join_all([1, 2].map(|request| coalescer.submit(&campaign, request)));
    let call = next(&mut left).await;
    let after = coalescer.submit(&campaign, 3);
    call.go.send(Err(RedisError::Unexpected("nonsense".into()))).unwrap();
    for answer in soon(both).await {
        assert!(matches!(answer, Err(CoalescerError::Unknown)));
    }
    let call = next(&mut left).await;
    let last = coalescer.submit(&campaign, 4);
    call.go.send(Err(RedisError::Fenced)).unwrap();
    assert!(matches!(soon(after).await, Err(CoalescerError::NothingDone(_))), "what is known is said");
    next(&mut left).await.go();
    assert_eq!(soon(last).await.unwrap(), 4);
}

#[tokio::test]
async fn a_panic_takes_only_those_with_it_and_gives_their_places_back() {
    let (coalescer, mut left) = one_at_a_time(Limits { campaign_in_flight_max: 2, in_flight_max: 2, ..LIMITS });
    let campaign = Campaign::alone("c");
    // In the call.
    let lost = join_all([1, 2].map(|request| coalescer.submit(&campaign, request)));
    drop(next(&mut left).await);
    assert!(soon(lost).await.iter().all(|answer| matches!(answer, Err(CoalescerError::Unknown))));
    // And before it, with one taken out of the queue already.
    let lost = join_all([3, POISON].map(|request| coalescer.submit(&campaign, request)));
    assert!(soon(lost).await.iter().all(|answer| matches!(answer, Err(CoalescerError::Unknown))));
    let two = join_all([5, 6].map(|request| coalescer.submit(&campaign, request)));
    let call = next(&mut left).await;
    assert_eq!(call.requests, [5, 6]);
    call.go();
    let answers: Vec<_> = soon(two).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [5, 6]);
}

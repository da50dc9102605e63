//! How does a rush reach a strategy? One dispatcher hands requests in, one after the other, so many at a time, and counts
//! them as it does: a request's arrival is no strategy's own opinion.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::poll;
use onrush::ids::UserId;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::judge::{Decision, Heard};
use crate::ways::Way;

/// How many ask for how much.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Users; each asks once.
    pub users: u64,
    /// Units.
    pub stock: u64,
    /// Requests at a time.
    pub concurrency: usize,
    /// When it ends, whoever has been answered by then.
    pub seconds_max: u64,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Driven {
    /// Every answer.
    pub heard: Vec<Heard>,
    /// How long each of them took, in no order.
    pub latencies: Vec<Duration>,
    /// From the first request to the last answer.
    pub took: Duration,
    /// Not everybody could be answered in time.
    pub was_cut_off: bool,
    /// The first error, if there was one: who met it heard that it did not work.
    pub error: Option<String>,
}

struct Answered {
    heard: Heard,
    latency: Duration,
    at: Instant,
    error: Option<String>,
}

/// Lets all users ask. Requests that are under way at the end are dropped.
pub async fn drive<W: Way>(way: &Arc<W>, load: Load) -> anyhow::Result<Driven> {
    let users = (1..=load.users).map(|user| format!("user-{user}").parse()).collect::<Result<Vec<UserId>, _>>()?;
    let places = Arc::new(Semaphore::new(load.concurrency));
    let mut driven = Driven { heard: Vec::with_capacity(users.len()), ..Driven::default() };
    driven.latencies.reserve(users.len());
    let mut under_way = JoinSet::new();
    let began = Instant::now();
    let deadline = (began + Duration::from_secs(load.seconds_max)).into();
    for (user, arrival) in users.into_iter().zip(0..) {
        let Ok(place) = timeout_at(deadline, Arc::clone(&places).acquire_owned()).await else { break };
        let place = place.context("nobody closes it")?;
        let mut request = Box::pin(ask(Arc::clone(way), arrival, user));
        // Its first step is taken here: what it sends first leaves in the order of arrival.
        match poll!(&mut request) {
            std::task::Poll::Ready(answered) => driven.note(began, answered),
            std::task::Poll::Pending => {
                under_way.spawn(async move {
                    let answered = request.await;
                    drop(place);
                    answered
                });
            }
        }
        while let Some(answered) = under_way.try_join_next() {
            driven.note(began, answered.context("a request panicked")?);
        }
    }
    while let Ok(Some(answered)) = timeout_at(deadline, under_way.join_next()).await {
        driven.note(began, answered.context("a request panicked")?);
    }
    driven.was_cut_off = (driven.heard.len() as u64) < load.users;
    under_way.shutdown().await;
    Ok(driven)
}

async fn ask<W: Way>(way: Arc<W>, arrival: u64, user: UserId) -> Answered {
    let handed_in = Instant::now();
    let answer = way.ask(user.clone()).await;
    let at = Instant::now();
    let (told, error) = match answer {
        Ok(told) => (told, None),
        Err(error) => (Decision::GaveUp, Some(format!("{error:#}"))),
    };
    let heard = Heard { arrival, user: user.as_str().to_owned(), told };
    Answered { heard, latency: at - handed_in, at, error }
}

impl Driven {
    fn note(&mut self, began: Instant, answered: Answered) {
        self.took = self.took.max(answered.at - began);
        self.latencies.push(answered.latency);
        self.heard.push(answered.heard);
        self.error = self.error.take().or(answered.error);
    }

    /// The time, in ms, within which so many of a hundred answers came.
    #[must_use]
    pub fn percentile_ms(&mut self, percent: usize) -> f64 {
        self.latencies.sort_unstable();
        let place = (self.latencies.len() * percent).div_ceil(100).saturating_sub(1);
        self.latencies.get(place).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_latencies() {
        let latencies = (1..=200).rev().map(Duration::from_millis).collect();
        let mut driven = Driven { latencies, ..Driven::default() };
        let shown = [50, 99, 100].map(|percent| format!("{:.0}", driven.percentile_ms(percent)));
        assert_eq!(shown, ["100", "198", "200"]);
        assert!(Driven::default().percentile_ms(99).abs() < f64::EPSILON);
    }
}

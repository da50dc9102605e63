//! What is so while they wait? Redis looked at twenty times a second, and what each process uses once a second.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bench::proc::Watched;
use testkit::usage::resident_bytes;

use crate::history::History;
use crate::pace::Admissions;
use crate::redis::{Counters, Redis, RoomKeys};

/// How often Redis is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often processes are.
const PROCESSES_EVERY: Duration = Duration::from_secs(1);

/// What may not be exceeded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) active_max: u64,
    pub(crate) reserve: u64,
}

/// When it is enough.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until {
    /// So many were admitted, and everybody has a place.
    pub(crate) admitted: u64,
    /// Or this moment came.
    pub(crate) deadline: Instant,
}

/// One second.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    pub(crate) admitted: u64,
    /// Of one core, in percent, by process.
    pub(crate) cpu_percent: Vec<f64>,
    /// Resident memory of each node, in bytes.
    pub(crate) node_bytes: Vec<u64>,
}

/// All that was seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) samples: Vec<Sample>,
    pub(crate) admissions: Admissions,
    pub(crate) last: Counters,
    pub(crate) looks: u64,
    /// The longest time between two looks.
    pub(crate) look_gap_max: Duration,
    /// Looks at which more were inside than may be.
    pub(crate) above_cap: u64,
    pub(crate) above_units: u64,
    pub(crate) inside_max: u64,
    /// All of Redis' memory when everybody had a place, and what the room's keys took of it.
    pub(crate) joined_bytes: Option<(u64, u64)>,
    /// Whether enough were admitted before the time was over, and when.
    pub(crate) done_after: Option<Duration>,
}

/// What is looked at.
pub(crate) struct Watch {
    pub(crate) redis: Redis,
    pub(crate) room: RoomKeys,
    pub(crate) watched: Watched,
    pub(crate) nodes: Vec<u32>,
    pub(crate) limits: Limits,
    pub(crate) until: Until,
    pub(crate) history: Arc<Mutex<History>>,
    pub(crate) all_joined: Arc<AtomicBool>,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Watch {
    /// Looks until it is enough; then everybody else stops, too.
    pub(crate) async fn run(self) -> anyhow::Result<Seen> {
        let seen = self.look().await;
        self.stop.store(true, Ordering::Relaxed);
        seen
    }

    async fn look(&self) -> anyhow::Result<Seen> {
        let (mut seen, begun) = (Seen::default(), Instant::now());
        let mut interval = tokio::time::interval(LOOK_EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut before, mut next) = (self.watched.times(), begun + PROCESSES_EVERY);
        let (mut last_look, mut last_sample) = (begun, begun);
        loop {
            interval.tick().await;
            let (counters, look) = self.redis.look(&self.room).await?;
            let now = look.came;
            seen.look_gap_max = seen.look_gap_max.max(look.asked - last_look);
            last_look = look.asked;
            self.history.lock().unwrap_or_else(PoisonError::into_inner).add(look);
            seen.note(&counters, self.limits);
            if now >= next {
                let times = self.watched.times();
                let passed = (now - last_sample).as_secs_f64();
                let used = before.entries().iter().zip(times.entries());
                seen.samples.push(Sample {
                    admitted: counters.admitted,
                    cpu_percent: used.map(|((_, us), (_, after))| (after - us).max(0.0) / passed / 1e4).collect(),
                    node_bytes: self.nodes.iter().filter_map(|pid| resident_bytes(*pid).ok()).collect(),
                });
                (before, last_sample, next) = (times, now, next + PROCESSES_EVERY);
                say(&seen.samples, &counters);
            }
            if seen.joined_bytes.is_none() && self.all_joined.load(Ordering::Relaxed) {
                seen.joined_bytes = Some((self.redis.memory().await?, self.redis.memory_of(&self.room).await?));
            }
            let is_enough = counters.admitted >= self.until.admitted && self.all_joined.load(Ordering::Relaxed);
            seen.last = counters;
            if is_enough {
                seen.done_after = Some(begun.elapsed());
            }
            // Ended by whoever found that it cannot go on, too.
            if is_enough || now > self.until.deadline || self.stop.load(Ordering::Relaxed) {
                return Ok(seen);
            }
        }
    }
}

impl Seen {
    fn note(&mut self, counters: &Counters, limits: Limits) {
        self.looks += 1;
        self.admissions.look(&counters.pace, counters.admitted);
        self.inside_max = self.inside_max.max(counters.inside);
        self.above_cap += u64::from(counters.inside > limits.active_max);
        self.above_units += u64::from(counters.inside > counters.left + limits.reserve);
    }
}

/// Now and then, for who waits.
fn say(samples: &[Sample], counters: &Counters) {
    if samples.len() % 15 == 1 {
        let Counters { number, waiting, admitted, inside, .. } = counters;
        println!("  {:>4} s: {number} joined, {waiting} wait, {admitted} admitted, {inside} inside", samples.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_with_one_too_many_inside_is_noted() {
        let limits = Limits { active_max: 10, reserve: 2 };
        let mut seen = Seen::default();
        for (inside, left) in [(10, 8), (11, 20), (10, 7)] {
            seen.note(&Counters { inside, left, ..Counters::default() }, limits);
        }
        assert_eq!((seen.looks, seen.above_cap, seen.above_units, seen.inside_max), (3, 1, 1, 11));
    }
}

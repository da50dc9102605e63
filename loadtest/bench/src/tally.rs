//! What was answered? Counts, times and a timeline by kind of answer.

use std::time::{Duration, Instant};

use loadtest::wire::{Answer, Kind};
use report::data::{Latencies, Series, Timeline};

use crate::histogram::Histogram;

/// The step of all timelines.
pub const STEP: Duration = Duration::from_millis(100);

/// All answers that came within a stretch of time.
#[derive(Debug, Clone)]
pub struct Tally {
    /// When counting begins.
    pub from: Instant,
    /// When it ends.
    pub to: Instant,
    times: [Histogram; Kind::ALL.len()],
    steps: [Vec<u64>; Kind::ALL.len()],
    /// Requests without an answer, and why the first of them had none.
    pub no_answer: u64,
    /// An answer that nobody asked for, or an error: the first one.
    pub first_odd: Option<String>,
    /// 503 without Retry-After.
    pub no_retry_after: u64,
    /// Claims of the whole run, and when they were answered, if that is to be kept.
    pub claims: Option<Vec<(u64, Instant)>>,
    /// Granted in the whole run, warm-up included.
    pub granted_ever: u64,
}

impl Tally {
    /// Counts what comes between these moments.
    #[must_use]
    pub fn new(from: Instant, to: Instant, keep_claims: bool) -> Self {
        Self {
            from,
            to,
            times: Default::default(),
            steps: Default::default(),
            no_answer: 0,
            first_odd: None,
            no_retry_after: 0,
            claims: keep_claims.then(Vec::new),
            granted_ever: 0,
        }
    }

    /// An answer to a request whose time began then.
    pub fn note(&mut self, begun: Instant, now: Instant, answer: &Answer<'_>) {
        let kind = answer.kind;
        if kind == Kind::Granted {
            self.granted_ever += 1;
            if let (Some(claims), Some(number)) = (&mut self.claims, answer.number()) {
                claims.push((number, now));
            }
        }
        if kind == Kind::Other && self.first_odd.is_none() {
            let body = String::from_utf8_lossy(answer.body);
            self.first_odd = Some(format!("{} {}", answer.status, body.chars().take(300).collect::<String>()));
        }
        // The window is one of answers for rates, and the closed loop asks only after one.
        if now < self.from || now >= self.to {
            return;
        }
        self.count(begun, now, answer);
    }

    /// The same for an arrival that was due within the window, whenever its answer came.
    pub fn note_arrival(&mut self, due: Instant, now: Instant, answer: &Answer<'_>) {
        let (from, to) = (self.from, self.to);
        if due >= from && due < to && (now < from || now >= to) {
            self.count(due, now, answer);
        }
        self.note(due, now, answer);
    }

    fn count(&mut self, begun: Instant, now: Instant, answer: &Answer<'_>) {
        let index = answer.kind.index();
        if answer.kind == Kind::Unavailable && !answer.retry_after {
            self.no_retry_after += 1;
        }
        self.times[index].add(us(now.saturating_duration_since(begun)));
        let step = usize::try_from(now.saturating_duration_since(self.from).as_millis() / STEP.as_millis());
        let step = step.expect("a run has fewer steps than memory has addresses");
        let steps = &mut self.steps[index];
        if step >= steps.len() {
            steps.resize(step + 1, 0);
        }
        steps[step] += 1;
    }

    /// A request without an answer.
    pub fn note_error(&mut self, error: &std::io::Error) {
        self.no_answer += 1;
        self.first_odd.get_or_insert_with(|| format!("no answer: {error}"));
    }

    /// How many answers of a kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> u64 {
        self.times[kind.index()].total()
    }

    /// The times of a kind.
    #[must_use]
    pub fn times(&self, kind: Kind) -> &Histogram {
        &self.times[kind.index()]
    }

    /// Answers of a kind a second.
    #[must_use]
    #[expect(clippy::cast_precision_loss)]
    pub fn per_second(&self, kind: Kind) -> f64 {
        self.of(kind) as f64 / self.to.duration_since(self.from).as_secs_f64()
    }

    /// Fails if anything but this kind was answered.
    pub fn insist(&self, kind: Kind) -> anyhow::Result<()> {
        let others: u64 = Kind::ALL.into_iter().filter(|other| *other != kind).map(|other| self.of(other)).sum();
        anyhow::ensure!(
            others == 0 && self.no_answer == 0 && self.of(kind) > 0,
            "{} answers {}, {others} others and {} missing; the first odd one: {}",
            self.of(kind),
            kind.label(),
            self.no_answer,
            self.first_odd.as_deref().unwrap_or("none")
        );
        Ok(())
    }

    /// The times of a kind, for the report.
    #[must_use]
    pub fn latencies(&self, name: &str, kind: Kind) -> Latencies {
        Latencies { name: name.to_owned(), buckets: self.times(kind).buckets() }
    }

    /// Answers a second over time, by kind. Kinds that never came are left out.
    #[must_use]
    pub fn timeline(&self, name: &str) -> Timeline {
        #[expect(clippy::cast_possible_truncation)]
        let step_ms = STEP.as_millis() as u64;
        let count = usize::try_from(self.to.duration_since(self.from).as_millis() / STEP.as_millis()).unwrap_or(0);
        let series = Kind::ALL.into_iter().filter(|kind| self.of(*kind) > 0).map(|kind| {
            let steps = &self.steps[kind.index()];
            #[expect(clippy::cast_precision_loss)]
            let per_second = |count: u64| count as f64 / STEP.as_secs_f64();
            let values = (0..count).map(|step| per_second(steps.get(step).copied().unwrap_or_default())).collect();
            Series { name: kind.label().to_owned(), values }
        });
        let (name, unit) = (name.to_owned(), "answers/s".to_owned());
        Timeline { name, unit, step_ms, stacked: true, series: series.collect() }
    }
}

/// A time in whole us.
#[must_use]
pub fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRANTED: Answer<'_> =
        Answer { kind: Kind::Granted, status: 201, retry_after: false, body: br#"{"number":3}"# };

    fn tally() -> (Instant, Tally) {
        let from = Instant::now() + Duration::from_secs(10);
        (from, Tally::new(from, from + Duration::from_secs(1), true))
    }

    #[test]
    fn answers_count_when_they_come_within_the_window() {
        let (from, mut tally) = tally();
        let at = |ms| from + Duration::from_millis(ms);
        let before = Instant::now();
        tally.note(before, before, &GRANTED);
        tally.note(before, at(50), &GRANTED);
        tally.note(at(100), at(150), &GRANTED);
        tally.note(at(990), at(1_000), &GRANTED);
        assert_eq!((tally.of(Kind::Granted), tally.granted_ever), (2, 4));
        assert_eq!(tally.claims.as_ref().unwrap().len(), 4);
        let timeline = tally.timeline("t");
        assert_eq!(timeline.series.len(), 1);
        assert_eq!(timeline.series[0].values, [10.0, 10.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn an_arrival_counts_by_when_it_was_due_and_its_time_from_then() {
        let (from, mut tally) = tally();
        let due = from + Duration::from_millis(900);
        tally.note_arrival(due, due + Duration::from_millis(600), &GRANTED);
        assert_eq!(tally.of(Kind::Granted), 1);
        assert!(tally.times(Kind::Granted).percentile_us(50.0) >= 600_000);
    }

    #[test]
    fn anything_else_than_what_is_insisted_on_is_an_error() {
        let (from, mut tally) = tally();
        assert!(tally.insist(Kind::Granted).is_err(), "nothing at all");
        tally.note(from, from, &GRANTED);
        assert!(tally.insist(Kind::Granted).is_ok());
        tally.note(from, from, &Answer { kind: Kind::Other, status: 500, retry_after: false, body: b"oh" });
        assert!(tally.insist(Kind::Granted).unwrap_err().to_string().contains("500 oh"));
    }
}

//! What does this node know for certain? Refusals that need no question to Redis.
//!
//! A claim with an Idempotency-Key is never refused here, since it may be the repetition of one that was granted. What
//! is not certain is for Redis to decide.

use std::sync::LazyLock;
use std::time::Duration;

use metrics::Counter;

use super::answer::Answer;
use crate::campaign::{Campaign, Definition};
use crate::clock;
use crate::config;
use crate::ids::AttemptId;
use crate::redis::{Redis, TimeEstimate};

/// How many times the pause between two questions an estimate of Redis' time may be old: one question may get lost.
const ESTIMATES_AGE: u32 = 3;

/// How often each was said. Looked up by name once, and not for each refusal of a burst.
struct Counters {
    closed: Counter,
    not_open_yet: Counter,
    sold_out: Counter,
}

static COUNTERS: LazyLock<Counters> = LazyLock::new(|| {
    let counter = |code: &'static str| metrics::counter!("onrush_claim_refused_from_memory_total", "code" => code);
    Counters { closed: counter("closed"), not_open_yet: counter("not_open_yet"), sold_out: counter("sold_out") }
});

/// How long a refusal is trusted.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalRefusals {
    lease_us: u64,
    estimate_age_max: Duration,
    margin_ms: i64,
}

/// Where a campaign's window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    /// Certainly not open yet.
    Before(TimeEstimate),
    /// Certainly open, or always.
    Inside,
    /// Certainly over.
    After,
    /// Too near to one of its ends.
    Unsure,
}

impl LocalRefusals {
    pub(super) fn new(limits: &config::Claim) -> Self {
        Self {
            lease_us: limits.latch_lease_ms * 1_000,
            estimate_age_max: ESTIMATES_AGE * Duration::from_millis(limits.clock_every_ms),
            margin_ms: i64::try_from(limits.clock_margin_ms).unwrap_or(i64::MAX),
        }
    }

    /// How long a reply "nothing is left" holds, in us.
    pub(super) fn lease_us(self) -> u64 {
        self.lease_us
    }

    /// The refusal that is certain, if one is.
    pub(super) fn refusal(self, redis: &Redis, campaign: &Campaign, attempt: &AttemptId) -> Option<Answer> {
        if attempt.may_be_repeated() || campaign.is_lost() {
            return None;
        }
        let now = clock::uptime_us();
        let definition = campaign.definition();
        let (refusal, counter) = match self.window(redis, campaign, &definition, now) {
            Window::After => (Answer::Closed, &COUNTERS.closed),
            Window::Before(estimate) => (Answer::NotOpenYet { now: estimate.earliest }, &COUNTERS.not_open_yet),
            Window::Inside if !definition.paused && campaign.latch().refuses(now, self.lease_us) => {
                (Answer::SoldOut, &COUNTERS.sold_out)
            }
            Window::Inside | Window::Unsure => return None,
        };
        counter.increment(1);
        Some(refusal)
    }

    /// Whether those who wait already can be told that nothing is left.
    pub(super) fn is_sold_out(self, redis: &Redis, campaign: &Campaign) -> bool {
        let now = clock::uptime_us();
        let definition = campaign.definition();
        campaign.latch().is_shut(now, self.lease_us)
            && !campaign.is_lost()
            && !definition.paused
            && self.window(redis, campaign, &definition, now) == Window::Inside
    }

    fn window(self, redis: &Redis, campaign: &Campaign, definition: &Definition, now: u64) -> Window {
        if definition.closed {
            // For good: no later version opens it again.
            return Window::After;
        }
        let spec = &definition.spec;
        if spec.opens_at.is_none() && spec.closes_at.is_none() {
            return Window::Inside;
        }
        // The window may be moved: what is known of it is a lease, too.
        if definition.paused || campaign.definition_age_us(now) >= self.lease_us {
            return Window::Unsure;
        }
        match redis.time_estimate(self.estimate_age_max) {
            Some(estimate) => self.place(definition, estimate, campaign.decided_at()),
            None => Window::Unsure,
        }
    }

    /// `decided_at`: the time of the latest decision that this node knows of. Redis' time never runs back behind it.
    fn place(self, definition: &Definition, estimate: TimeEstimate, decided_at: i64) -> Window {
        let (earliest, latest) = (estimate.earliest.0 - self.margin_ms, estimate.latest.0 + self.margin_ms);
        let (opens_at, closes_at) = (definition.spec.opens_at, definition.spec.closes_at);
        if closes_at.is_some_and(|closes_at| closes_at.0 <= earliest) {
            Window::After
        } else if opens_at.is_some_and(|opens_at| latest.max(decided_at) < opens_at.0) {
            Window::Before(estimate)
        } else if opens_at.is_none_or(|opens_at| opens_at.0 <= earliest)
            && closes_at.is_none_or(|closes_at| latest < closes_at.0)
        {
            Window::Inside
        } else {
            Window::Unsure
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Spec;
    use crate::clock::Millis;

    #[test]
    fn near_an_end_of_the_window_nothing_is_certain() {
        let refusals = LocalRefusals { lease_us: 100_000, estimate_age_max: Duration::from_secs(3), margin_ms: 50 };
        let (opens_at, closes_at) = (Some(Millis(10_000)), Some(Millis(20_000)));
        let definition = Definition::first(Spec { opens_at, closes_at, ..Spec::new("c".parse().unwrap(), "n", 1) });
        let at = |earliest, latest, decided_at| {
            let estimate = TimeEstimate { earliest: Millis(earliest), latest: Millis(latest) };
            match refusals.place(&definition, estimate, decided_at) {
                Window::Before(_) => "before",
                Window::Inside => "inside",
                Window::After => "after",
                Window::Unsure => "unsure",
            }
        };
        assert_eq!(at(9_940, 9_949, 0), "before");
        assert_eq!(at(9_940, 9_950, 0), "unsure");
        assert_eq!(at(9_940, 9_949, 10_000), "unsure", "Redis has decided later than its clock shows now");
        assert_eq!(at(10_049, 10_060, 0), "unsure");
        assert_eq!(at(10_050, 10_060, 0), "inside");
        assert_eq!(at(19_940, 19_949, 0), "inside");
        assert_eq!(at(19_940, 19_950, 0), "unsure");
        assert_eq!(at(20_049, 20_060, 0), "unsure");
        assert_eq!(at(20_050, 20_060, 0), "after");
    }
}

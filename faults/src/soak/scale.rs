//! How long is everything, in a soak of so long with so many connections? A short one has all that a long one has.

use std::time::Duration;

/// No answer by then is none: longer than a node may take to give up.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(15);

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// The same seed is the same weather.
    pub seed: u64,
    /// From the first connection to the last request.
    pub time: Duration,
    /// All of them together.
    pub connections: usize,
}

/// Connections that are opened in a second, at most.
const CONNECTIONS_PER_SECOND: usize = 400;
/// Requests of well-behaved clients in a second, at most.
const REQUESTS_PER_SECOND: usize = 600;
/// Of a hundred connections so many never read, and so many send rubbish.
const ABSENT_PERCENT: usize = 10;
const RUBBISH_PERCENT: usize = 10;

impl Scale {
    /// Connections that never read.
    #[must_use]
    pub fn absent(&self) -> usize {
        (self.connections * ABSENT_PERCENT / 100).max(1)
    }

    /// Connections that send what is no request.
    #[must_use]
    pub fn rubbish(&self) -> usize {
        (self.connections * RUBBISH_PERCENT / 100).max(1)
    }

    /// The others.
    #[must_use]
    pub fn good(&self) -> usize {
        self.connections.saturating_sub(self.absent() + self.rubbish())
    }

    /// Connections are opened over so long: all at once would be a burst, and this is not about bursts.
    pub(super) fn ramp(&self) -> Duration {
        let all = Duration::from_secs_f64(ratio(self.connections, CONNECTIONS_PER_SECOND));
        (self.time / 30).clamp(Duration::from_secs(2), Duration::from_mins(1)).max(all)
    }

    /// Memory is judged after so long: until then it may fill what it fills once.
    pub(super) fn warm_up(&self) -> Duration {
        self.time / 6
    }

    /// A client that is well-behaved sends something after so long at the earliest, and twice that at the latest: some
    /// hundred requests a second in all, however many clients there are.
    pub(super) fn turn(&self) -> Duration {
        let all = Duration::from_secs_f64(ratio(self.good(), REQUESTS_PER_SECOND));
        (self.time / 120).clamp(Duration::from_millis(500), Duration::from_secs(15)).max(all * 2 / 3)
    }

    /// A connection that carries nothing is kept for longer than a client's longest pause.
    pub(super) fn idle(&self) -> Duration {
        self.turn() * 2 + ANSWER_MAX
    }

    /// From one set of campaigns to the next.
    pub(super) fn campaigns_every(&self) -> Duration {
        (self.time / 30).clamp(Duration::from_secs(3), Duration::from_mins(1))
    }

    /// From one look at memory and loops to the next.
    pub(super) fn look_every(&self) -> Duration {
        (self.time / 60).clamp(Duration::from_millis(250), Duration::from_secs(10))
    }

    /// From one fault to the next, in ms: between so many and four times that.
    pub(super) fn calm_ms(&self) -> u64 {
        u64::try_from(self.time.as_millis() / 1_000).unwrap_or(u64::MAX).clamp(200, 1_500)
    }

    /// From one restart of Redis to the next: long enough for what it excuses to be over.
    pub(super) fn redis_lives(&self) -> Duration {
        (self.time / 8).max(Duration::from_secs(30))
    }

    /// When it is restarted for the first time.
    pub(super) fn redis_lives_at_first(&self) -> Duration {
        (self.time / 3).min(self.redis_lives())
    }

    /// How long a node waits for who takes nothing.
    pub(super) fn write_stall(&self) -> Duration {
        (self.time / 6).clamp(Duration::from_secs(2), Duration::from_secs(30))
    }
}

/// The part that one number is of another.
#[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 connections")]
pub(super) fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_does_not_read_and_a_tenth_sends_rubbish() {
        let scale = Scale { seed: 1, time: Duration::from_mins(30), connections: 16_000 };
        assert_eq!((scale.good(), scale.absent(), scale.rubbish()), (12_800, 1_600, 1_600));
        assert_eq!(scale.turn(), Duration::from_secs(15));
        assert_eq!(scale.idle(), Duration::from_secs(45));
        assert_eq!(scale.warm_up(), Duration::from_mins(5));
        assert_eq!(scale.look_every(), Duration::from_secs(10));
    }

    #[test]
    fn a_short_soak_of_many_asks_no_more_in_a_second_than_a_long_one() {
        let scale = Scale { seed: 1, time: Duration::from_mins(1), connections: 4_500 };
        assert_eq!(scale.turn(), Duration::from_secs(4), "3,600 clients, every 4 to 8 s");
        assert_eq!(scale.ramp(), Duration::from_millis(11_250));
    }
}

//! When is the next arrival due? A timer of the kernel's that is finer than the millisecond of the runtime's own.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::unix::AsyncFd;

/// More ticks a second would only take time from what is measured. An arrival may be sent so much later than it was due,
/// and that counts as time that its answer took.
pub const TICK_MIN: Duration = Duration::from_micros(250);

/// Moments at a fixed rate.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// When the first arrival is due.
    pub start: Instant,
    /// Arrivals a second.
    pub per_second: f64,
}

impl Schedule {
    /// When an arrival is due, counted from 0.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a run has far fewer than 2^52 arrivals")]
    pub fn due_at(&self, arrival: u64) -> Instant {
        self.start + Duration::from_secs_f64(arrival as f64 / self.per_second)
    }

    /// How many are due by now.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both are far from their limits")]
    pub fn due_by(&self, now: Instant) -> u64 {
        match now.checked_duration_since(self.start) {
            // Rounding may be short of an arrival that is due just now; it is not lost, but found by the next tick.
            Some(elapsed) => (elapsed.as_secs_f64() * self.per_second).floor() as u64 + 1,
            None => 0,
        }
    }

    fn tick(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second).max(TICK_MIN)
    }
}

/// The timer.
pub struct Ticker {
    timer: AsyncFd<OwnedFd>,
}

impl Ticker {
    /// One that ticks as often as the schedule needs.
    pub fn new(schedule: &Schedule) -> anyhow::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags).context("making a timer")?;
        let tick = schedule.tick();
        let tick = Timespec {
            tv_sec: i64::try_from(tick.as_secs()).context("a tick is shorter than that")?,
            tv_nsec: tick.subsec_nanos().into(),
        };
        rustix::time::timerfd_settime(
            &timer,
            TimerfdTimerFlags::empty(),
            &Itimerspec { it_interval: tick, it_value: tick },
        )
        .context("setting a timer")?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for what is not as it should be of other types: not of this one"
        )]
        let timer = AsyncFd::new(timer)?;
        Ok(Self { timer })
    }

    /// Waits for the next tick.
    pub async fn tick(&self) -> anyhow::Result<()> {
        loop {
            let mut ready = self.timer.readable().await?;
            let mut expired = [0; 8];
            let read = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut expired)?));
            if let Ok(read) = read {
                read?;
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_due_at_their_rate_whatever_the_ticks_were() {
        let schedule = Schedule { start: Instant::now(), per_second: 2_000.0 };
        assert_eq!(schedule.due_at(2_000), schedule.start + Duration::from_secs(1));
        assert_eq!(schedule.due_by(schedule.start), 1);
        assert_eq!(schedule.due_by(schedule.start + Duration::from_millis(10) + Duration::from_micros(100)), 21);
        if let Some(before) = schedule.start.checked_sub(Duration::from_millis(1)) {
            assert_eq!(schedule.due_by(before), 0);
        }
    }

    #[test]
    fn ticks_are_no_more_frequent_than_they_may_be() {
        let at = |per_second| Schedule { start: Instant::now(), per_second }.tick();
        assert_eq!((at(1_000_000.0), at(100.0)), (TICK_MIN, Duration::from_millis(10)));
    }

    #[tokio::test]
    async fn no_arrival_is_lost_and_none_is_early() {
        let schedule = Schedule { start: Instant::now(), per_second: 4_000.0 };
        let ticker = Ticker::new(&schedule).unwrap();
        let mut issued = 0;
        while issued < 200 {
            ticker.tick().await.unwrap();
            let due = schedule.due_by(Instant::now());
            assert!(due >= issued);
            issued = due;
            assert!(schedule.due_at(issued - 1) <= Instant::now() + Duration::from_micros(1));
        }
        assert!(schedule.start.elapsed() >= Duration::from_millis(49));
    }
}

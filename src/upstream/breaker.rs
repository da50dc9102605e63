//! Is it worth calling at all? A circuit breaker: failsafe's state machine with a window of the last calls.
//!
//! - Closed: everybody calls. Of the last calls too many failed: open, and nobody calls for a while.
//! - Calls count in the order in which they began. Slow ones end together, long after the quick ones that began between them:
//!   in the order of their ends, a fifth of all calls would look like an outage.
//! - Then half-open: so many probes and not one more; what they say together closes or opens it.
//! - A call that began before the last change says nothing about what is now.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use failsafe::{FailurePolicy, Instrument, StateMachine};

use crate::config;

const CLOSED: u8 = 0;
const HALF_OPEN: u8 = 1;
const OPEN: u8 = 2;

/// Calls that wait for an earlier one to end, at most; beyond that they are not counted.
const WAITING_MAX: usize = 100_000;

/// Decides who may call, by how the last calls went.
pub(super) struct Breaker {
    inner: Mutex<Inner>,
    probes: usize,
    percent: u32,
}

/// Under one lock, so that the state, and what is counted in it, never disagree.
struct Inner {
    machine: StateMachine<Window, Seen>,
    seen: Arc<AtomicU8>,
    /// One more at each change of state.
    period: u64,
    probes: Probes,
    /// Calls of the closed state in the order in which they began, from the first that has not ended.
    calls: VecDeque<Call>,
    /// How many calls of this period came before these.
    calls_before: usize,
}

/// What is known of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    UnderWay,
    Ended {
        is_success: bool,
    },
    /// Nobody will say how it went.
    Abandoned,
}

/// What the half-open state has found out so far.
#[derive(Default)]
struct Probes {
    begun: usize,
    ended: usize,
    failed: usize,
}

/// The right to make one call, which owes a word about how it went.
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    period: u64,
    /// Which call of the period it is.
    number: usize,
    is_owed: bool,
}

impl Breaker {
    pub(super) fn new(settings: &config::Upstream) -> Self {
        let window = Window {
            failed: VecDeque::new(),
            calls: settings.breaker_window as usize,
            percent: settings.breaker_percent,
            open: Duration::from_millis(settings.breaker_open_ms),
        };
        let seen = Arc::new(AtomicU8::new(CLOSED));
        let machine = StateMachine::new(window, Seen(Arc::clone(&seen)));
        metrics::gauge!("onrush_upstream_breaker_state").set(CLOSED);
        let inner =
            Inner { machine, seen, period: 0, probes: Probes::default(), calls: VecDeque::new(), calls_before: 0 };
        Self { inner: Mutex::new(inner), probes: settings.breaker_probes as usize, percent: settings.breaker_percent }
    }

    /// `None`: it is open, or as many probe as may.
    pub(super) fn admit(&self) -> Option<Permit<'_>> {
        let mut inner = self.lock();
        if !inner.change(StateMachine::is_call_permitted) {
            return None;
        }
        let number = inner.calls_before + inner.calls.len();
        if inner.state() == HALF_OPEN {
            if inner.probes.begun == self.probes {
                return None;
            }
            inner.probes.begun += 1;
        } else if inner.calls.len() < WAITING_MAX {
            inner.calls.push_back(Call::UnderWay);
        }
        Some(Permit { breaker: self, period: inner.period, number, is_owed: true })
    }

    fn ended(&self, permit: &Permit<'_>, how: Call) {
        let mut inner = self.lock();
        if inner.period != permit.period {
            return;
        }
        if inner.state() == HALF_OPEN {
            self.probed(&mut inner, how);
        } else {
            let index = permit.number - inner.calls_before;
            if let Some(call) = inner.calls.get_mut(index) {
                *call = how;
            }
            inner.count();
        }
    }

    fn probed(&self, inner: &mut Inner, how: Call) {
        let Call::Ended { is_success } = how else {
            // Another may probe instead.
            inner.probes.begun -= 1;
            return;
        };
        inner.probes.ended += 1;
        inner.probes.failed += usize::from(!is_success);
        if inner.probes.ended == self.probes {
            let is_bad = is_bad(inner.probes.failed, self.probes, self.percent);
            inner.change(if is_bad { StateMachine::on_error } else { StateMachine::on_success });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// How the call went.
    pub(super) fn ended(mut self, is_success: bool) {
        self.is_owed = false;
        self.breaker.ended(&self, Call::Ended { is_success });
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_owed {
            self.breaker.ended(self, Call::Abandoned);
        }
    }
}

impl Inner {
    fn state(&self) -> u8 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Counts the calls that have ended and do not wait for an earlier one.
    fn count(&mut self) {
        let period = self.period;
        while self.period == period
            && let Some(call) = self.calls.pop_front_if(|call| *call != Call::UnderWay)
        {
            self.calls_before += 1;
            if let Call::Ended { is_success } = call {
                self.change(if is_success { StateMachine::on_success } else { StateMachine::on_error });
            }
        }
    }

    /// Lets the machine act, and begins a new period if that changed its state.
    fn change<T>(&mut self, act: impl FnOnce(&StateMachine<Window, Seen>) -> T) -> T {
        let before = self.state();
        let result = act(&self.machine);
        let now = self.state();
        if now != before {
            self.period += 1;
            self.probes = Probes::default();
            self.calls.clear();
            self.calls_before = 0;
            metrics::gauge!("onrush_upstream_breaker_state").set(now);
            let to = match now {
                CLOSED => "closed",
                HALF_OPEN => "half_open",
                _ => "open",
            };
            metrics::counter!("onrush_upstream_breaker_changes_total", "to" => to).increment(1);
            // Between these two it tries again every few seconds: that is in the counter, not in the log.
            match (before, now) {
                (CLOSED, OPEN) => tracing::warn!("the breaker of the user-info API opened: too many calls failed"),
                (_, CLOSED) => tracing::info!("the breaker of the user-info API closed: it answers again"),
                _ => {}
            }
        }
        result
    }
}

/// How the last calls went.
#[derive(Debug)]
struct Window {
    failed: VecDeque<bool>,
    calls: usize,
    percent: u32,
    open: Duration,
}

impl Window {
    fn push(&mut self, failed: bool) {
        if self.failed.len() == self.calls {
            self.failed.pop_front();
        }
        self.failed.push_back(failed);
    }
}

impl FailurePolicy for Window {
    fn record_success(&mut self) {
        self.push(false);
    }

    fn mark_dead_on_failure(&mut self) -> Option<Duration> {
        self.push(true);
        let failed = self.failed.iter().filter(|failed| **failed).count();
        (self.failed.len() == self.calls && is_bad(failed, self.calls, self.percent)).then_some(self.open)
    }

    fn revived(&mut self) {
        self.failed.clear();
    }
}

/// What the machine says of its own changes.
#[derive(Debug)]
struct Seen(Arc<AtomicU8>);

impl Instrument for Seen {
    fn on_call_rejected(&self) {}

    fn on_open(&self) {
        self.0.store(OPEN, Ordering::Relaxed);
    }

    fn on_half_open(&self) {
        self.0.store(HALF_OPEN, Ordering::Relaxed);
    }

    fn on_closed(&self) {
        self.0.store(CLOSED, Ordering::Relaxed);
    }
}

fn is_bad(failed: usize, of: usize, percent: u32) -> bool {
    failed * 100 >= of * percent as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// Opens for so long at half of ten calls, and closes by four probes.
    fn breaker(open_ms: u64) -> Breaker {
        let mut settings = Config::load(None).unwrap().upstream;
        (settings.breaker_window, settings.breaker_percent) = (10, 50);
        (settings.breaker_open_ms, settings.breaker_probes) = (open_ms, 4);
        Breaker::new(&settings)
    }

    fn calls(breaker: &Breaker, successes: &[bool]) {
        for is_success in successes {
            breaker.admit().expect("it may call").ended(*is_success);
        }
    }

    fn state(breaker: &Breaker) -> u8 {
        breaker.lock().state()
    }

    /// It opens for no time at all: the clock's next tick ends that.
    fn first_probe(breaker: &Breaker) -> Permit<'_> {
        loop {
            if let Some(permit) = breaker.admit() {
                return permit;
            }
        }
    }

    #[test]
    fn it_opens_when_half_of_the_last_ten_failed_and_not_before() {
        let breaker = breaker(60_000);
        calls(&breaker, &[true; 20]);
        calls(&breaker, &[false; 4]);
        calls(&breaker, &[true; 6]);
        calls(&breaker, &[false; 4]);
        assert_eq!(state(&breaker), CLOSED);
        calls(&breaker, &[false]);
        assert_eq!(state(&breaker), OPEN);
        assert!(breaker.admit().is_none());
    }

    #[test]
    fn slow_calls_that_fail_together_count_where_they_began() {
        let breaker = breaker(60_000);
        let mut slow = Vec::new();
        for _ in 0..20 {
            slow.push(breaker.admit().expect("it is closed"));
            calls(&breaker, &[true; 4]);
        }
        for call in slow {
            call.ended(false);
        }
        assert_eq!(state(&breaker), CLOSED, "a fifth failed");
        calls(&breaker, &[false; 3]);
        assert_eq!(state(&breaker), CLOSED);
        calls(&breaker, &[false]);
        assert_eq!(state(&breaker), OPEN);
    }

    #[test]
    fn a_call_of_which_nothing_is_heard_holds_nothing_up() {
        let breaker = breaker(60_000);
        let silent = breaker.admit().expect("it is closed");
        calls(&breaker, &[false; 10]);
        assert_eq!(state(&breaker), CLOSED);
        drop(silent);
        assert_eq!(state(&breaker), OPEN);
    }

    #[test]
    fn a_few_calls_that_all_fail_are_no_window() {
        let breaker = breaker(60_000);
        calls(&breaker, &[false; 9]);
        assert_eq!(state(&breaker), CLOSED);
    }

    #[test]
    fn half_open_it_lets_so_many_probe_and_closes_by_what_they_all_say() {
        let breaker = breaker(0);
        calls(&breaker, &[false; 10]);
        let first = first_probe(&breaker);
        let more = [(); 3].map(|()| breaker.admit().expect("a probe"));
        assert!(breaker.admit().is_none(), "a fifth probe");
        first.ended(false);
        for call in more {
            call.ended(true);
        }
        assert_eq!(state(&breaker), CLOSED, "one of four failed");
        calls(&breaker, &[false; 8]);
        assert_eq!(state(&breaker), CLOSED, "what was before the opening is forgotten");
    }

    #[test]
    fn probes_of_which_half_fail_open_it_again() {
        let breaker = breaker(0);
        calls(&breaker, &[false; 10]);
        let first = first_probe(&breaker);
        first.ended(true);
        calls(&breaker, &[false, true]);
        assert_eq!(state(&breaker), HALF_OPEN);
        calls(&breaker, &[false]);
        assert_eq!(state(&breaker), OPEN);
    }

    #[test]
    fn a_probe_that_says_nothing_leaves_its_place_to_another() {
        let breaker = breaker(0);
        calls(&breaker, &[false; 10]);
        drop(first_probe(&breaker));
        for _ in 0..100 {
            drop(breaker.admit().expect("a probe"));
        }
        calls(&breaker, &[true; 4]);
        assert_eq!(state(&breaker), CLOSED);
    }

    #[test]
    fn a_call_from_before_the_opening_says_nothing_about_what_is_now() {
        let breaker = breaker(0);
        calls(&breaker, &[false; 9]);
        let tenth = breaker.admit().expect("it is closed");
        let late = [(); 8].map(|()| breaker.admit().expect("it is closed"));
        tenth.ended(false);
        let probe = first_probe(&breaker);
        for call in late {
            call.ended(true);
        }
        assert_eq!(state(&breaker), HALF_OPEN);
        drop(probe);
    }
}

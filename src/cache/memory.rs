//! The tier in the process: what is in memory, who loads what, and who waits for whom.
//!
//! - A stripe's counter is raised by every invalidation of one of its entries. What was looked up is only put in if the
//!   counter is still what it was before the lookup began, and both happen under the stripe's lock: so nothing that was
//!   read before an invalidation comes in after it.
//! - A load that is under way can be joined until an invalidation takes it from the list; it goes on for those who had
//!   asked before.
//! - A hit takes no lock.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moka::notification::RemovalCause;
use moka::sync::Cache as Moka;
use tokio::sync::{Notify, watch};

use super::names::{BuildAsIs, Id};
use super::question::{Anything, Outcome};
use super::stats::Counters;

/// Locks of the memory. An invalidation also refuses what is being looked up for others of its stripe: the more, the
/// fewer.
const STRIPES: usize = 256;
/// What an entry takes in memory besides its value, about: moka's records and our own.
const ENTRY_BYTES: usize = 320;

/// An entry in memory. Times are the process' own, in us.
pub(super) struct Held {
    /// `None`: there is no such thing.
    pub(super) value: Option<Anything>,
    /// Bytes of the value as JSON.
    pub(super) json_bytes: usize,
    /// When it was asked for: what was invalidated before is not in it.
    pub(super) asked_us: u64,
    pub(super) fresh_until_us: u64,
    pub(super) kept_until_us: u64,
    /// From when on it is to be looked up again before it ends, if it is hot.
    pub(super) due_us: AtomicU64,
}

impl Held {
    /// Whether the caller is the one to look it up again; nobody else is for so long.
    pub(super) fn take_turn(&self, now_us: u64, for_us: u64) -> bool {
        let due_us = self.due_us.load(Ordering::Relaxed);
        now_us >= due_us
            && self.due_us.compare_exchange(due_us, now_us + for_us, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// The tier.
pub(super) struct Memory {
    entries: Moka<Id, Arc<Held>, BuildAsIs>,
    stripes: Box<[Mutex<Stripe>]>,
}

#[derive(Default)]
struct Stripe {
    counter: u64,
    flights: HashMap<Id, Flight, BuildAsIs>,
    flights_begun: u64,
    waiting: Vec<(Id, Arc<Notify>)>,
}

struct Flight {
    number: u64,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// What came of asking for a place in a load.
pub(super) enum Join {
    /// One is under way.
    Joined(watch::Receiver<Option<Outcome>>),
    /// None was: the caller has to load.
    Begun(Begun),
    /// None was, and the caller may not begin one.
    Refused,
}

/// A load that was begun. Dropped, it can be joined no more.
pub(super) struct Begun {
    memory: Arc<Memory>,
    id: Id,
    number: u64,
    /// The stripe's counter before it began.
    pub(super) seen: u64,
    pub(super) tell: watch::Sender<Option<Outcome>>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut stripe = self.memory.stripe(self.id);
        if stripe.flights.get(&self.id).is_some_and(|flight| flight.number == self.number) {
            stripe.flights.remove(&self.id);
        }
    }
}

/// Somebody who waits until another node has loaded.
pub(super) struct Waiting {
    memory: Arc<Memory>,
    id: Id,
    woken: Arc<Notify>,
}

impl Waiting {
    /// Until there may be news. What came since this began to wait counts.
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.memory.stripe(self.id).waiting.retain(|(_, woken)| !Arc::ptr_eq(woken, &self.woken));
    }
}

impl Memory {
    pub(super) fn new(bytes_max: u64, counters: &Arc<Counters>) -> Arc<Self> {
        let counters = Arc::clone(counters);
        let entries = Moka::builder()
            .max_capacity(bytes_max)
            .weigher(|_, held: &Arc<Held>| u32::try_from(held.json_bytes + ENTRY_BYTES).unwrap_or(u32::MAX))
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    counters.local.evictions.one();
                }
            })
            .build_with_hasher(BuildAsIs::default());
        Arc::new(Self { entries, stripes: (0..STRIPES).map(|_| Mutex::default()).collect() })
    }

    fn stripe(&self, id: Id) -> MutexGuard<'_, Stripe> {
        // A panic between two statements leaves a stripe that is whole.
        self.stripes[id.bits(96) % STRIPES].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, id: Id) -> Option<Arc<Held>> {
        self.entries.get(&id)
    }

    /// What has to be unchanged when something is put in that is looked up from now on.
    pub(super) fn counter(&self, id: Id) -> u64 {
        self.stripe(id).counter
    }

    /// Puts it in, unless something was invalidated since the counter was seen, or what is there was asked for later.
    pub(super) fn keep(&self, id: Id, seen: u64, held: Held) {
        let stripe = self.stripe(id);
        let is_newest = || self.get(id).is_none_or(|there| there.asked_us <= held.asked_us);
        if stripe.counter == seen && is_newest() {
            self.entries.insert(id, Arc::new(held));
        }
    }

    /// It is not so any more, and no load that is under way may be joined. Wakes those who wait for another node's.
    pub(super) fn forget(&self, id: Id) {
        let mut stripe = self.stripe(id);
        stripe.counter += 1;
        self.entries.invalidate(&id);
        stripe.flights.remove(&id);
        wake(&stripe, id);
    }

    /// Wakes those who wait for another node to load this.
    pub(super) fn wake(&self, id: Id) {
        wake(&self.stripe(id), id);
    }

    /// A place in the load that is under way, or in one that the caller begins.
    pub(super) fn join(self: &Arc<Self>, id: Id, may_begin: bool) -> Join {
        let mut stripe = self.stripe(id);
        if let Some(flight) = stripe.flights.get(&id) {
            return Join::Joined(flight.outcome.clone());
        }
        if !may_begin {
            return Join::Refused;
        }
        let (tell, outcome) = watch::channel(None);
        stripe.flights_begun += 1;
        let (number, seen) = (stripe.flights_begun, stripe.counter);
        stripe.flights.insert(id, Flight { number, outcome });
        drop(stripe);
        Join::Begun(Begun { memory: Arc::clone(self), id, number, seen, tell })
    }

    /// Hears from now on when somebody else has loaded this.
    pub(super) fn wait(self: &Arc<Self>, id: Id) -> Waiting {
        let woken = Arc::new(Notify::new());
        self.stripe(id).waiting.push((id, Arc::clone(&woken)));
        Waiting { memory: Arc::clone(self), id, woken }
    }

    /// Bytes and entries, after what moka has put off.
    pub(super) fn size(&self) -> (u64, u64) {
        self.entries.run_pending_tasks();
        (self.entries.weighted_size(), self.entries.entry_count())
    }
}

fn wake(stripe: &Stripe, id: Id) {
    // It stays woken until it looks.
    stripe.waiting.iter().filter(|(waits_for, _)| *waits_for == id).for_each(|(_, woken)| woken.notify_one());
}

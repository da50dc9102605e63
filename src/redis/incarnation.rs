//! One life of one server, and which of them this node lets decide.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use tokio::sync::Notify;

use super::script::Script;

/// One life of one server, as far as the keys of one installation are concerned.
#[derive(Debug)]
pub struct Incarnation {
    pub(super) name: String,
    /// By the hash of the text alone.
    shas: RwLock<HashMap<Arc<str>, Arc<str>>>,
}

impl Incarnation {
    pub(super) fn new(name: String) -> Arc<Self> {
        Arc::new(Self { name, shas: RwLock::default() })
    }

    /// The script's text for this incarnation.
    pub(super) fn text(&self, source: &str) -> String {
        format!("{source}\n-- decides in: {}\n", self.name)
    }

    /// The script that is here where this incarnation was verified.
    pub(super) fn marker(&self) -> String {
        format!("-- verified: {}\nreturn 1\n", self.name)
    }

    /// What the script is called by here.
    pub(super) fn sha<const KEYS: usize>(&self, script: &Script<KEYS>) -> Arc<str> {
        let known = self.shas.read().unwrap_or_else(PoisonError::into_inner).get(&script.sha()).cloned();
        known.unwrap_or_else(|| {
            let sha: Arc<str> = fred::util::sha1_hash(&self.text(script.source())).into();
            self.shas.write().unwrap_or_else(PoisonError::into_inner).insert(script.sha(), Arc::clone(&sha));
            sha
        })
    }
}

/// Which servers this node lets decide.
#[derive(Default)]
pub(super) struct Fence {
    /// By slot; a Redis that is no cluster has one entry, of slot 0.
    pub(super) verified: RwLock<HashMap<u16, Arc<Incarnation>>>,
    pub(super) is_cluster: bool,
    /// Somebody met a server that is not verified.
    pub(super) met: Notify,
    /// How many incarnations this node has let decide.
    pub(super) lives: AtomicU64,
    /// What was verified may be gone, although the server lives on (see [`super::Redis::doubt`]): how often that was noticed, and up
    /// to which time all was verified since.
    pub(super) doubts: AtomicU64,
    pub(super) settled: AtomicU64,
    /// Since when a server is refused; `None`: none is, as far as anyone has met one.
    closed: Mutex<Option<Instant>>,
    pub(super) loading: tokio::sync::Mutex<()>,
}

/// What a script is called by on the server that has its keys.
pub(super) struct Named {
    pub(super) sha: Arc<str>,
    pub(super) incarnation: Option<Arc<Incarnation>>,
}

impl Fence {
    pub(super) fn new(is_cluster: bool) -> Self {
        // Closed until somebody has looked.
        Self { is_cluster, closed: Mutex::new(Some(Instant::now())), ..Self::default() }
    }

    fn place(&self, slot: Option<u16>) -> u16 {
        if self.is_cluster { slot.unwrap_or(0) } else { 0 }
    }

    pub(super) fn of(&self, slot: Option<u16>) -> Option<Arc<Incarnation>> {
        self.verified.read().unwrap_or_else(PoisonError::into_inner).get(&self.place(slot)).cloned()
    }

    pub(super) fn since(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets nobody through to these slots' server any more, and wakes whoever verifies.
    pub(super) fn close(&self, slot: Option<u16>, known: Option<&Arc<Incarnation>>) {
        let place = self.place(slot);
        let mut verified = self.verified.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have verified the next one meanwhile.
        if verified.get(&place).map(Arc::as_ptr) == known.map(Arc::as_ptr)
            && let Some(gone) = verified.remove(&place)
        {
            verified.retain(|_, incarnation| !Arc::ptr_eq(incarnation, &gone));
        }
        drop(verified);
        self.since().get_or_insert_with(Instant::now);
        self.met.notify_one();
    }

    pub(super) fn open(&self, places: impl Iterator<Item = u16>, incarnation: &Arc<Incarnation>) {
        let mut verified = self.verified.write().unwrap_or_else(PoisonError::into_inner);
        verified.extend(places.map(|place| (place, Arc::clone(incarnation))));
        drop(verified);
        self.lives.fetch_add(1, Ordering::AcqRel);
    }
}

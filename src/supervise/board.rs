//! How the loops of a node are, for whoever asks.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::contract::Need;
use crate::clock::Millis;

/// What a loop does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoopState {
    /// Its work.
    Running,
    /// It has ended before its time, and begins anew in a moment.
    Restarting,
    /// It has ended, as it was told to.
    Stopped,
    /// It did not come back: its process ends.
    GivenUp,
}

/// A loop as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LoopView {
    /// Its name.
    #[schema(example = "relay")]
    pub name: &'static str,
    /// What it does.
    pub state: LoopState,
    /// How often it has ended before its time since the node started.
    pub restarts: u64,
    /// Why it ended the last time, where it did.
    pub ended: Option<String>,
    /// When that was, by the node's clock.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Millis>,
}

/// All loops of a node.
#[derive(Default)]
pub struct Board {
    entries: RwLock<Vec<Arc<Entry>>>,
    given_up: CancellationToken,
}

/// One loop.
pub(super) struct Entry {
    pub(super) name: &'static str,
    need: Need,
    view: Mutex<LoopView>,
    /// A test wants it to break.
    pub(super) broken: Notify,
}

impl Board {
    pub(super) fn add(&self, name: &'static str, need: Need) -> Arc<Entry> {
        let view = LoopView { name, state: LoopState::Running, restarts: 0, ended: None, ended_at: None };
        let entry = Arc::new(Entry { name, need, view: Mutex::new(view), broken: Notify::new() });
        self.entries.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&entry));
        metrics::gauge!("onrush_loop_running", "loop" => name).set(1.0);
        metrics::counter!("onrush_loop_restarts_total", "loop" => name).absolute(0);
        entry
    }

    fn entries(&self) -> Vec<Arc<Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All loops, in the order in which they were started.
    #[must_use]
    pub fn loops(&self) -> Vec<LoopView> {
        self.entries().iter().map(|entry| entry.view()).collect()
    }

    /// Loops that do not run, without which the node must not serve.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let entries = self.entries();
        let down = entries.iter().filter(|it| it.need == Need::ToServe && it.view().state != LoopState::Running);
        down.map(|entry| entry.name).collect()
    }

    /// How often any loop has ended before its time since the node started.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.entries().iter().map(|entry| entry.view().restarts).sum()
    }

    /// Returns when a loop did not come back, with its name and why.
    pub async fn given_up(&self) -> (&'static str, String) {
        self.given_up.cancelled().await;
        let given_up = self.loops().into_iter().find(|view| view.state == LoopState::GivenUp);
        given_up.map_or(("", String::new()), |view| (view.name, view.ended.unwrap_or_default()))
    }

    pub(super) fn give_up(&self) {
        self.given_up.cancel();
    }

    /// For tests: this loop panics where it stands. `false`: there is no such loop.
    pub fn break_loop(&self, name: &str) -> bool {
        let found = self.entries().into_iter().find(|entry| entry.name == name);
        found.is_some_and(|entry| {
            entry.broken.notify_one();
            true
        })
    }
}

impl Entry {
    fn view(&self) -> LoopView {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is(&self, state: LoopState) {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).state = state;
        metrics::gauge!("onrush_loop_running", "loop" => self.name).set(f64::from(state == LoopState::Running));
    }

    /// It has ended before its time.
    pub(super) fn ended(&self, why: &str) {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        view.restarts += 1;
        (view.ended, view.ended_at) = (Some(why.to_owned()), Some(Millis::now()));
        metrics::counter!("onrush_loop_restarts_total", "loop" => self.name).increment(1);
    }
}

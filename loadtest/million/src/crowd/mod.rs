//! A million visitors: each joins, asks again when told to, and comes in when told so. One thread, a bounded number of
//! connections over all nodes, and whoever is due next asks on the one that is free.

mod found;
mod people;
mod request;
mod shared;
mod visit;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bench::load::on_a_thread;
use loadtest::wire::Wire;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

use crate::history::StatusAnswer;
use crate::wheel::Wheel;
pub(crate) use found::{Found, Second};
pub(crate) use people::{People, State};
use request::Phrases;
pub(crate) use shared::Crowd;
use shared::{Shared, Turn};

/// How often due timers are looked for.
const RING_EVERY: Duration = Duration::from_millis(20);
/// How long what is under way at the end may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What it came to.
pub(crate) struct Outcome {
    pub(crate) found: Found,
    pub(crate) people: People,
}

impl Crowd {
    /// Lets them come, until it is stopped.
    pub(crate) async fn come(self) -> anyhow::Result<Outcome> {
        on_a_thread(async move || self.run().await).await
    }

    async fn run(self) -> anyhow::Result<Outcome> {
        ensure!(self.connections > 0 && self.count <= self.users.count(), "a crowd without tokens or connections");
        let mut wires = Vec::with_capacity(self.connections);
        for index in 0..self.connections {
            let node = self.nodes[index % self.nodes.len()];
            wires.push(Wire::open(node).await.with_context(|| format!("connecting to {node}"))?);
        }
        let begun = Instant::now();
        let stop = Arc::clone(&self.stop);
        let shared = Rc::new(Shared {
            begun,
            phrases: self.nodes.iter().map(|node| Phrases::new(*node, &self.campaign)).collect(),
            people: RefCell::new(People::new(self.count)),
            wheel: RefCell::new(Wheel::new(begun, self.count)),
            due: RefCell::default(),
            next_join: Cell::new(0),
            turns: Semaphore::new(self.count),
            found: RefCell::default(),
            crowd: self,
        });
        let asking = LocalSet::new();
        for (index, wire) in wires.into_iter().enumerate() {
            asking.spawn_local(ask(Rc::clone(&shared), index, wire));
        }
        asking.run_until(ring(&shared, &stop)).await;
        shared.turns.close();
        let is_done = tokio::time::timeout(PATIENCE, asking).await.is_ok();
        let found = std::mem::take(&mut *shared.found.borrow_mut());
        let people = std::mem::replace(&mut *shared.people.borrow_mut(), People::new(0));
        ensure!(is_done, "answers were still missing after {PATIENCE:?}");
        Ok(Outcome { found, people })
    }
}

/// Looks who is due, until it is told to stop.
async fn ring(shared: &Shared, stop: &AtomicBool) {
    let mut interval = tokio::time::interval(RING_EVERY);
    while !stop.load(Ordering::Relaxed) {
        interval.tick().await;
        let mut due = shared.due.borrow_mut();
        let before = due.len();
        shared.wheel.borrow_mut().ring(Instant::now(), |user, at| due.push_back((user, at)));
        shared.turns.add_permits(due.len() - before);
    }
}

/// One connection.
async fn ask(shared: Rc<Shared>, index: usize, mut wire: Wire) {
    let node = index % shared.phrases.len();
    let mut request = Vec::with_capacity(1 << 10);
    loop {
        let Ok(permit) = shared.turns.acquire().await else { return };
        permit.forget();
        let Some(turn) = shared.next_turn() else { continue };
        let mut visit = visit::Visit { shared: &shared, node, wire: &mut wire, request: &mut request };
        if let Err(error) = visit.take(turn).await {
            shared.found.borrow_mut().wrong(|| format!("no answer: {error}"));
            shared.again(turn.user(), Duration::from_secs(1));
            match Wire::open(shared.crowd.nodes[node]).await {
                Ok(new) => wire = new,
                Err(_gone) => return,
            }
        }
    }
}

impl Turn {
    fn user(self) -> u32 {
        match self {
            Self::Join(user) | Self::Status(user, _) => user,
        }
    }
}

impl Shared {
    /// Who was told to ask now asks before anybody else joins.
    fn next_turn(&self) -> Option<Turn> {
        if let Some((user, due)) = self.due.borrow_mut().pop_front() {
            // Who has no place yet was told to try again.
            let has_place = self.people.borrow().state(user) != State::Outside;
            return Some(if has_place { Turn::Status(user, due) } else { Turn::Join(user) });
        }
        let next = self.next_join.get();
        let user = u32::try_from(next).ok().filter(|_| next < self.crowd.count)?;
        self.next_join.set(next + 1);
        Some(Turn::Join(user))
    }

    /// Notes what was told, for those who know what was so.
    fn told(&self, told: StatusAnswer) {
        self.crowd.history.lock().unwrap_or_else(PoisonError::into_inner).note(told);
    }

    /// Asks again after so long.
    fn again(&self, user: u32, after: Duration) {
        self.wheel.borrow_mut().set(user, Instant::now() + after);
    }
}

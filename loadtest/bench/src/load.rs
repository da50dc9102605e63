//! How is a node loaded? Closed: so many connections, each asks again when it was answered. Open: arrivals at a fixed rate,
//! whatever the answers do, and a time that begins when the arrival was due.
//!
//! A load runs on one thread of its own: more would only take the cores from what is measured.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use loadtest::wire::Wire;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

use crate::tally::Tally;
use crate::ticker::{Schedule, Ticker};
use crate::users::Requests;

/// Room for one request.
const REQUEST_BYTES: usize = 1 << 10;
/// An arrival that is sent this much later than it was due is called late.
const LATE: Duration = Duration::from_millis(10);

/// What is asked of whom.
pub struct Load {
    /// The node.
    pub address: SocketAddr,
    /// Connections that are open at the same time.
    pub connections: usize,
    /// What each of them takes its next request from.
    pub requests: Arc<Requests>,
    /// Not counted.
    pub warm_up: Duration,
    /// Counted.
    pub measured: Duration,
    /// How long answers are waited for after that.
    pub patience: Duration,
    /// Whether each claim's number and moment are kept.
    pub keep_claims: bool,
}

/// What became of an open load.
#[derive(Debug)]
pub struct Arrivals {
    /// The answers to what was due within the window.
    pub tally: Tally,
    /// Arrivals that were due, warm-up included.
    pub due: u64,
    /// Of these, sent more than 10 ms after they were due: all connections were busy, or this program was.
    pub late: u64,
    /// Of these, never sent.
    pub unsent: u64,
}

struct Shared {
    address: SocketAddr,
    requests: Arc<Requests>,
    tally: RefCell<Tally>,
    under_way: Cell<u64>,
}

impl Load {
    /// Runs it to its end as a closed loop.
    pub async fn closed(self) -> anyhow::Result<Tally> {
        on_a_thread(async move || {
            let (shared, wires, end) = self.prepare().await?;
            let asking = LocalSet::new();
            for wire in wires {
                asking.spawn_local(ask_again_and_again(Rc::clone(&shared), wire, end));
            }
            let done = tokio::time::timeout_at((end + self.patience).into(), asking).await;
            Ok(finish(&shared, done.is_ok()))
        })
        .await
    }

    /// Runs it to its end as an open loop.
    pub async fn open(self, per_second: f64) -> anyhow::Result<Arrivals> {
        on_a_thread(async move || {
            let (shared, wires, end) = self.prepare().await?;
            let schedule = Schedule { start: Instant::now(), per_second };
            let gate = Rc::new(Gate {
                schedule,
                due: Semaphore::new(0),
                next: Cell::new(0),
                late: Cell::new(0),
                answered: Cell::new(0),
            });
            let asking = LocalSet::new();
            for wire in wires {
                asking.spawn_local(ask_when_due(Rc::clone(&shared), Rc::clone(&gate), wire));
            }
            let due = asking.run_until(issue(&gate, end, self.patience)).await?;
            // What is still under way has had its time: the tasks end with their set.
            drop(asking);
            let tally = finish(&shared, false);
            let unsent = due - gate.next.get();
            Ok(Arrivals { tally, due, late: gate.late.get(), unsent })
        })
        .await
    }

    /// Connects, and only then looks at the clock.
    async fn prepare(&self) -> anyhow::Result<(Rc<Shared>, Vec<Wire>, Instant)> {
        ensure!(self.connections > 0 && !self.measured.is_zero(), "a load that measures nothing");
        let mut wires = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            wires.push(Wire::open(self.address).await.with_context(|| format!("connecting to {}", self.address))?);
        }
        let from = Instant::now() + self.warm_up;
        let end = from + self.measured;
        let shared = Rc::new(Shared {
            address: self.address,
            requests: Arc::clone(&self.requests),
            tally: RefCell::new(Tally::new(from, end, self.keep_claims)),
            under_way: Cell::new(0),
        });
        Ok((shared, wires, end))
    }
}

/// What the arrivals of an open load pass through.
struct Gate {
    schedule: Schedule,
    due: Semaphore,
    next: Cell<u64>,
    late: Cell<u64>,
    answered: Cell<u64>,
}

/// Lets arrivals in when they are due; then waits for the last answer. How many were let in.
async fn issue(gate: &Gate, end: Instant, patience: Duration) -> anyhow::Result<u64> {
    let ticker = Ticker::new(&gate.schedule)?;
    let mut issued = 0;
    loop {
        ticker.tick().await?;
        let now = Instant::now();
        let due = gate.schedule.due_by(now.min(end));
        gate.due.add_permits(usize::try_from(due - issued).context("far too many arrivals at once")?);
        issued = due;
        if now >= end {
            break;
        }
    }
    while gate.answered.get() < issued && Instant::now() < end + patience {
        ticker.tick().await?;
    }
    Ok(issued)
}

async fn ask_again_and_again(shared: Rc<Shared>, mut wire: Wire, end: Instant) {
    let mut request = Vec::with_capacity(REQUEST_BYTES);
    while shared.requests.write_next(&mut request).is_some() {
        let begun = Instant::now();
        if begun >= end {
            return;
        }
        if !shared.ask(&mut wire, &request, |tally, now, answer| tally.note(begun, now, answer)).await {
            return;
        }
    }
}

async fn ask_when_due(shared: Rc<Shared>, gate: Rc<Gate>, mut wire: Wire) {
    let mut request = Vec::with_capacity(REQUEST_BYTES);
    loop {
        let Ok(permit) = gate.due.acquire().await else { return };
        permit.forget();
        let due = gate.schedule.due_at(gate.next.replace(gate.next.get() + 1));
        if Instant::now() > due + LATE {
            gate.late.set(gate.late.get() + 1);
        }
        if shared.requests.write_next(&mut request).is_none() {
            // There are no more users: it stays unsent.
            gate.next.set(gate.next.get() - 1);
            return;
        }
        let goes_on = shared.ask(&mut wire, &request, |tally, now, answer| tally.note_arrival(due, now, answer)).await;
        gate.answered.set(gate.answered.get() + 1);
        if !goes_on {
            return;
        }
    }
}

impl Shared {
    /// Asks once. Whether the connection can be used again: it is opened anew after an error.
    async fn ask(
        &self,
        wire: &mut Wire,
        request: &[u8],
        note: impl FnOnce(&mut Tally, Instant, &loadtest::wire::Answer<'_>),
    ) -> bool {
        self.under_way.set(self.under_way.get() + 1);
        let outcome = wire.exchange(request).await;
        self.under_way.set(self.under_way.get() - 1);
        match outcome {
            Ok(answer) => {
                note(&mut self.tally.borrow_mut(), Instant::now(), &answer);
                true
            }
            Err(error) => {
                self.tally.borrow_mut().note_error(&error);
                match Wire::open(self.address).await {
                    Ok(new) => {
                        *wire = new;
                        true
                    }
                    Err(_gone) => false,
                }
            }
        }
    }
}

/// What was under way when the patience ended has no answer.
fn finish(shared: &Shared, all_answered: bool) -> Tally {
    let mut tally = shared.tally.borrow().clone();
    if !all_answered {
        tally.no_answer += shared.under_way.get();
    }
    tally
}

/// Runs a load on one thread, without the caller's runtime.
pub async fn on_a_thread<T: Send + 'static>(
    load: impl AsyncFnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.context("starting the load's runtime")?.block_on(load())
    };
    tokio::task::spawn_blocking(run).await.context("the load's thread failed")?
}

//! How much bulk work may this node write now? Delivery and indexing together, with their dead letters.
//!
//! All workers together stay at `bulk_per_second_max` records and rows in any second, as the ledger's writers stay at
//! theirs: each may use its share of the partitions. The partitions are those of all consumers that do bulk work, so a
//! node that has some of one and none of another has its part, too. Whoever comes first is served first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::database::Database;
use crate::kafka::Share;
use crate::throttle::{Allowance, Throttle, Turn};

use super::lanes::LaneError;

/// Parts of a second's work that are written at a time: the database is spared waves.
const PARTS: u64 = 5;
/// Begins the locks by which workers take turns where the maximum is too small to be shared.
const TURNS: &str = "onrush-bulk-";
/// How soon it is looked again for partitions, or for a turn.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(50);

/// Who does bulk work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bulk {
    Deliver,
    Index,
    DeadLetters,
}

/// Lets bulk work through. One a node.
pub struct Pace {
    database: Database,
    shares: Mutex<[Option<Share>; 3]>,
    throttle: Mutex<Throttle>,
    /// Who waits for a permit; the others wait behind.
    gate: tokio::sync::Mutex<()>,
    settled: Notify,
    stopping: CancellationToken,
}

/// So many rows may be written. Dropped without a word, they count as written.
pub(super) struct Permit {
    pace: Arc<Pace>,
    pub(super) rows: u64,
    written: u64,
    turn: Option<Turn>,
}

impl Pace {
    /// Lets nothing through before the consumers have joined.
    #[must_use]
    pub fn new(database: Database, bulk_per_second_max: u64) -> Arc<Self> {
        Arc::new(Self {
            database,
            shares: Mutex::default(),
            throttle: Mutex::new(Throttle::new(bulk_per_second_max)),
            gate: tokio::sync::Mutex::default(),
            settled: Notify::new(),
            stopping: CancellationToken::new(),
        })
    }

    /// This consumer's partitions count from now on.
    pub(super) fn count_in(&self, who: Bulk, share: Share) {
        lock(&self.shares)[who as usize] = Some(share);
    }

    /// Nothing is let through any more: whoever waits gives up.
    pub(super) fn stop(&self) {
        self.stopping.cancel();
    }

    /// Waits for its turn, and then until some of so many rows may be written.
    pub(super) async fn permit(self: &Arc<Self>, wanted: u64) -> Result<Permit, LaneError> {
        let began = Instant::now();
        let permit = self.stopping.run_until_cancelled(self.wait(wanted.max(1))).await;
        metrics::histogram!("onrush_feed_bulk_wait_seconds").record(began.elapsed());
        permit.unwrap_or(Err(LaneError::Stopping))
    }

    async fn wait(self: &Arc<Self>, wanted: u64) -> Result<Permit, LaneError> {
        let _first = self.gate.lock().await;
        loop {
            let (allowance, units) = self.look(wanted);
            let rows = match allowance {
                Allowance::Now(rows) => rows,
                Allowance::Until(moment) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(moment.into()) => {}
                        () = self.settled.notified() => {}
                    }
                    continue;
                }
                Allowance::Nothing => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                    continue;
                }
            };
            // From here on they are reserved: the permit gives them back, whatever happens.
            let mut permit = Permit { pace: Arc::clone(self), rows, written: rows, turn: None };
            let Some(units) = units else { return Ok(permit) };
            match Turn::take(&self.database, TURNS, rows, units).await {
                Ok(Some(turn)) => {
                    permit.rows = turn.units;
                    lock(&self.throttle).settle(rows - turn.units, 0, Instant::now());
                    permit.written = turn.units;
                    permit.turn = Some(turn);
                    return Ok(permit);
                }
                Ok(None) => permit.done(0),
                Err(error) => {
                    permit.done(0);
                    return Err(error.into());
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// What may be written now; it is reserved.
    fn look(&self, wanted: u64) -> (Allowance, Option<u64>) {
        let (mut mine, mut all, mut gained_at) = (0, 0, None);
        for share in lock(&self.shares).iter() {
            // Where one's partitions are not known, nobody's share is.
            let Some(assignment) = share.as_ref().map(Share::assignment).filter(|assignment| assignment.all > 0) else {
                return (Allowance::Nothing, None);
            };
            mine += assignment.mine;
            all += assignment.all;
            gained_at = gained_at.max(Some(assignment.gained_at));
        }
        let mut throttle = lock(&self.throttle);
        if let Some(gained_at) = gained_at {
            throttle.set_share(mine, all, gained_at);
        }
        let allowance = throttle.allowance(wanted, PARTS, Instant::now());
        if let Allowance::Now(rows) = allowance {
            throttle.reserve(rows);
        }
        (allowance, throttle.units())
    }
}

impl Permit {
    /// So many were written, or perhaps were.
    pub(super) fn done(mut self, written: u64) {
        self.written = written.min(self.rows);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        metrics::counter!("onrush_feed_bulk_rows_total").increment(self.written);
        lock(&self.pace.throttle).settle(self.rows, self.written, Instant::now());
        if let Some(turn) = self.turn.take() {
            turn.end();
        }
        self.pace.settled.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves no half-made state: every change is one statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! How each room stands, for who watches over all of them.

use metrics::Gauge;

use super::snapshot::Snapshot;
use super::waits::Waits;

/// The metrics of one room.
pub(super) struct Gauges {
    waiting: Gauge,
    inside: Gauge,
    admitted: Gauge,
    no_shows: Gauge,
    left_queue: Gauge,
    stopped: Gauge,
    /// What half of those who were admitted did not wait longer than, in s; and 95 of a hundred.
    wait_p50: Gauge,
    wait_p95: Gauge,
}

impl Gauges {
    pub(super) fn new(campaign: &str) -> Self {
        let gauge = |name: &'static str| metrics::gauge!(name, "campaign" => campaign.to_owned());
        let wait = |quantile: &'static str| metrics::gauge!("onrush_waiting_wait_s", "campaign" => campaign.to_owned(), "quantile" => quantile);
        Self {
            waiting: gauge("onrush_waiting_users"),
            inside: gauge("onrush_waiting_inside_users"),
            admitted: gauge("onrush_waiting_admitted_users"),
            no_shows: gauge("onrush_waiting_no_shows_users"),
            left_queue: gauge("onrush_waiting_left_queue_users"),
            stopped: gauge("onrush_waiting_stopped"),
            wait_p50: wait("0.5"),
            wait_p95: wait("0.95"),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "users are far below 2^53")]
    pub(super) fn set(&self, snapshot: &Snapshot) {
        self.waiting.set(snapshot.waiting as f64);
        self.inside.set(snapshot.inside as f64);
        self.admitted.set(snapshot.admitted as f64);
        self.no_shows.set(snapshot.no_shows as f64);
        self.left_queue.set(snapshot.left_queue as f64);
        self.stopped.set(f64::from(u8::from(snapshot.stopped)));
    }

    /// Of a room that is through: nobody is there.
    pub(super) fn clear(&self) {
        for gauge in [&self.waiting, &self.inside, &self.stopped] {
            gauge.set(0.0);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^53")]
    pub(super) fn set_waits(&self, waits: &Waits) {
        for (gauge, percent) in [(&self.wait_p50, 50), (&self.wait_p95, 95)] {
            if let Some(seconds) = waits.percentile(percent) {
                gauge.set(seconds as f64);
            }
        }
    }
}

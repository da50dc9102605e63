//! The limits of waiting rooms.

use super::{Limits, Waiting};

impl Waiting {
    /// Notes what is outside its limits.
    pub(super) fn check(&self, is: &mut Limits) {
        is.within("waiting.passes_cached_max", self.passes_cached_max, 1..=10_000_000);
        is.within("waiting.batch_max", self.batch_max, 1..=1_000);
        is.within("waiting.second_call_min", self.second_call_min, 1..=1_000_000);
        is.within("waiting.in_flight_max", self.in_flight_max, 1..=1_000_000);
        is.within("waiting.campaign_in_flight_max", self.campaign_in_flight_max, 1..=1_000_000);
        is.within("waiting.queue_wait_ms_max", self.queue_wait_ms_max, 10..=60_000);
        is.within("waiting.places_max", self.places_max, 1..=100_000_000);
        is.within("waiting.admit_every_ms", self.admit_every_ms, 10..=1_000);
        is.within("waiting.admit_batch_max", self.admit_batch_max, 1..=2_000);
        is.within("waiting.expire_batch_max", self.expire_batch_max, 1..=2_000);
        is.within("waiting.resurvey_ms", self.resurvey_ms, 50..=900);
        is.within("waiting.idle_resurvey_ms", self.idle_resurvey_ms, 100..=60_000);
        is.within("waiting.age_ms_max", self.age_ms_max, self.resurvey_ms..=1_000);
        is.within("waiting.keep_closed_ms", self.keep_closed_ms, 60_000..=31_536_000_000);
        is.within("waiting.keep_draw_list_ms", self.keep_draw_list_ms, 60_000..=31_536_000_000);
        is.within("waiting.poll_s_min", self.poll_s_min, 1..=60);
        is.within("waiting.poll_s_max", self.poll_s_max, self.poll_s_min..=3_600);
        is.within("waiting.poll_sold_out_s", self.poll_sold_out_s, 1..=3_600);
        is.within("waiting.streams_max", self.streams_max, 0..=1_000_000);
        is.within("waiting.heartbeat_ms", self.heartbeat_ms, 1_000..=60_000);
        is.within("waiting.near_places", self.near_places, 1..=1_000_000);
    }
}

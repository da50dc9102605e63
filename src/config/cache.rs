//! The settings of the cache, and their limits.

use serde::Deserialize;

use super::Limits;

section!(
    /// The two-tier cache.
    Cache {
        local_bytes_max: u64, redis_bytes_max: u64, shards: u32, ttl_ms: u64, local_ttl_ms: u64, absent_ttl_ms: u64,
        jitter_percent: u64, stale_ms: u64, hot_min: u32, hot_window_ms: u64, refresh_percent: u64, lease_ms: u64,
        wait_ms_max: u64, loads_in_flight_max: usize, batch_max: usize, redis_timeout_ms: u64, bulkhead_max: usize,
        bulkhead_wait_ms_max: u64, heartbeat_ms: u64, silence_ms_max: u64, pending_invalidations_max: usize, reads_waiting_max: usize, compress_bytes_min: usize, compress_level: i32,
        value_bytes_max: usize,
    }
);

impl Cache {
    pub(super) fn check(&self, is: &mut Limits) {
        is.within("cache.local_bytes_max", self.local_bytes_max, 1 << 20..=64 << 30);
        is.within("cache.redis_bytes_max", self.redis_bytes_max, 1 << 20..=1 << 40);
        is.within("cache.shards", self.shards, 1..=1_024);
        is.within("cache.ttl_ms", self.ttl_ms, 100..=86_400_000);
        is.within("cache.local_ttl_ms", self.local_ttl_ms, 10..=60_000);
        is.within("cache.absent_ttl_ms", self.absent_ttl_ms, 10..=600_000);
        is.within("cache.jitter_percent", self.jitter_percent, 0..=100);
        is.within("cache.stale_ms", self.stale_ms, 0..=604_800_000);
        is.within("cache.hot_min", self.hot_min, 1..=1_000_000);
        is.within("cache.hot_window_ms", self.hot_window_ms, 100..=600_000);
        is.within("cache.refresh_percent", self.refresh_percent, 10..=99);
        is.within("cache.lease_ms", self.lease_ms, 100..=60_000);
        is.within("cache.wait_ms_max", self.wait_ms_max, 100..=60_000);
        is.within("cache.loads_in_flight_max", self.loads_in_flight_max, 1..=1_000_000);
        is.within("cache.batch_max", self.batch_max, 1..=1_000);
        is.within("cache.redis_timeout_ms", self.redis_timeout_ms, 10..=10_000);
        is.within("cache.bulkhead_max", self.bulkhead_max, 1..=1_000);
        is.within("cache.bulkhead_wait_ms_max", self.bulkhead_wait_ms_max, 1..=60_000);
        is.within("cache.heartbeat_ms", self.heartbeat_ms, 20..=10_000);
        is.within("cache.silence_ms_max", self.silence_ms_max, self.heartbeat_ms + 1..=10_000);
        is.within("cache.pending_invalidations_max", self.pending_invalidations_max, 1..=1_000_000);
        is.within("cache.reads_waiting_max", self.reads_waiting_max, 1..=1_000_000);
        is.within("cache.compress_bytes_min", self.compress_bytes_min, 64..=1_048_576);
        is.within("cache.compress_level", self.compress_level, 1..=19);
        is.within("cache.value_bytes_max", self.value_bytes_max, 1_024..=16 << 20);
    }
}

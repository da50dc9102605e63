//! The loop of the room: says something to hear itself, hears what others say, and looks after what is away.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::message::{self, Message};
use super::node::Node;
use super::shard::Shard;
use crate::clock;
use crate::redis::{Channel, RedisError, Script, Value};
use crate::script;

static HEARTBEAT: Script<1> = script!("cache/heartbeat");

/// How often bytes and entries are counted.
const SIZES_EVERY: Duration = Duration::from_secs(1);

/// What a node's trust in its memory comes from. Without it nothing in memory is trusted, and a shard that was away stays away.
pub struct Heartbeat {
    node: Arc<Node>,
    /// Tells the heartbeats of this loop from all others.
    name: String,
    halved: Instant,
    counted: Option<Instant>,
}

/// What a tick has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatTick {
    /// The heartbeat was sent. Whether it is heard is another matter.
    pub is_sent: bool,
    /// Parts of Redis that were away and are not any more.
    pub shards_back: usize,
}

impl Heartbeat {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node, name: format!("{:016x}", rand::random::<u64>()), halved: Instant::now(), counted: None }
    }

    /// One heartbeat, and one look at what is away.
    pub async fn tick(&mut self) -> HeartbeatTick {
        let node = Arc::clone(&self.node);
        let recovering = node.shards.iter().filter(|shard| shard.is_away()).map(|shard: &Arc<Shard>| shard.recover());
        let (is_sent, recovered) = tokio::join!(self.send(), join_all(recovering));
        let window = Duration::from_millis(node.settings.hot_window_ms);
        if self.halved.elapsed() >= window {
            self.halved = Instant::now();
            node.sketch.halve();
        }
        if self.counted.is_none_or(|counted| counted.elapsed() >= SIZES_EVERY) {
            self.counted = Some(Instant::now());
            node.count_sizes().await;
        }
        node.counters.tell();
        HeartbeatTick { is_sent, shards_back: recovered.into_iter().filter(|is_back| *is_back).count() }
    }

    async fn send(&self) -> bool {
        let node = &self.node;
        let number = node.liveness.next_heartbeat(clock::uptime_us());
        let redis = &node.redis;
        let args: Vec<Value> =
            vec![redis.keys().channel(Channel::Cache).into(), message::heartbeat(&self.name, number).into()];
        let sending = redis.call_anywhere(&HEARTBEAT, [redis.keys().cache_switch()], args);
        match node.in_time(sending).await {
            Some(reply) => {
                node.is_bypassed.store(reply.as_i64() == Some(1), Ordering::Relaxed);
                true
            }
            None => false,
        }
    }

    /// Until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let hearing = hear(Arc::clone(&self.node), self.name.clone());
        let ticking = async {
            let mut ticks = interval(Duration::from_millis(self.node.settings.heartbeat_ms));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                self.tick().await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = hearing => {}
            () = ticking => {}
        }
    }
}

/// Hears what is said, and notices what may have been missed.
async fn hear(node: Arc<Node>, name: String) {
    let mut messages = node.redis.listen_soon(Channel::Cache).await;
    let mut reconnects = node.redis.reconnects();
    loop {
        let heard = tokio::select! {
            // First, so that what was missed is known before what came after it.
            biased;
            () = reconnects.next() => None,
            heard = messages.next() => heard,
        };
        if let Some(text) = heard {
            node.hear(&text, &name);
        } else {
            node.counters.gaps.one();
            node.liveness.gap(clock::uptime_us());
        }
    }
}

impl Node {
    fn hear(&self, text: &str, name: &str) {
        let ids =
            |fields: Vec<&str>| fields.into_iter().filter_map(|field| self.names.id_of(field)).collect::<Vec<_>>();
        match message::read(text) {
            // Its own it has forgotten: to do so again would only take loads from those who could join them.
            Message::Gone { node, .. } if node == &*self.name => {}
            Message::Gone { fields, .. } => ids(fields).into_iter().for_each(|id| self.memory.forget(id)),
            Message::Filled(fields) => ids(fields).into_iter().for_each(|id| self.memory.wake(id)),
            Message::Heartbeat { node, number } if node == name => {
                if self.liveness.heard(number, clock::uptime_us()) {
                    self.counters.gaps.one();
                }
            }
            Message::Heartbeat { .. } | Message::Unknown => {}
        }
    }

    /// What Redis answers, if it does within the time that it has.
    pub(super) async fn in_time<T>(&self, call: impl Future<Output = Result<T, RedisError>>) -> Option<T> {
        match tokio::time::timeout(Duration::from_millis(self.settings.redis_timeout_ms), call).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the cache asks Redis in vain");
                None
            }
            Err(_elapsed) => None,
        }
    }

    async fn count_sizes(&self) {
        let (bytes, entries) = self.memory.size();
        gauge_size("local", bytes, entries);
        let sizes =
            join_all(self.shards.iter().filter(|shard| !shard.is_away()).map(|shard| self.in_time(shard.size())));
        let known: Option<Vec<(u64, u64)>> = sizes.await.into_iter().collect();
        if let Some(sizes) = known.filter(|sizes| sizes.len() == self.shards.len()) {
            let (bytes, entries) = sizes.iter().fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
            self.redis_size[0].store(bytes, Ordering::Relaxed);
            self.redis_size[1].store(entries, Ordering::Relaxed);
            gauge_size("redis", bytes, entries);
        }
        let in_use = self.settings.bulkhead_max - self.bulkhead.available_permits();
        gauge("onrush_cache_bulkhead_in_use", in_use);
        gauge("onrush_cache_loads_in_flight", self.settings.loads_in_flight_max - self.loads.available_permits());
        gauge("onrush_cache_shards_away", self.shards.iter().filter(|shard| shard.is_away()).count());
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn gauge(name: &'static str, number: usize) {
    metrics::gauge!(name).set(number as f64);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn gauge_size(tier: &'static str, bytes: u64, entries: u64) {
    metrics::gauge!("onrush_cache_bytes", "tier" => tier).set(bytes as f64);
    metrics::gauge!("onrush_cache_entries", "tier" => tier).set(entries as f64);
}

//! Which campaign is relayed next? Those that a message tells of, and those that a look through all of them finds.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::gauges::OutboxesSeen;
use super::relay::{Drained, Relay};
use crate::ids::CampaignId;
use crate::kafka::ensure_topic;
use crate::redis::{Channel, Entry, Messages, RedisError, read_outbox};

/// Rounds that a hot campaign has before it goes to the back of the queue.
const ROUNDS_MAX: u32 = 16;
/// Campaigns that the sweep asks Redis about at the same time.
const SWEEP_AT_ONCE: usize = 64;

impl Relay {
    /// Relays until it is told to stop. Then, in this order: no campaign is begun any more, what is under way is
    /// published and deleted, and the leases are given up, so that others take over at once.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        relay_until(self, shutdown).await;
    }
}

/// Relays until `shutdown`, then waits for what is under way and gives the leases up.
async fn relay_until(relay: Arc<Relay>, shutdown: CancellationToken) {
    let mut topic = std::pin::pin!(topic_is_there(&relay, &shutdown));
    let mut is_there = false;
    let mut queue = Queue::new(relay.settings.campaigns_at_once_max);
    let mut tasks: JoinSet<(CampaignId, bool)> = JoinSet::new();
    let mut sweep = Sweep::default();
    let mut listening = None;
    let mut sweep_due = tokio::time::interval(Duration::from_millis(relay.settings.sweep_ms));
    sweep_due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Until Kafka has the topic the outboxes are only looked at: somebody has to say how long their facts wait.
        while let Some(campaign) = is_there.then(|| queue.start_next()).flatten() {
            let (relay, shutdown) = (Arc::clone(&relay), shutdown.clone());
            tasks.spawn(async move {
                let drained = tokio::spawn(drain(Arc::clone(&relay), campaign.clone(), shutdown)).await;
                let has_more = drained.unwrap_or_else(|error| {
                    // The sweep brings the campaign back, not at once.
                    tracing::error!(%campaign, %error, "a relay task panicked");
                    false
                });
                (campaign, has_more)
            });
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = &mut topic, if !is_there => is_there = true,
            Some(Ok((campaign, has_more))) = tasks.join_next() => queue.ended(&campaign, has_more),
            heard = next(&mut listening) => {
                // Where messages were missed, the sweep comes soon enough.
                if let Some(Ok(campaign)) = heard.map(|text| text.parse()) {
                    queue.add(campaign);
                }
            },
            _ = sweep_due.tick() => {
                listen(&relay, &mut listening).await;
                sweep.tick(&relay).await.into_iter().for_each(|campaign| queue.add(campaign));
            }
        }
    }
    while tasks.join_next().await.is_some() {}
    relay.release().await;
}

/// Makes sure of it. Returns early when it is told to stop.
async fn topic_is_there(relay: &Relay, shutdown: &CancellationToken) {
    while let Err(error) = ensure_topic(&relay.kafka).await {
        tracing::warn!(%error, "the topic of facts could not be checked; facts wait in the outbox");
        let pause = tokio::time::sleep(Duration::from_millis(relay.settings.retry_ms));
        if shutdown.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

async fn listen(relay: &Relay, listening: &mut Option<Messages>) {
    if listening.is_none() {
        match relay.redis.listen(Channel::Outbox).await {
            Ok(messages) => *listening = Some(messages),
            Err(error) => tracing::warn!(%error, "subscribing to filled outboxes failed; the sweep finds them"),
        }
    }
}

async fn next(listening: &mut Option<Messages>) -> Option<String> {
    match listening {
        Some(messages) => messages.next().await,
        None => std::future::pending().await,
    }
}

/// Drains one campaign for its turn. Answers whether to go on with it.
async fn drain(relay: Arc<Relay>, campaign: CampaignId, shutdown: CancellationToken) -> bool {
    for _ in 0..ROUNDS_MAX {
        if shutdown.is_cancelled() {
            return false;
        }
        match relay.drain_once(&campaign).await {
            Drained::Facts(_) => {}
            Drained::Empty | Drained::HeldByAnother | Drained::LeaseLost => return false,
            Drained::Failed(_) => {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep(Duration::from_millis(relay.settings.retry_ms)) => {}
                }
                return true;
            }
        }
    }
    true
}

/// Campaigns that wait and those that are being drained, each once.
struct Queue {
    waiting: VecDeque<CampaignId>,
    queued: HashSet<CampaignId>,
    /// Being drained, and whether it was asked for again since.
    running: HashMap<CampaignId, bool>,
    running_max: usize,
}

impl Queue {
    fn new(running_max: usize) -> Self {
        Self { waiting: VecDeque::new(), queued: HashSet::new(), running: HashMap::new(), running_max }
    }

    fn add(&mut self, campaign: CampaignId) {
        if let Some(again) = self.running.get_mut(&campaign) {
            // It may just have found the outbox empty.
            *again = true;
        } else if self.queued.insert(campaign.clone()) {
            self.waiting.push_back(campaign);
        }
    }

    fn start_next(&mut self) -> Option<CampaignId> {
        if self.running.len() >= self.running_max {
            return None;
        }
        let campaign = self.waiting.pop_front()?;
        self.queued.remove(&campaign);
        self.running.insert(campaign.clone(), false);
        Some(campaign)
    }

    fn ended(&mut self, campaign: &CampaignId, has_more: bool) {
        let again = self.running.remove(campaign).unwrap_or(false);
        if has_more || again {
            self.add(campaign.clone());
        }
    }
}

/// Looks through all campaigns, some at a time.
#[derive(Default)]
struct Sweep {
    known: Vec<CampaignId>,
    /// Each campaign's place in `known`, and what waited in its outbox when it was last looked at.
    places: HashMap<CampaignId, usize>,
    outbox_facts: Vec<u64>,
    /// When the oldest entry of each was made, in ms since 1970; 0: there is none.
    oldest_at: Vec<i64>,
    sequence: u64,
    /// Of Redis, when the directory was read up to there.
    lives: u64,
    next: usize,
}

impl Sweep {
    /// Answers the campaigns whose outboxes are not empty.
    async fn tick(&mut self, relay: &Relay) -> Vec<CampaignId> {
        if let Err(error) = self.learn(relay).await {
            tracing::warn!(%error, "reading the directory of campaigns failed; trying again");
            return Vec::new();
        }
        let count = self.known.len().min(relay.settings.sweep_campaigns_max);
        let places: Vec<usize> = (self.next..self.next + count).map(|place| place % self.known.len()).collect();
        self.next = places.last().map_or(0, |last| last + 1);
        let found: Vec<(usize, Option<(u64, i64)>)> = futures::stream::iter(places)
            .map(|place| {
                let campaign = &self.known[place];
                async move { (place, look_at(relay, campaign).await) }
            })
            .buffer_unordered(SWEEP_AT_ONCE)
            .collect()
            .await;
        let mut filled = Vec::new();
        for (place, facts) in found {
            let Some((facts, oldest_at)) = facts else { continue };
            (self.outbox_facts[place], self.oldest_at[place]) = (facts, oldest_at);
            if facts > 0 {
                filled.push(self.known[place].clone());
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and exact up to 2^53")]
        metrics::gauge!("onrush_relay_outbox_facts").set(self.outbox_facts.iter().sum::<u64>() as f64);
        relay.outboxes.set(self.seen());
        filled
    }

    fn seen(&self) -> OutboxesSeen {
        let name = |place: usize| self.known[place].to_string();
        let fullest = self.outbox_facts.iter().copied().enumerate().max_by_key(|(_, facts)| *facts);
        let filled = self.oldest_at.iter().copied().enumerate().filter(|(_, at)| *at > 0);
        let oldest = filled.min_by_key(|(_, at)| *at);
        OutboxesSeen {
            fullest: fullest.map_or(0, |(_, facts)| facts),
            fullest_of: fullest.filter(|(_, facts)| *facts > 0).map(|(place, _)| name(place)),
            oldest_at: oldest.map(|(_, at)| at),
            oldest_of: oldest.map(|(place, _)| name(place)),
        }
    }

    async fn learn(&mut self, relay: &Relay) -> Result<(), RedisError> {
        // A directory that went back in time is read from its beginning. Its sequence may have passed the old one since.
        let lives = relay.redis.lives();
        if lives != self.lives || relay.redis.last_change().await? < self.sequence {
            (self.lives, self.sequence) = (lives, 0);
        }
        for (campaign, sequence) in relay.redis.changed_since(self.sequence).await? {
            self.sequence = self.sequence.max(sequence);
            if !self.places.contains_key(&campaign) {
                self.places.insert(campaign.clone(), self.known.len());
                self.known.push(campaign);
                self.outbox_facts.push(0);
                self.oldest_at.push(0);
            }
        }
        Ok(())
    }
}

/// Facts in a campaign's outbox, and when the oldest was made; `None`: Redis does not say.
async fn look_at(relay: &Relay, campaign: &CampaignId) -> Option<(u64, i64)> {
    let key = relay.redis.keys().of(campaign).campaign();
    let look = async {
        let fields = relay.redis.fields(campaign, &key, vec!["outbox_facts".into()]).await?;
        // A campaign that was lost has nothing to relay; the auditor speaks of it.
        let facts = fields.first().and_then(Option::as_ref).and_then(|facts| facts.parse().ok()).unwrap_or(0);
        let head = if facts > 0 { read_outbox(&relay.redis, campaign, None, 1).await? } else { Vec::new() };
        Ok::<_, RedisError>((facts, head.first().map_or(0, Entry::made_at)))
    };
    look.await.inspect_err(|error| tracing::debug!(%campaign, %error, "looking at an outbox")).ok()
}

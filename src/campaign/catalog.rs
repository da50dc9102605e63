//! All campaigns in this node's memory, so that a claim looks nothing up; and how the memory keeps up with the others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use arc_swap::{ArcSwap, Guard};

use super::counters::Peek;
use super::definition::Definition;
#[cfg(test)]
use super::definition::Spec;
use super::latch::Latch;
use crate::cache::Recent;
use crate::ids::CampaignId;
use crate::redis::{Channel, Head, Mark, Marks, Redis, RedisError, pack};

/// One campaign, as this node knows it.
pub struct Campaign {
    definition: ArcSwap<Definition>,
    pub(crate) high_water: Arc<Mark>,
    latch: Latch,
    /// The time of the latest decision that this node knows of, in ms since 1970.
    decided_at: AtomicI64,
    freshness: Arc<Freshness>,
    /// What the last reply of a script said. Redis decides each time anew; this is for who asks how the node stands.
    lost: AtomicBool,
    /// The last peek.
    pub(super) peeked: Recent<Peek>,
}

impl Campaign {
    fn new(definition: Definition, freshness: Arc<Freshness>, high_water: Arc<Mark>) -> Self {
        Self {
            definition: ArcSwap::from_pointee(definition),
            high_water,
            latch: Latch::default(),
            decided_at: AtomicI64::new(0),
            freshness,
            lost: AtomicBool::new(false),
            peeked: Recent::new(),
        }
    }

    /// One that is in no catalog and in no store, for the tests of what only needs to tell campaigns apart.
    #[cfg(test)]
    pub(crate) fn alone(id: &str) -> Arc<Self> {
        let spec = Spec::new(id.parse().unwrap(), "Alone", 1);
        Arc::new(Self::new(Definition::first(spec), Arc::default(), Arc::default()))
    }

    /// The newest definition that this node has heard of. Read by every claim, several times: no lock, and no count.
    #[must_use]
    pub fn definition(&self) -> Guard<Arc<Definition>> {
        self.definition.load()
    }

    /// The campaign's id.
    #[must_use]
    pub fn id(&self) -> CampaignId {
        self.definition().id().clone()
    }

    /// Takes over a newer definition; an older one changes nothing.
    fn follow(&self, newer: Definition) {
        let newer = Arc::new(newer);
        self.definition.rcu(|held| if newer.version > held.version { Arc::clone(&newer) } else { Arc::clone(held) });
    }

    /// Learns from the reply to a script that may have written facts, and tells the relays of an outbox that was empty.
    pub(crate) fn saw(&self, redis: &Arc<Redis>, head: Head, wrote_facts: bool) {
        self.high_water.raise(head.generation, head.fact_no);
        self.latch.hear(epoch(head.generation, head.epoch));
        self.decided_at.fetch_max(head.now.0, Ordering::Relaxed);
        self.lost.store(false, Ordering::Relaxed);
        if wrote_facts && head.outbox_facts_before == 0 {
            let (redis, id) = (Arc::clone(redis), self.id());
            tokio::spawn(async move {
                if let Err(error) = redis.publish(Channel::Outbox, id.as_str()).await {
                    tracing::debug!(%error, "a relay will find this outbox when it next looks");
                }
            });
        }
    }

    /// Tells the other nodes that a unit has come back where none was left. Those who do not hear it offer it a little
    /// later: see `latch`.
    pub(crate) fn tell_reopened(&self, redis: &Arc<Redis>, head: Head) {
        let (redis, text) = (Arc::clone(redis), format!("{} {} {}", self.id(), head.generation, head.epoch));
        tokio::spawn(async move {
            if let Err(error) = redis.publish(Channel::Reopened, &text).await {
                tracing::debug!(%error, "other nodes will offer the unit a lease later");
            }
        });
    }

    /// Learns from the reply to a question sent at that time (see `clock::uptime_us`) that nothing is left.
    pub(crate) fn saw_sold_out(&self, head: Head, asked_at_us: u64, lease_us: u64) {
        self.latch.sold_out(epoch(head.generation, head.epoch), asked_at_us, lease_us);
    }

    /// Whether it is sold out, as far as this node can say.
    pub(crate) fn latch(&self) -> &Latch {
        &self.latch
    }

    /// The time of the latest decision that this node knows of, in ms since 1970; 0: of none.
    pub(crate) fn decided_at(&self) -> i64 {
        self.decided_at.load(Ordering::Relaxed)
    }

    /// How long ago, in us, this node began to look for changes of any campaign and then found all that there were.
    pub(crate) fn definition_age_us(&self, now_us: u64) -> u64 {
        now_us.saturating_sub(self.freshness.0.load(Ordering::Acquire))
    }

    /// Learns that a script found the campaign lost: refused to everyone until an operator has rebuilt it.
    pub(crate) fn saw_lost(&self) {
        if !self.lost.swap(true, Ordering::Relaxed) {
            metrics::counter!("onrush_campaign_lost_total").increment(1);
            tracing::error!(campaign = %self.id(), "lost in Redis: refused until `onrush rebuild` has brought it back");
        }
    }

    /// Whether the campaign was lost when this node last heard of it.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// The next view asks Redis again.
    pub(crate) async fn forget_counters(&self) {
        self.peeked.forget().await;
    }
}

/// Epochs of all generations, in one order.
fn epoch(generation: u32, epoch: u64) -> u64 {
    pack(generation, epoch)
}

/// When the last look for changes was begun that succeeded, by `clock::uptime_us`; 0: none did.
#[derive(Debug, Default)]
struct Freshness(AtomicU64);

/// Every campaign that this node knows.
pub struct Catalog {
    held: RwLock<Held>,
    freshness: Arc<Freshness>,
    marks: Arc<Marks>,
}

#[derive(Default)]
struct Held {
    by_id: HashMap<CampaignId, Arc<Campaign>>,
    by_serial: HashMap<u32, Arc<Campaign>>,
}

impl Catalog {
    pub(super) fn new(marks: Arc<Marks>) -> Self {
        Self { held: RwLock::default(), freshness: Arc::default(), marks }
    }

    /// The campaign, if this node has it in memory.
    #[must_use]
    pub fn get(&self, id: &CampaignId) -> Option<Arc<Campaign>> {
        self.held.read().expect("nobody panics while holding it").by_id.get(id).cloned()
    }

    /// The campaign of a coupon code.
    #[must_use]
    pub fn by_serial(&self, serial: u32) -> Option<Arc<Campaign>> {
        self.held.read().expect("nobody panics while holding it").by_serial.get(&serial).cloned()
    }

    /// The definitions of the listed campaigns after this id, by id, at most so many.
    #[must_use]
    pub fn listed_after(&self, after: Option<&CampaignId>, count_max: usize) -> Vec<Arc<Campaign>> {
        let held = self.held.read().expect("nobody panics while holding it");
        let mut listed: Vec<_> = held
            .by_id
            .iter()
            .filter(|(id, campaign)| after.is_none_or(|after| *id > after) && campaign.definition().spec.listed)
            .collect();
        listed.sort_unstable_by_key(|(id, _)| *id);
        listed.into_iter().take(count_max).map(|(_, campaign)| Arc::clone(campaign)).collect()
    }

    /// The listed campaigns that were made last, the newest first, at most so many.
    #[must_use]
    pub fn newest_listed(&self, count_max: usize) -> Vec<Arc<Campaign>> {
        let held = self.held.read().expect("nobody panics while holding it");
        let listed = held.by_id.values().map(|campaign| (campaign, campaign.definition()));
        let mut listed: Vec<_> = listed
            .filter(|(_, definition)| definition.spec.listed)
            .map(|(campaign, definition)| (definition.created_at, definition.serial, campaign))
            .collect();
        listed.sort_unstable_by_key(|(created_at, serial, _)| std::cmp::Reverse((*created_at, *serial)));
        listed.into_iter().take(count_max).map(|(_, _, campaign)| Arc::clone(campaign)).collect()
    }

    /// The campaigns that have a waiting room.
    #[must_use]
    pub fn with_waiting_room(&self) -> Vec<Arc<Campaign>> {
        let held = self.held.read().expect("nobody panics while holding it");
        held.by_id.values().filter(|campaign| campaign.definition().spec.waiting.is_some()).cloned().collect()
    }

    /// Campaigns that were lost when this node last heard of them, at most so many.
    #[must_use]
    pub fn lost(&self, count_max: usize) -> Vec<CampaignId> {
        let held = self.held.read().expect("nobody panics while holding it");
        held.by_id.values().filter(|campaign| campaign.is_lost()).take(count_max).map(|lost| lost.id()).collect()
    }

    /// All changes are known that were announced before this moment.
    pub(super) fn is_as_of(&self, began_us: u64) {
        self.freshness.0.fetch_max(began_us, Ordering::AcqRel);
    }

    /// Takes a definition in, and answers the one entry of its campaign.
    pub(super) fn learn(&self, definition: Definition) -> Arc<Campaign> {
        if let Some(campaign) = self.get(definition.id()) {
            campaign.follow(definition);
            return campaign;
        }
        let mut held = self.held.write().expect("nobody panics while holding it");
        let (id, serial) = (definition.id().clone(), definition.serial);
        // Another task may have been here between the look and the lock.
        let campaign = held
            .by_id
            .entry(id.clone())
            .or_insert_with(|| {
                Arc::new(Campaign::new(definition.clone(), Arc::clone(&self.freshness), self.marks.of(&id)))
            })
            .clone();
        campaign.follow(definition);
        held.by_serial.insert(serial, Arc::clone(&campaign));
        campaign
    }

    /// Hears that a campaign has units again: `<id> <generation> <epoch>`.
    pub(super) fn hear_reopened(&self, text: &str) {
        let mut words = text.split(' ');
        let mut next = || words.next();
        let (Some(id), Some(generation), Some(found)) = (next(), next(), next()) else { return };
        if let (Ok(id), Ok(generation), Ok(found)) = (id.parse(), generation.parse(), found.parse())
            && let Some(campaign) = self.get(&id)
        {
            campaign.latch.hear(epoch(generation, found));
        }
    }

    /// Reads a campaign's definition from Redis; `None` if Redis has none.
    pub(super) async fn fetch(&self, redis: &Redis, id: &CampaignId) -> Result<Option<Arc<Campaign>>, RedisError> {
        let key = redis.keys().of(id).campaign();
        let fields = ["definition", "generation", "fact_no", "epoch", "lost"].map(String::from).to_vec();
        let found = redis.fields(id, &key, fields).await?;
        let [Some(text), Some(generation), Some(fact_no), Some(epoch_text), lost] = &found[..] else { return Ok(None) };
        let definition: Definition = match serde_json::from_str(text) {
            Ok(definition) => definition,
            // Another version of the program may have written it. It is this campaign's matter alone.
            Err(error) => {
                metrics::counter!("onrush_campaign_unreadable_total").increment(1);
                tracing::error!(campaign = %id, %error, "a definition in Redis cannot be read: this node does not follow it");
                return Ok(self.get(id));
            }
        };
        let campaign = self.learn(definition);
        if let (Ok(generation), Ok(fact_no), Ok(found)) = (generation.parse(), fact_no.parse(), epoch_text.parse()) {
            // Rebuilt: also where nobody asks for a unit, who watches has to see it.
            if lost.is_some() {
                campaign.saw_lost();
            } else if (u64::from(generation), fact_no) > campaign.high_water.get() {
                campaign.lost.store(false, Ordering::Relaxed);
            }
            campaign.high_water.raise(generation, fact_no);
            campaign.latch.hear(epoch(generation, found));
        }
        Ok(Some(campaign))
    }
}

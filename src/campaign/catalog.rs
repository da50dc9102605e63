//! All campaigns in this node's memory, so that a claim looks nothing up; and how the memory keeps up with the others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Instant;

use tokio::sync::{Mutex, MutexGuard};

use super::counters::Peek;
use super::definition::Definition;
use super::known::Known;
use crate::ids::CampaignId;
use crate::redis::{Channel, Head, Redis, RedisError};

/// One campaign, as this node knows it.
pub struct Campaign {
    definition: RwLock<Arc<Definition>>,
    pub(crate) known: Known,
    /// What the last reply of a script said. Redis decides each time anew; this is for who asks how the node stands.
    lost: AtomicBool,
    /// The last peek and when it was asked for. Who finds it too old asks; the others wait for that one answer.
    pub(super) peeked: Mutex<Option<(Instant, Peek)>>,
}

impl Campaign {
    pub(super) fn new(definition: Definition) -> Self {
        Self {
            definition: RwLock::new(Arc::new(definition)),
            known: Known::default(),
            lost: AtomicBool::new(false),
            peeked: Mutex::new(None),
        }
    }

    /// The newest definition that this node has heard of.
    #[must_use]
    pub fn definition(&self) -> Arc<Definition> {
        Arc::clone(&self.definition.read().expect("nobody panics while holding it"))
    }

    /// The campaign's id.
    #[must_use]
    pub fn id(&self) -> CampaignId {
        self.definition().id().clone()
    }

    /// Takes over a newer definition; an older one changes nothing.
    fn follow(&self, newer: Definition) {
        let mut held = self.definition.write().expect("nobody panics while holding it");
        if newer.version > held.version {
            *held = Arc::new(newer);
        }
    }

    /// Learns from the reply to a script that may have written facts, and tells the relays of an outbox that was empty.
    pub(crate) fn saw(&self, redis: &Arc<Redis>, head: Head, wrote_facts: bool) {
        self.known.raise(head.generation, head.fact_no);
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
        *self.peeked.lock().await = None;
    }

    pub(super) async fn lock_peeked(&self) -> MutexGuard<'_, Option<(Instant, Peek)>> {
        self.peeked.lock().await
    }
}

/// Every campaign that this node knows.
#[derive(Default)]
pub struct Catalog {
    held: RwLock<Held>,
}

#[derive(Default)]
struct Held {
    by_id: HashMap<CampaignId, Arc<Campaign>>,
    by_serial: HashMap<u32, Arc<Campaign>>,
}

impl Catalog {
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
            .filter(|(id, campaign)| after.is_none_or(|after| *id > after) && campaign.definition().terms.listed)
            .collect();
        listed.sort_unstable_by_key(|(id, _)| *id);
        listed.into_iter().take(count_max).map(|(_, campaign)| Arc::clone(campaign)).collect()
    }

    /// Campaigns that were lost when this node last heard of them, at most so many.
    #[must_use]
    pub fn lost(&self, count_max: usize) -> Vec<CampaignId> {
        let held = self.held.read().expect("nobody panics while holding it");
        held.by_id.values().filter(|campaign| campaign.is_lost()).take(count_max).map(|lost| lost.id()).collect()
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
        let campaign = held.by_id.entry(id).or_insert_with(|| Arc::new(Campaign::new(definition.clone()))).clone();
        campaign.follow(definition);
        held.by_serial.insert(serial, Arc::clone(&campaign));
        campaign
    }

    /// Reads a campaign's definition from Redis; `None` if Redis has none.
    pub(super) async fn fetch(&self, redis: &Redis, id: &CampaignId) -> Result<Option<Arc<Campaign>>, RedisError> {
        let key = redis.keys().of(id).campaign();
        let fields = ["definition", "generation", "fact_no"].map(String::from).to_vec();
        let found = redis.fields(id, &key, fields).await?;
        let [Some(text), Some(generation), Some(fact_no)] = &found[..] else { return Ok(None) };
        let definition: Definition = serde_json::from_str(text)
            .map_err(|error| RedisError::Unexpected(format!("the definition of {id}: {error}")))?;
        let campaign = self.learn(definition);
        if let (Ok(generation), Ok(fact_no)) = (generation.parse(), fact_no.parse()) {
            campaign.known.raise(generation, fact_no);
        }
        Ok(Some(campaign))
    }
}

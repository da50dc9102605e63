//! From the outbox to Kafka.
//!
//! - One relay a campaign at a time, by a lease with a fencing token. A relay that has lost it deletes nothing.
//! - Always from the head: publish in order, delete the acknowledged entries, begin again. After a failure, too: an
//!   entry may then be published twice, but none is left out.
//! - What cannot be read of an entry is published as a dead letter, and stops neither the entry nor the campaign.
//! - A campaign that is hot is drained without a pause, in turn with others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::error::LedgerError;
use super::gauges::Outboxes;
use crate::config::{self, Config};
use crate::dead_letters::{FromOutbox, set_unreadable_aside};
use crate::ids::CampaignId;
use crate::kafka::{KafkaError, Producer, Published, ensure_dead_letters_topic};
use crate::redis::{Entry, Redis, RedisError, Script, Value, read_outbox};
use crate::script;

static TAKE: Script<2> = script!("relay/take");
static DELETE: Script<3> = script!("relay/delete");
static RELEASE: Script<1> = script!("relay/release");

/// Publishes what campaigns have decided. One a node.
pub struct Relay {
    pub(super) redis: Arc<Redis>,
    producer: Arc<Producer>,
    pub(super) kafka: config::Kafka,
    pub(super) settings: config::Relay,
    owner: String,
    /// The outboxes, when they were last looked at.
    pub(super) outboxes: Outboxes,
    /// The last token that this relay held of each campaign.
    tokens: Mutex<HashMap<CampaignId, i64>>,
}

/// What one round over a campaign's outbox did.
#[derive(Debug)]
pub enum Drained {
    /// So many facts are in Kafka and out of the outbox; there may be more.
    Facts(u64),
    /// There was nothing.
    Empty,
    /// Another relay has the campaign.
    HeldByAnother,
    /// Another relay has taken the campaign over: it begins from the head.
    LeaseLost,
    /// A store is away, or answers what it should not. Nothing is lost.
    Failed(LedgerError),
}

/// What the first half of a round did.
pub enum Head {
    /// This much; see [`Relay::delete_published`].
    Published(PublishedHead),
    /// Nothing, and why.
    Nothing(Drained),
}

/// Entries that were published, some of them acknowledged.
pub struct PublishedHead {
    token: i64,
    entries: Vec<Entry>,
    acknowledged: usize,
    failure: Option<KafkaError>,
}

impl Relay {
    /// A relay of its own, whatever others the node has.
    #[must_use]
    pub fn new(redis: Arc<Redis>, producer: Arc<Producer>, config: &Config) -> Self {
        Self {
            redis,
            producer,
            kafka: config.kafka.clone(),
            settings: config.relay.clone(),
            outboxes: Outboxes::default(),
            owner: format!("{:032x}", rand::random::<u128>()),
            tokens: Mutex::default(),
        }
    }

    /// What it sees of the outboxes.
    #[must_use]
    pub fn outboxes(&self) -> Outboxes {
        self.outboxes.clone()
    }

    /// One round: takes or keeps the lease, publishes what is at the head, deletes what was acknowledged.
    pub async fn drain_once(&self, campaign: &CampaignId) -> Drained {
        let drained = self.round(campaign).await.unwrap_or_else(Drained::Failed);
        match &drained {
            Drained::Facts(facts) => metrics::counter!("onrush_relay_facts_published_total").increment(*facts),
            Drained::Failed(error) => {
                metrics::counter!("onrush_relay_failures_total").increment(1);
                tracing::warn!(%campaign, %error, "relaying failed; it begins again from the head");
            }
            Drained::LeaseLost => {
                tracing::warn!(%campaign, "another node has taken over the relay of this campaign; this one goes on with the others");
            }
            Drained::Empty | Drained::HeldByAnother => {}
        }
        drained
    }

    async fn round(&self, campaign: &CampaignId) -> Result<Drained, LedgerError> {
        match self.publish_head(campaign).await? {
            Head::Published(published) => self.delete_published(campaign, published).await,
            Head::Nothing(drained) => Ok(drained),
        }
    }

    /// The first half of a round: publishes what is at the head of the outbox. A relay that dies after it leaves the
    /// entries to the next one.
    pub async fn publish_head(&self, campaign: &CampaignId) -> Result<Head, LedgerError> {
        let token = self.take(campaign).await?;
        if token == 0 {
            return Ok(Head::Nothing(Drained::HeldByAnother));
        }
        let entries = read_outbox(&self.redis, campaign, None, self.settings.entries_max).await?;
        if entries.is_empty() {
            return Ok(Head::Nothing(Drained::Empty));
        }
        self.set_unreadable_aside(campaign, &entries).await?;
        let facts: Vec<_> = entries.iter().flat_map(|entry| entry.facts.iter().cloned()).collect();
        let Published { acknowledged, failure } = tokio::select! {
            published = self.producer.publish(&facts) => published,
            // Dropping the wait does not take records back; whoever has the lease now publishes them once more.
            () = self.keep_lease(campaign, token) => return Ok(Head::Nothing(Drained::LeaseLost)),
        };
        Ok(Head::Published(PublishedHead { token, entries, acknowledged, failure }))
    }

    /// What cannot be read is among the dead letters before its entry is deleted. Whoever dies in between leaves it to be set
    /// aside once more, as the same letter.
    async fn set_unreadable_aside(&self, campaign: &CampaignId, entries: &[Entry]) -> Result<(), LedgerError> {
        let letters: Vec<FromOutbox> = entries
            .iter()
            .flat_map(|entry| entry.unreadable.iter().enumerate().map(move |(place, found)| (entry, place, found)))
            .map(|(entry, place, unreadable)| FromOutbox { entry: &entry.id, place, unreadable })
            .collect();
        if letters.is_empty() {
            return Ok(());
        }
        ensure_dead_letters_topic(&self.kafka).await?;
        let outbox = self.redis.keys().of(campaign).outbox();
        let to = self.kafka.dead_letters_topic();
        set_unreadable_aside(&self.producer, (&outbox, &to), campaign, &letters).await?;
        metrics::counter!("onrush_relay_unreadable_total").increment(letters.len() as u64);
        Ok(())
    }

    /// The second half: deletes what Kafka has acknowledged, if this still is the campaign's relay.
    pub async fn delete_published(
        &self,
        campaign: &CampaignId,
        published: PublishedHead,
    ) -> Result<Drained, LedgerError> {
        let PublishedHead { token, entries, acknowledged, failure } = published;
        let deleted = self.delete(campaign, token, whole_entries(&entries, acknowledged)).await?;
        match (failure, u64::try_from(deleted)) {
            (Some(failure), _) => Err(failure.into()),
            (None, Ok(deleted)) => Ok(Drained::Facts(deleted)),
            (None, Err(_)) => Ok(Drained::LeaseLost),
        }
    }

    /// The fencing token, or 0.
    async fn take(&self, campaign: &CampaignId) -> Result<i64, RedisError> {
        let keys = self.redis.keys().of(campaign);
        let lease_ms = i64::try_from(self.settings.lease_ms).unwrap_or(i64::MAX);
        let args = vec![self.owner.as_str().into(), lease_ms.into()];
        let reply = self.redis.call(&TAKE, campaign, [keys.relay(), keys.fence()], args).await?;
        let token = number(&reply)?;
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if token > 0 && tokens.insert(campaign.clone(), token) != Some(token) {
            metrics::counter!("onrush_relay_lease_takeovers_total").increment(1);
        }
        Ok(token)
    }

    /// Returns when the lease is another's, or has been in between.
    async fn keep_lease(&self, campaign: &CampaignId, token: i64) {
        loop {
            tokio::time::sleep(Duration::from_millis(self.settings.lease_ms / 3)).await;
            match self.take(campaign).await {
                Ok(held) if held == token => {}
                Ok(_) => return,
                Err(error) => tracing::debug!(%campaign, %error, "keeping the lease"),
            }
        }
    }

    /// The number of facts deleted, or -1 if the lease is lost.
    async fn delete(&self, campaign: &CampaignId, token: i64, entries: &[Entry]) -> Result<i64, RedisError> {
        let keys = self.redis.keys().of(campaign);
        let mut args: Vec<Value> = vec![self.owner.as_str().into(), token.into()];
        for entry in entries {
            args.push(entry.id.as_str().into());
            args.push(i64::try_from(entry.counted).unwrap_or(0).into());
        }
        number(&self.redis.call(&DELETE, campaign, [keys.relay(), keys.campaign(), keys.outbox()], args).await?)
    }

    /// Gives the leases up that this relay may hold.
    pub(super) async fn release(&self) {
        let campaigns: Vec<_> = {
            let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            tokens.drain().collect()
        };
        for (campaign, token) in campaigns {
            let key = self.redis.keys().of(&campaign).relay();
            let args = vec![self.owner.as_str().into(), token.into()];
            if let Err(error) = self.redis.call(&RELEASE, &campaign, [key], args).await {
                tracing::debug!(%campaign, %error, "giving a lease up; it ends by itself");
                return;
            }
        }
    }
}

/// The entries of which all facts were acknowledged, up to the first of which not.
fn whole_entries(entries: &[Entry], mut facts: usize) -> &[Entry] {
    let whole = entries.iter().take_while(|entry| {
        let is_whole = entry.facts.len() <= facts;
        facts = if is_whole { facts - entry.facts.len() } else { 0 };
        is_whole
    });
    &entries[..whole.count()]
}

fn number(reply: &Value) -> Result<i64, RedisError> {
    reply.as_i64().ok_or_else(|| RedisError::Unexpected(format!("{reply:?} where a number was expected")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Fact, Kind, SCHEMA_VERSION};

    #[test]
    fn only_whole_entries_up_to_the_first_unacknowledged_fact_are_deleted() {
        let fact = Fact {
            v: SCHEMA_VERSION,
            campaign: "c".into(),
            generation: 1,
            fact_no: 1,
            kind: Kind::Created,
            change: 0,
            at: 0,
            claim: None,
            reason: None,
        };
        let entry = |facts: u64| Entry {
            id: "1-1".into(),
            facts: (0..facts).map(|_| fact.clone()).collect(),
            unreadable: Vec::new(),
            counted: facts,
        };
        let entries = [entry(2), entry(3), entry(1)];
        let deleted: Vec<usize> = (0..=6).map(|facts| whole_entries(&entries, facts).len()).collect();
        assert_eq!(deleted, [0, 0, 1, 1, 1, 2, 3]);
    }
}

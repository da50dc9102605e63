//! Reading the stream that holds the facts of one campaign until Kafka has them.

use fred::prelude::ClientLike;
use fred::types::{ClusterHash, CustomCommand};

use super::error::RedisError;
use super::redis::Redis;
use super::value::Value;
use crate::facts::{EntryParts, Fact, RawEntry, Unreadable};
use crate::ids::CampaignId;

/// What one script call wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Redis' id of the stream entry.
    pub id: String,
    /// Its facts, in the order of decision.
    pub facts: Vec<Fact>,
    /// What cannot be read of it: a newer program's facts, or nobody's.
    pub unreadable: Vec<Unreadable>,
    /// The facts that it counts for in the campaign's outbox.
    pub counted: u64,
}

impl Entry {
    /// When it was made, by Redis' clock, in ms since 1970; 0 if its id says nothing of it.
    #[must_use]
    pub fn made_at(&self) -> i64 {
        self.id.split_once('-').and_then(|(ms, _)| ms.parse().ok()).unwrap_or(0)
    }
}

/// The oldest entries after this id (exclusive; `None`: from the head), at most so many. What cannot be read of one stops
/// neither it nor the others.
pub async fn read_outbox(
    redis: &Redis,
    campaign: &CampaignId,
    after: Option<&str>,
    entries_max: u64,
) -> Result<Vec<Entry>, RedisError> {
    let key = redis.keys().of(campaign).outbox();
    let start = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
    // Not by the library's own call: that makes text of everything, and fails where something is none.
    let command = CustomCommand::new_static("XRANGE", ClusterHash::FirstKey, false);
    let args: Vec<Value> = vec![key.into(), start.into(), "+".into(), "COUNT".into(), entries_max.to_string().into()];
    let found: Value = redis.client_of(campaign).custom(command, args).await?;
    let Value::Array(found) = found else { return Err(unexpected(campaign)) };
    let entries = found.into_iter().map(|entry| parse(campaign, entry).ok_or_else(|| unexpected(campaign)));
    let entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
    // Whoever has facts in hand knows of them: a Redis that goes back behind them is noticed by this node.
    if let Some(fact) = entries.iter().rev().find_map(|entry| entry.facts.last()) {
        redis.marks().of(campaign).raise(fact.generation, fact.fact_no);
    }
    Ok(entries)
}

fn unexpected(campaign: &CampaignId) -> RedisError {
    RedisError::Unexpected(format!("the outbox of {campaign} is no stream"))
}

/// `None`: no entry of a stream looks like this.
fn parse(campaign: &CampaignId, entry: Value) -> Option<Entry> {
    let Value::Array(entry) = entry else { return None };
    let [id, fields]: [Value; 2] = entry.try_into().ok()?;
    let id = id.into_string()?;
    // An entry that was deleted in the middle of a node of the stream has none.
    let fields = if let Value::Array(fields) = fields { fields } else { Vec::new() };
    let mut bytes = fields.into_iter().map(|part| part.into_owned_bytes().unwrap_or_default());
    let mut pairs = Vec::new();
    while let Some(name) = bytes.next() {
        pairs.push((name, bytes.next().unwrap_or_default()));
    }
    let EntryParts { facts, unreadable, counted } = RawEntry::new(campaign, &id, &pairs).parts();
    Some(Entry { id, facts, unreadable, counted })
}

//! Reading the stream that holds the facts of one campaign until Kafka has them.

use std::collections::HashMap;

use fred::prelude::StreamsInterface;

use super::{Redis, RedisError};
use crate::facts::{EntryHead, Fact, read_entry};
use crate::ids::CampaignId;

/// What one script call wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Redis' id of the stream entry.
    pub id: String,
    /// Its facts, in the order of decision.
    pub facts: Vec<Fact>,
}

/// The oldest entries after this id (exclusive; `None`: from the head), at most so many.
pub async fn read_outbox(
    redis: &Redis,
    campaign: &CampaignId,
    after: Option<&str>,
    entries_max: u64,
) -> Result<Vec<Entry>, RedisError> {
    let key = redis.keys().of(campaign).outbox();
    let start = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
    let raw: Vec<(String, HashMap<String, String>)> =
        redis.client_of(campaign).xrange_values(key, start, "+", Some(entries_max)).await?;
    let entries: Vec<Entry> =
        raw.into_iter().map(|(id, fields)| parse(campaign, id, &fields)).collect::<Result<_, _>>()?;
    // Whoever has facts in hand knows of them: a Redis that goes back behind them is noticed by this node.
    if let Some(fact) = entries.last().and_then(|entry| entry.facts.last()) {
        redis.marks().of(campaign).raise(fact.generation, fact.fact_no);
    }
    Ok(entries)
}

fn parse(campaign: &CampaignId, id: String, fields: &HashMap<String, String>) -> Result<Entry, RedisError> {
    let unexpected = |what: &str| RedisError::Unexpected(format!("outbox entry {id} of {campaign}: {what}"));
    let number = |name: &str| -> Result<i64, RedisError> {
        fields.get(name).and_then(|text| text.parse().ok()).ok_or_else(|| unexpected(name))
    };
    let head = EntryHead {
        v: u32::try_from(number("v")?).map_err(|_| unexpected("v"))?,
        generation: u32::try_from(number("g")?).map_err(|_| unexpected("g"))?,
        at: number("at")?,
    };
    let text = fields.get("f").ok_or_else(|| unexpected("f"))?;
    let facts = read_entry(campaign, head, text).map_err(|error| unexpected(&error.to_string()))?;
    Ok(Entry { id, facts })
}

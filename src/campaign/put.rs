//! Bringing a campaign's row into Redis, and asking Redis how it stands.

use std::sync::Arc;

use super::CampaignError;
use super::catalog::Campaign;
use super::counters::Peek;
use super::definition::{Definition, Waiting};
use crate::clock::Millis;
use crate::config;
use crate::ids::CampaignId;
use crate::redis::{Channel, Inspection, Redis, RedisError, Reply, Script, Value};
use crate::script;

static PUT: Script<2> = script!(prelude + "campaign/put");
/// The same, for a row that sells no more: that may be put also when Redis has no memory left.
static PUT_WITHOUT_MEMORY: Script<2> = script!(allow_oom prelude + "campaign/put");
static PEEK: Script<1> = script!(prelude + "campaign/peek");
static ANNOUNCE: Script<1> = script!("campaign/announce");

/// What became of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// New in Redis, and not armed yet.
    Created,
    /// Redis had an older version, and has this one now.
    Applied,
    /// Redis had this version or a newer one.
    Unchanged,
    /// It was there once and is not any more, or only an older state of it.
    Lost,
    /// The change is a fact, and the outbox has no room for one.
    OutboxFull,
    /// It has opened in the meantime, or too few units are left: Redis keeps its stock.
    StockCannotShrink {
        /// The stock that Redis keeps.
        stock: u64,
    },
}

/// Puts this definition, if it is newer than what is there. `put_before` is the database's word.
pub(super) async fn put(
    redis: &Arc<Redis>,
    limits: &config::Campaign,
    campaign: &Campaign,
    definition: &Definition,
    put_before: bool,
) -> Result<Put, RedisError> {
    let keys = redis.keys().of(definition.id());
    let keys = [keys.campaign(), keys.outbox()];
    let script = if definition.closed || definition.paused { &PUT_WITHOUT_MEMORY } else { &PUT };
    let reply = redis.call(script, definition.id(), keys, put_args(limits, campaign, definition, put_before)).await?;
    learn(redis, campaign, &Reply::parse(reply)?)
}

/// The same, on a server that is being verified: what was published of a campaign must be there before it decides.
pub(super) async fn put_again(
    inspection: &Inspection<'_>,
    redis: &Arc<Redis>,
    limits: &config::Campaign,
    campaign: &Campaign,
    definition: &Definition,
) -> Result<Put, RedisError> {
    let keys = redis.keys().of(definition.id());
    let args = put_args(limits, campaign, definition, true);
    let reply = inspection.call(&PUT_WITHOUT_MEMORY, [keys.campaign(), keys.outbox()], args).await?;
    learn(redis, campaign, &Reply::parse(reply)?)
}

fn put_args(limits: &config::Campaign, campaign: &Campaign, definition: &Definition, put_before: bool) -> Vec<Value> {
    let mut args = campaign.known.args();
    args.push(i64::from(put_before).into());
    args.extend(definition_args(definition, limits));
    args
}

fn learn(redis: &Arc<Redis>, campaign: &Campaign, reply: &Reply) -> Result<Put, RedisError> {
    if let Some(head) = reply.head {
        campaign.saw(redis, head, reply.code != "unchanged");
    }
    if reply.code == "lost" {
        campaign.saw_lost();
    }
    match reply.code.as_str() {
        "missing" => Err(RedisError::Unexpected("a campaign that was just put is missing".into())),
        "created" => Ok(Put::Created),
        "ok" => Ok(Put::Applied),
        "unchanged" => Ok(Put::Unchanged),
        "lost" => Ok(Put::Lost),
        "outbox_full" => Ok(Put::OutboxFull),
        "stock_cannot_shrink" => {
            let stock = reply.rest.first().and_then(Value::as_u64).ok_or_else(|| reply.unknown_code())?;
            Ok(Put::StockCannotShrink { stock })
        }
        _ => Err(reply.unknown_code()),
    }
}

/// A definition as the scripts take it, from `version` on.
pub(crate) fn definition_args(definition: &Definition, limits: &config::Campaign) -> [Value; 11] {
    let terms = &definition.terms;
    let text = serde_json::to_string(definition).expect("a definition has no map with keys that are no strings");
    let millis = |at: Option<Millis>| at.map_or(0, |at| at.0).to_string().into();
    let user_max = u64::from(terms.per_user_limit) * u64::from(limits.claims_per_user_factor);
    [
        definition.version.to_string().into(),
        terms.stock.to_string().into(),
        terms.per_user_limit.to_string().into(),
        user_max.to_string().into(),
        millis(terms.opens_at),
        millis(terms.closes_at),
        i64::from(definition.paused).into(),
        i64::from(definition.closed).into(),
        limits.outbox_facts_max.to_string().into(),
        text.into(),
        terms.waiting.as_ref().map(Waiting::to_field).unwrap_or_default().into(),
    ]
}

/// Asks how the campaign stands.
pub(super) async fn peek(redis: &Arc<Redis>, campaign: &Campaign) -> Result<Peek, CampaignError> {
    let id = campaign.id();
    let keys = [redis.keys().of(&id).campaign()];
    let reply = Reply::parse(redis.call(&PEEK, &id, keys, campaign.known.args()).await?)?;
    if reply.code == "lost" {
        campaign.saw_lost();
        return Err(CampaignError::Lost);
    }
    if reply.code == "missing" {
        return Err(CampaignError::BeingMade);
    }
    let head = reply.head()?;
    campaign.saw(redis, head, false);
    let numbers: Vec<u64> = reply.rest.iter().map_while(Value::as_u64).collect();
    let [next, given_back, lost_numbers] = numbers[..] else { return Err(reply.unknown_code().into()) };
    Ok(Peek { head, next, given_back, lost_numbers })
}

/// Tells every node that the campaign has changed.
pub(crate) async fn announce(redis: &Redis, id: &CampaignId) -> Result<(), RedisError> {
    let channel = redis.keys().channel(Channel::Changes);
    let args = vec![id.as_str().into(), channel.into()];
    redis.call_anywhere(&ANNOUNCE, [redis.keys().directory()], args).await.map(drop)
}

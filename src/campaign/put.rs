//! Bringing a campaign's row into Redis, and asking Redis how it stands.

use std::sync::Arc;

use super::catalog::Campaign;
use super::counters::Peek;
use super::definition::{Definition, Waiting};
use super::error::CampaignError;
use super::script_call::{ScriptCall, ScriptError, never};
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
    let script = if definition.closed || definition.paused { &PUT_WITHOUT_MEMORY } else { &PUT };
    let keys = keys(redis, definition);
    let more = || put_args(limits, definition, put_before);
    became(ScriptCall { campaign, script, keys, more, wrote }.on_usual(redis).await)
}

/// The same, on a server that is being verified: what was published of a campaign must be there before it decides.
pub(super) async fn put_again(
    inspection: &Inspection<'_>,
    redis: &Arc<Redis>,
    limits: &config::Campaign,
    campaign: &Campaign,
    definition: &Definition,
) -> Result<Put, RedisError> {
    let (script, keys) = (&PUT_WITHOUT_MEMORY, keys(redis, definition));
    let more = || put_args(limits, definition, true);
    became(ScriptCall { campaign, script, keys, more, wrote }.on_server(redis, inspection).await)
}

fn keys(redis: &Redis, definition: &Definition) -> [String; 2] {
    let keys = redis.keys().of(definition.id());
    [keys.campaign(), keys.outbox()]
}

fn put_args(limits: &config::Campaign, definition: &Definition, put_before: bool) -> impl Iterator<Item = Value> {
    std::iter::once(i64::from(put_before).into()).chain(definition_args(definition, limits))
}

fn wrote(reply: &Reply) -> bool {
    reply.code != "unchanged"
}

fn became(said: Result<Reply, ScriptError>) -> Result<Put, RedisError> {
    let reply = match said {
        Ok(reply) => reply,
        Err(ScriptError::Lost) => return Ok(Put::Lost),
        Err(ScriptError::Missing) => {
            return Err(RedisError::Unexpected("a campaign that was just put is missing".into()));
        }
        Err(ScriptError::Redis(error)) => return Err(error),
    };
    match reply.code.as_str() {
        "created" => Ok(Put::Created),
        "ok" => Ok(Put::Applied),
        "unchanged" => Ok(Put::Unchanged),
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
    let spec = &definition.spec;
    let text = serde_json::to_string(definition).expect("a definition has no map with keys that are no strings");
    let millis = |at: Option<Millis>| at.map_or(0, |at| at.0).to_string().into();
    let user_max = u64::from(spec.per_user_limit) * u64::from(limits.claims_per_user_factor);
    [
        definition.version.to_string().into(),
        spec.stock.to_string().into(),
        spec.per_user_limit.to_string().into(),
        user_max.to_string().into(),
        millis(spec.opens_at),
        millis(spec.closes_at),
        i64::from(definition.paused).into(),
        i64::from(definition.closed).into(),
        limits.outbox_facts_max.to_string().into(),
        text.into(),
        spec.waiting.as_ref().map(Waiting::to_field).unwrap_or_default().into(),
    ]
}

/// Asks how the campaign stands.
pub(super) async fn peek(redis: &Arc<Redis>, campaign: &Campaign) -> Result<Peek, CampaignError> {
    let keys = [redis.keys().of(&campaign.id()).campaign()];
    let reply = ScriptCall { campaign, script: &PEEK, keys, more: || [], wrote: never }.on_usual(redis).await?;
    let head = reply.head()?;
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

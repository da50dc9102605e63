//! How does a script of a campaign get its answer? The one door: what this node has seen goes in, what the reply says is learnt.
//!
//! - The campaign's marks are the first arguments. A Redis that has less than that says so instead of deciding.
//! - Whatever a reply says of the campaign is learnt before anybody reads on in it.
//! - `lost` and `missing` are what every script may answer. They are noted here, and come out as errors.
//!
//! Scripts about a campaign that is not to be believed, those of a rebuild and of a server's verification, say themselves what is
//! known, and teach nothing: see [`call_unmarked`].

use std::sync::Arc;

use thiserror::Error;

use super::catalog::Campaign;
use crate::ids::CampaignId;
use crate::redis::{Arguments, Inspection, MadeBy, Pinned, Redis, RedisError, Reply, Script, Value};

/// Why a script has said nothing of its campaign.
#[derive(Debug, Error)]
pub(crate) enum ScriptError {
    /// Redis is away, or has answered what no script does.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// It was there and is not any more, or only an older state of it: refused to everyone until it was rebuilt.
    #[error("the campaign was lost in Redis and has to be rebuilt")]
    Lost,
    /// It is not there, and nobody has seen it there: it is being made.
    #[error("the campaign is being made")]
    Missing,
}

/// One call of a campaign's script.
pub(crate) struct ScriptCall<'a, const KEYS: usize, M> {
    /// Whose script it is.
    pub campaign: &'a Campaign,
    /// The script.
    pub script: &'a Script<KEYS>,
    /// Its keys, in order.
    pub keys: [String; KEYS],
    /// Its arguments after the marks. They are made again if they are wanted twice, since keeping them would cost each call a copy.
    pub more: M,
    /// Whether a reply that says how the campaign stands tells of facts that the script has written, as relays want to know.
    pub wrote: fn(&Reply) -> bool,
}

impl<const KEYS: usize, M, I> ScriptCall<'_, KEYS, M>
where
    M: Fn() -> I,
    I: IntoIterator<Item = Value>,
{
    /// On the campaign's usual connection.
    pub(crate) async fn on_usual(self, redis: &Arc<Redis>) -> Result<Reply, ScriptError> {
        let Self { campaign, script, keys, more, wrote } = self;
        let value = redis.call(script, &campaign.id(), keys, marked(campaign, more)).await?;
        hear(redis, campaign, value, wrote)
    }

    /// Where the caller's other commands of this campaign travel.
    pub(crate) async fn on_pinned(self, redis: &Arc<Redis>, pinned: &mut Pinned<'_>) -> Result<Reply, ScriptError> {
        let Self { campaign, script, keys, more, wrote } = self;
        let value = pinned.call(script, keys, marked(campaign, more)).await?;
        hear(redis, campaign, value, wrote)
    }

    /// On a server that is being verified.
    pub(crate) async fn on_server(self, redis: &Arc<Redis>, inspection: &Inspection<'_>) -> Result<Reply, ScriptError> {
        let Self { campaign, script, keys, more, wrote } = self;
        let value = inspection.call(script, keys, marked(campaign, more)).await?;
        hear(redis, campaign, value, wrote)
    }
}

/// What this node has seen of the campaign, then the rest, in one list without a second allocation.
fn marked<I: IntoIterator<Item = Value>>(campaign: &Campaign, more: impl Fn() -> I) -> MadeBy<impl Fn() -> Vec<Value>> {
    let marks = campaign.high_water.args();
    MadeBy(move || {
        let more = more().into_iter();
        let mut args = Vec::with_capacity(marks.len() + more.size_hint().0);
        args.extend_from_slice(&marks);
        args.extend(more);
        args
    })
}

fn hear(
    redis: &Arc<Redis>,
    campaign: &Campaign,
    value: Value,
    wrote: fn(&Reply) -> bool,
) -> Result<Reply, ScriptError> {
    let reply = Reply::parse(value)?;
    if let Some(head) = reply.head {
        campaign.saw(redis, head, wrote(&reply));
    }
    match reply.code.as_str() {
        "lost" => {
            campaign.saw_lost();
            Err(ScriptError::Lost)
        }
        "missing" => Err(ScriptError::Missing),
        _ => Ok(reply),
    }
}

/// Of a script that writes no facts.
pub(crate) fn never(_: &Reply) -> bool {
    false
}

/// Of a script that has written facts if it says `ok`, and only then.
pub(crate) fn if_ok(reply: &Reply) -> bool {
    reply.code == "ok"
}

/// A script about a campaign that is lost: what its arguments say is all that is held against it.
pub(crate) async fn call_unmarked<const KEYS: usize>(
    redis: &Redis,
    campaign: &CampaignId,
    script: &Script<KEYS>,
    keys: [String; KEYS],
    args: impl Arguments,
) -> Result<Reply, RedisError> {
    Reply::parse(redis.call(script, campaign, keys, args).await?)
}

/// The same on a server that is being verified.
pub(crate) async fn call_unmarked_on<const KEYS: usize>(
    inspection: &Inspection<'_>,
    script: &Script<KEYS>,
    keys: [String; KEYS],
    args: impl Arguments,
) -> Result<Reply, RedisError> {
    Reply::parse(inspection.call(script, keys, args).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marks_come_first_and_the_list_is_allocated_once() {
        let campaign = Campaign::alone("c");
        campaign.high_water.raise(2, 7);
        let users = ["a", "b", "c"];
        let more =
            || [Value::from("f")].into_iter().chain(users.iter().flat_map(|user| [Value::from(*user), "x".into()]));
        let args = marked(&campaign, more).values();
        let expected = ["", "2", "7", "f", "a", "x", "b", "x", "c", "x"].map(Value::from);
        assert_eq!((&args[..], args.capacity()), (&expected[..], expected.len()));
    }
}

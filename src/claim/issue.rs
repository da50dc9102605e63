//! The binding of `lua/claim/issue.lua`: a batch of requests in, an answer for each out.

use std::sync::Arc;

use super::answer::{Answer, PassOf, Request};
use super::read;
use super::record::{Claim, ClaimState, letter};
use crate::campaign::{Campaign, ScriptCall, ScriptError};
use crate::clock;
use crate::facts::RECORD_SEPARATOR;
use crate::ids::UserId;
use crate::redis::{Durability, Head, Pinned, Redis, RedisError, Reply, Script, Value};
use crate::script;

static ISSUE: Script<6> = script!(prelude + "claim/issue");
static WEAKEN: Script<1> = script!(prelude + "claim/weaken");

/// Decides these requests, in their order, in one call. As many answers as requests.
pub(super) async fn issue(
    redis: &Arc<Redis>,
    campaign: &Campaign,
    requests: &[Request],
    lease_us: u64,
) -> Result<Vec<Answer>, RedisError> {
    let (id, asked) = (campaign.id(), campaign.definition().spec.durability);
    let keys = redis.keys().of(&id).issue();
    let more = || {
        let first = [Value::from_static_str(letter(asked)), passes(requests).into()];
        let each = |Request { attempt, user, .. }: &Request| [attempt.as_str().into(), user.as_str().into()];
        first.into_iter().chain(requests.iter().flat_map(each))
    };
    let call = ScriptCall { campaign, script: &ISSUE, keys, more, wrote: has_issued };
    let mut pinned = redis.pinned(&id, asked).await;
    let asked_at_us = clock::uptime_us();
    let reply = match call.on_pinned(redis, &mut pinned).await {
        Ok(reply) => reply,
        Err(ScriptError::Lost) => return Ok(vec![Answer::Lost; requests.len()]),
        Err(ScriptError::Missing) => return Ok(vec![Answer::NotArmed; requests.len()]),
        Err(ScriptError::Redis(error)) => return Err(error),
    };
    match reply.code.as_str() {
        "ok" => {}
        "unarmed" => return Ok(vec![Answer::NotArmed; requests.len()]),
        _ => return Err(reply.unknown_code()),
    }
    let head = reply.head()?;
    if reply.rest.len() != requests.len() {
        return Err(RedisError::Unexpected(format!("{} answers to {} requests", reply.rest.len(), requests.len())));
    }
    let mut answers = reply
        .rest
        .into_iter()
        .zip(requests)
        .map(|(value, request)| answer(value, head, &request.user, asked))
        .collect::<Result<Vec<_>, _>>()?;
    let issued = answers.iter().any(|answer| matches!(answer, Answer::Issued(_)));
    // Of a closed or paused campaign the reply does not say what one would hear if it were open.
    if head.left == 0 && (issued || answers.contains(&Answer::SoldOut)) {
        campaign.saw_sold_out(head, asked_at_us, lease_us);
    }
    let claims = answers.iter_mut().flat_map(Answer::claims);
    read::look_up_redemptions(redis, &mut pinned, &id, claims).await.map_err(RedisError::after_it_was_done)?;
    if asked > Durability::Memory && answers.iter_mut().any(|answer| !answer.claims().is_empty()) {
        let reached = pinned.reached(issued).await;
        if issued && reached < asked {
            weaken(redis, pinned, campaign, &answers, reached).await;
        }
        answers.iter_mut().flat_map(Answer::claims).for_each(|claim| claim.at_most(reached));
    }
    Ok(answers)
}

/// Whether the script has given a number to anyone: that was a fact.
fn has_issued(reply: &Reply) -> bool {
    reply.rest.iter().any(|answer| matches!(answer, Value::Integer(number) if *number > 0))
}

/// What all passes are for, 0 for none; nothing if none came with any.
fn passes(requests: &[Request]) -> String {
    if requests.iter().all(|request| request.pass.is_none()) {
        return String::new();
    }
    let text = |request: &Request| match request.pass {
        None => "0".to_owned(),
        Some(PassOf { number, life: 0 }) => number.to_string(),
        Some(PassOf { number, life }) => format!("{number}.{life}"),
    };
    requests.iter().map(text).collect::<Vec<_>>().join(",")
}

/// Notes what the new claims' first answer says, before it says so: a replay states no more. Where Redis cannot be
/// told, the record keeps what was asked for, and what a replay states is still no more than what then holds.
async fn weaken(
    redis: &Arc<Redis>,
    mut pinned: Pinned<'_>,
    campaign: &Campaign,
    answers: &[Answer],
    reached: Durability,
) {
    let id = campaign.id();
    metrics::counter!("onrush_claim_durability_not_reached_total").increment(1);
    let issued: Vec<&Claim> = answers
        .iter()
        .filter_map(|answer| if let Answer::Issued(claim) = answer { Some(claim) } else { None })
        .collect();
    let generation = issued.first().map_or(0, |claim| claim.generation);
    let mut args = vec![Value::from(generation.to_string()), letter(reached).into()];
    args.extend(issued.iter().map(|claim| Value::from(claim.number.to_string())));
    if let Err(error) = pinned.call(&WEAKEN, [redis.keys().of(&id).claims()], args).await {
        tracing::warn!(campaign = %id, %error, "claims are answered with less durability than their records say");
    }
}

fn answer(value: Value, head: Head, user: &UserId, asked: Durability) -> Result<Answer, RedisError> {
    match value {
        Value::Integer(code) => match code {
            0 => Ok(Answer::SoldOut),
            -1 => Ok(Answer::NotOpenYet { now: head.now }),
            -2 => Ok(Answer::Paused),
            -3 => Ok(Answer::Closed),
            -4 => Ok(Answer::ClaimsExhausted),
            -5 => Ok(Answer::OutboxFull),
            -6 => Ok(Answer::PassRequired),
            -7 => Ok(Answer::Cancelled),
            number => Ok(Answer::Issued(Claim {
                number: u64::try_from(number)
                    .map_err(|_| RedisError::Unexpected(format!("{number} as the answer to a claim")))?,
                generation: head.generation,
                user: user.as_str().to_owned(),
                claimed_at: head.now,
                state: ClaimState::Live,
                redeemed_at: None,
                durability: asked,
            })),
        },
        other => {
            let text = other.into_string().unwrap_or_default();
            let mut parts = text.split(RECORD_SEPARATOR);
            match (parts.next(), parts) {
                (Some("r"), mut claims) => {
                    let record = claims.next().unwrap_or_default();
                    Claim::parse_numbered(record).map(Answer::Replayed)
                }
                (Some("h"), claims) => {
                    claims.map(Claim::parse_numbered).collect::<Result<_, _>>().map(Answer::LimitReached)
                }
                _ => Err(RedisError::Unexpected(format!("{text:?} as the answer to a claim"))),
            }
        }
    }
}

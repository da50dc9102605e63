//! The binding of `lua/claim/issue.lua`: a batch of requests in, an answer for each out.

use std::sync::Arc;

use super::read;
use super::record::{Claim, ClaimState, RECORD_SEPARATOR, letter};
use crate::campaign::Campaign;
use crate::clock::{self, Millis};
use crate::ids::{AttemptId, UserId};
use crate::redis::{Durability, Head, Lane, MadeBy, Redis, RedisError, Reply, Script, Value};
use crate::script;

static ISSUE: Script<6> = script!(prelude + "claim/issue");
static WEAKEN: Script<1> = script!(prelude + "claim/weaken");

/// A press of the button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Repeated, it is the same press.
    pub attempt: AttemptId,
    /// Whose.
    pub user: UserId,
    /// What their pass was given for; `None`: there came none that holds.
    pub pass: Option<PassOf>,
}

/// What a pass was given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassOf {
    /// The number of the place.
    pub number: u64,
    /// The life of the room; 0: it does not say.
    pub life: u32,
}

/// What Redis decided about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The user has a unit.
    Issued(Claim),
    /// This attempt had its claim already; its state is today's.
    Replayed(Claim),
    /// No unit is left.
    SoldOut,
    /// Before `opens_at`.
    NotOpenYet {
        /// The moment of the decision, by Redis' clock.
        now: Millis,
    },
    /// Paused by an operator.
    Paused,
    /// Past `closes_at`, or closed by an operator.
    Closed,
    /// The user holds as many units as one may.
    LimitReached(Vec<Claim>),
    /// The user has claimed and given back without end.
    ClaimsExhausted,
    /// The facts of earlier claims wait for Kafka, and there is no room for more. No unit was taken.
    OutboxFull,
    /// The campaign has a waiting room, and no pass that holds came with the request.
    PassRequired,
    /// The user has cancelled this attempt: it never takes a unit.
    Cancelled,
    /// The campaign was lost in Redis and has to be rebuilt. No unit was taken.
    Lost,
    /// The campaign is being made just now. No unit was taken.
    NotArmed,
}

/// Decides these requests, in their order, in one call. As many answers as requests.
pub(super) async fn issue(
    redis: &Arc<Redis>,
    campaign: &Campaign,
    requests: &[Request],
    lease_us: u64,
) -> Result<Vec<Answer>, RedisError> {
    let (id, asked) = (campaign.id(), campaign.definition().terms.durability);
    let keys = redis.keys().of(&id);
    let known = campaign.known.args();
    let args = MadeBy(|| {
        let mut args = Vec::with_capacity(known.len() + 2 + 2 * requests.len());
        args.extend_from_slice(&known);
        args.push(Value::from_static_str(letter(asked)));
        args.push(passes(requests).into());
        for Request { attempt, user, .. } in requests {
            args.extend([Value::from(attempt.as_str()), Value::from(user.as_str())]);
        }
        args
    });
    let keys = keys.issue();
    let mut lane = redis.lane(&id, asked).await;
    let asked_at_us = clock::uptime_us();
    let reply = Reply::parse(lane.call(&ISSUE, keys, args).await?)?;
    match reply.code.as_str() {
        "ok" => {}
        "lost" => {
            campaign.saw_lost();
            return Ok(vec![Answer::Lost; requests.len()]);
        }
        "unarmed" | "missing" => return Ok(vec![Answer::NotArmed; requests.len()]),
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
    campaign.saw(redis, head, issued);
    // Of a closed or paused campaign the reply does not say what one would hear if it were open.
    if head.left == 0 && (issued || answers.contains(&Answer::SoldOut)) {
        campaign.saw_sold_out(head, asked_at_us, lease_us);
    }
    let claims = answers.iter_mut().flat_map(Answer::claims);
    read::look_up_redemptions(redis, &mut lane, &id, claims).await.map_err(RedisError::after_it_was_done)?;
    if asked > Durability::Memory && answers.iter_mut().any(|answer| !answer.claims().is_empty()) {
        let reached = lane.reached(issued).await;
        if issued && reached < asked {
            weaken(redis, lane, campaign, &answers, reached).await;
        }
        answers.iter_mut().flat_map(Answer::claims).for_each(|claim| claim.at_most(reached));
    }
    Ok(answers)
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

impl Answer {
    /// The claims that it shows.
    fn claims(&mut self) -> &mut [Claim] {
        match self {
            Self::Issued(claim) | Self::Replayed(claim) => std::slice::from_mut(claim),
            Self::LimitReached(claims) => claims,
            Self::SoldOut
            | Self::NotOpenYet { .. }
            | Self::Paused
            | Self::Closed
            | Self::ClaimsExhausted
            | Self::OutboxFull
            | Self::PassRequired
            | Self::Cancelled
            | Self::Lost
            | Self::NotArmed => &mut [],
        }
    }
}

/// Notes what the new claims' first answer says, before it says so: a replay states no more. Where Redis cannot be
/// told, the record keeps what was asked for, and what a replay states is still no more than what then holds.
async fn weaken(redis: &Arc<Redis>, mut lane: Lane<'_>, campaign: &Campaign, answers: &[Answer], reached: Durability) {
    let id = campaign.id();
    metrics::counter!("onrush_claim_durability_not_reached_total").increment(1);
    let issued: Vec<&Claim> = answers
        .iter()
        .filter_map(|answer| if let Answer::Issued(claim) = answer { Some(claim) } else { None })
        .collect();
    let generation = issued.first().map_or(0, |claim| claim.generation);
    let mut args = vec![Value::from(generation.to_string()), letter(reached).into()];
    args.extend(issued.iter().map(|claim| Value::from(claim.number.to_string())));
    if let Err(error) = lane.call(&WEAKEN, [redis.keys().of(&id).claims()], args).await {
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

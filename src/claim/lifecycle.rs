//! What comes after a claim: giving it back, cancelling the attempt that made it, using its coupon and undoing that.

use std::sync::Arc;

use super::error::ClaimError;
use super::read::look_up_redemptions;
use super::record::Claim;
use crate::campaign::{Campaign, ScriptCall, if_ok};
use crate::ids::{AttemptId, CampaignId, ClaimId, UserId};
use crate::redis::{Durability, Pinned, Redis, RedisError, Reply, Script, Value};
use crate::script;

static GIVE_BACK: Script<4> = script!(allow_oom prelude + "claim/give_back");
static REDEEM: Script<5> = script!(allow_oom prelude + "claim/redeem");
static UNREDEEM: Script<5> = script!(allow_oom prelude + "claim/unredeem");
static CANCEL: Script<4> = script!(prelude + "claim/cancel");

/// What became of a give-back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GiveBack {
    /// The unit is in stock again.
    Done(Claim),
    /// It was already, and nothing has changed.
    Unchanged(Claim),
    /// There is no such claim, or it is another user's.
    NotFound,
    /// Its coupon was used.
    AlreadyRedeemed(Claim),
}

/// What became of a redemption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeem {
    /// The coupon is used now.
    Done(Claim),
    /// This very call has used it before; what has become of it since is the claim's state.
    Replayed(Claim),
    /// There is no such claim, or it was given back.
    NotFound,
    /// Another call has used it.
    AlreadyRedeemed(Claim),
}

/// What became of undoing a redemption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unredeem {
    /// The coupon is not used any more, or was not anyway.
    Done(Claim),
    /// There is no such claim, or it was given back.
    NotFound,
}

/// What became of cancelling an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancel {
    /// It had a claim, which is given back.
    GivenBack(Claim),
    /// It had none, and never will.
    Never,
    /// It had a claim, whose coupon was used.
    AlreadyRedeemed(Claim),
    /// The user has claimed, given back and cancelled without end.
    ClaimsExhausted,
}

/// What a script has said.
struct Said {
    code: String,
    claim: Option<Claim>,
    rest: Vec<Value>,
}

impl Said {
    /// The claim, of a code that always has one.
    fn claim(self) -> Result<Claim, ClaimError> {
        let Self { code, claim, .. } = self;
        claim.ok_or_else(|| ClaimError::unexpected(format!("{code:?} without a claim")))
    }

    fn unknown<T>(&self) -> Result<T, ClaimError> {
        Err(ClaimError::unexpected(format!("the code {:?}", self.code)))
    }
}

/// Where one claim is decided about.
struct After<'a> {
    redis: &'a Arc<Redis>,
    campaign: &'a Campaign,
    id: CampaignId,
    pinned: Pinned<'a>,
}

/// Puts the claim's unit back. With an owner, only if the claim is theirs.
pub(super) async fn give_back(
    redis: &Arc<Redis>,
    campaign: &Campaign,
    claim: &ClaimId,
    owner: Option<&UserId>,
) -> Result<GiveBack, ClaimError> {
    let mut after = After::new(redis, campaign).await;
    let keys = redis.keys().of(&after.id);
    let keys = [keys.campaign(), keys.holders(), keys.claims(), keys.outbox()];
    let said = after.call(&GIVE_BACK, keys, named(claim, &[owner.map_or("", UserId::as_str)])).await?;
    let mut said = after.read(said, Some(claim.number))?;
    after.tell(&mut said).await.map_err(RedisError::after_it_was_done)?;
    match said.code.as_str() {
        "ok" => said.claim().map(GiveBack::Done),
        "unchanged" => said.claim().map(GiveBack::Unchanged),
        "already_redeemed" => said.claim().map(GiveBack::AlreadyRedeemed),
        "not_found" => Ok(GiveBack::NotFound),
        _ => said.unknown(),
    }
}

/// Uses the claim's coupon. The same call again is the same redemption.
pub(super) async fn redeem(
    redis: &Arc<Redis>,
    campaign: &Campaign,
    claim: &ClaimId,
    call: &AttemptId,
) -> Result<Redeem, ClaimError> {
    let said = on_coupon(redis, campaign, &REDEEM, claim, &[call.as_str()]).await?;
    match said.code.as_str() {
        "ok" => said.claim().map(Redeem::Done),
        "replayed" => said.claim().map(Redeem::Replayed),
        "already_redeemed" => said.claim().map(Redeem::AlreadyRedeemed),
        "not_found" | "given_back" => Ok(Redeem::NotFound),
        _ => said.unknown(),
    }
}

/// Undoes the use of the claim's coupon, for this reason.
pub(super) async fn unredeem(
    redis: &Arc<Redis>,
    campaign: &Campaign,
    claim: &ClaimId,
    call: &AttemptId,
    reason: &str,
) -> Result<Unredeem, ClaimError> {
    let said = on_coupon(redis, campaign, &UNREDEEM, claim, &[call.as_str(), reason]).await?;
    match said.code.as_str() {
        "ok" | "unchanged" => said.claim().map(Unredeem::Done),
        "not_found" | "given_back" => Ok(Unredeem::NotFound),
        _ => said.unknown(),
    }
}

/// Gives back what this attempt of the user has claimed; if that is nothing, it never will.
pub(super) async fn cancel(
    redis: &Arc<Redis>,
    campaign: &Campaign,
    user: &UserId,
    attempt: &AttemptId,
) -> Result<Cancel, ClaimError> {
    let mut after = After::new(redis, campaign).await;
    let keys = redis.keys().of(&after.id);
    let keys = [keys.campaign(), keys.holders(), keys.claims(), keys.outbox()];
    let said = after.call(&CANCEL, keys, vec![user.as_str().into(), attempt.as_str().into()]).await?;
    let said = after.read(said, None)?;
    match said.code.as_str() {
        "ok" | "unchanged" => return Ok(Cancel::Never),
        "claims_exhausted" => return Ok(Cancel::ClaimsExhausted),
        "claimed" => {}
        _ => return said.unknown(),
    }
    let (id, claim) = (after.id.clone(), said.claim()?);
    // A claim is its attempt's for ever: nobody else's comes in between.
    drop(after);
    let claim = ClaimId { campaign: id, generation: claim.generation, number: claim.number };
    match give_back(redis, campaign, &claim, Some(user)).await? {
        GiveBack::Done(claim) | GiveBack::Unchanged(claim) => Ok(Cancel::GivenBack(claim)),
        GiveBack::AlreadyRedeemed(claim) => Ok(Cancel::AlreadyRedeemed(claim)),
        GiveBack::NotFound => Err(ClaimError::unexpected("a claim that was there is gone".into())),
    }
}

async fn on_coupon(
    redis: &Arc<Redis>,
    campaign: &Campaign,
    script: &Script<5>,
    claim: &ClaimId,
    more: &[&str],
) -> Result<Said, ClaimError> {
    let mut after = After::new(redis, campaign).await;
    let keys = redis.keys().of(&after.id);
    let keys = [keys.campaign(), keys.holders(), keys.claims(), keys.outbox(), keys.redemptions()];
    let said = after.call(script, keys, named(claim, more)).await?;
    let mut said = after.read(said, Some(claim.number))?;
    let at = said.rest.pop().and_then(Value::into_string).unwrap_or_default();
    if let Some(claim) = &mut said.claim {
        claim.was_redeemed(at.parse().ok());
        after.at_most(claim, said.code == "ok").await;
    }
    Ok(said)
}

/// What scripts about one claim are called with.
fn named(claim: &ClaimId, more: &[&str]) -> Vec<Value> {
    let mut args: Vec<Value> = vec![claim.number.to_string().into(), claim.generation.to_string().into()];
    args.extend(more.iter().map(|text| Value::from(*text)));
    args
}

impl<'a> After<'a> {
    async fn new(redis: &'a Arc<Redis>, campaign: &'a Campaign) -> Self {
        let id = campaign.id();
        let pinned = redis.pinned(&id, campaign.definition().spec.durability).await;
        Self { redis, campaign, id, pinned }
    }

    async fn call<const KEYS: usize>(
        &mut self,
        script: &Script<KEYS>,
        keys: [String; KEYS],
        more: Vec<Value>,
    ) -> Result<Reply, ClaimError> {
        let more = || more.iter().cloned();
        let call = ScriptCall { campaign: self.campaign, script, keys, more, wrote: if_ok };
        Ok(call.on_pinned(self.redis, &mut self.pinned).await?)
    }

    /// Reads a reply. It begins with the claim: of this number, or with its number before it.
    fn read(&self, reply: Reply, number: Option<u64>) -> Result<Said, ClaimError> {
        let Self { redis, campaign, .. } = self;
        let Reply { code, head, rest } = reply;
        if let Some(head) = head.filter(|head| code == "ok" && head.left == 1) {
            campaign.tell_reopened(redis, head);
        }
        if code == "outbox_full" {
            return Err(ClaimError::OutboxFull);
        }
        let mut rest = rest.into_iter();
        let record = rest.next().and_then(Value::into_string);
        let parse = |record: String| match number {
            Some(number) => Claim::parse(number, &record),
            None => Claim::parse_numbered(&record),
        };
        let claim = record.map(parse).transpose()?;
        Ok(Said { code, claim, rest: rest.collect() })
    }

    /// What may be said of the claim, beyond what its record says.
    async fn tell(&mut self, said: &mut Said) -> Result<(), RedisError> {
        let wrote = said.code == "ok";
        let Some(claim) = &mut said.claim else { return Ok(()) };
        look_up_redemptions(self.redis, &mut self.pinned, &self.id, std::iter::once(&mut *claim)).await?;
        self.at_most(claim, wrote).await;
        Ok(())
    }

    async fn at_most(&mut self, claim: &mut Claim, wrote: bool) {
        if claim.durability > Durability::Memory {
            claim.at_most(self.pinned.reached(wrote).await);
        }
    }
}

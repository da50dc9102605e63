//! The scripts, called as the model's steps want it.

use std::sync::Arc;

use onrush::facts::Fact;
use onrush::ids::CampaignId;
use onrush::redis::{Redis, Reply, Script, Value, read_outbox};
use onrush::script;

use super::{CLOSES_AT, OPENS_AT, OUTBOX_MAX, USER_MAX_FACTOR};

static PUT: Script<2> = script!(prelude + "campaign/put");
static ISSUE: Script<6> = script!(prelude + "claim/issue");
static GIVE_BACK: Script<4> = script!(allow_oom prelude + "claim/give_back");
static REDEEM: Script<5> = script!(allow_oom prelude + "claim/redeem");
static UNREDEEM: Script<5> = script!(allow_oom prelude + "claim/unredeem");
static CANCEL: Script<4> = script!(prelude + "claim/cancel");
static WEAKEN: Script<1> = script!(prelude + "claim/weaken");
static TAKE: Script<2> = script!("relay/take");
static DELETE: Script<3> = script!("relay/delete");

/// The campaign's row, as the database would have it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) version: i64,
    pub(super) stock: i64,
    pub(super) limit: usize,
    pub(super) paused: bool,
    pub(super) closed: bool,
}

/// One call, as it can be repeated.
#[derive(Debug, Clone)]
pub(super) enum Call {
    Claim(Vec<(String, String)>),
    GiveBack(u64, Option<String>),
    Redeem(u64, String),
    Unredeem(u64, String),
    Cancel(String, String),
    Weaken(u64, &'static str),
    Put(Row),
}

pub(super) struct Store {
    pub(super) redis: Arc<Redis>,
    pub(super) campaign: CampaignId,
    pub(super) asked: &'static str,
    pub(super) facts: Vec<Fact>,
}

impl Store {
    fn head(now: i64) -> Vec<Value> {
        vec![now.to_string().into(), "1".into(), "0".into()]
    }

    pub(super) async fn put(&self, row: &Row, now: i64, put_before: bool) -> String {
        let keys = self.redis.keys().of(&self.campaign);
        let mut args = if put_before { Self::head(now) } else { vec![now.to_string().into(), "0".into(), "0".into()] };
        let user_max = row.limit * USER_MAX_FACTOR;
        args.extend(
            [
                i64::from(put_before),
                row.version,
                row.stock,
                i64::try_from(row.limit).unwrap(),
                i64::try_from(user_max).unwrap(),
                OPENS_AT,
                CLOSES_AT,
                i64::from(row.paused),
                i64::from(row.closed),
                i64::try_from(OUTBOX_MAX).unwrap(),
            ]
            .map(|number| Value::from(number.to_string())),
        );
        args.extend(["{}".into(), "".into()]);
        let keys = [keys.campaign(), keys.outbox()];
        Reply::parse(self.redis.call(&PUT, &self.campaign, keys, args).await.unwrap()).unwrap().code
    }

    pub(super) async fn run(&self, made: &Call, now: i64) -> Vec<String> {
        let all = self.redis.keys().of(&self.campaign);
        let keys = [all.campaign(), all.holders(), all.claims(), all.outbox()];
        let mut args = Self::head(now);
        let script = match made {
            Call::Put(row) => return vec![self.put(row, now, true).await],
            Call::Weaken(number, kept) => {
                let args = vec!["1".into(), (*kept).into(), number.to_string().into()];
                let claims = self.redis.keys().of(&self.campaign).claims();
                let changed = self.redis.call(&WEAKEN, &self.campaign, [claims], args).await.unwrap();
                return vec![changed.into_string().unwrap()];
            }
            Call::Claim(requests) => {
                args.extend([self.asked.into(), "".into()]);
                for (user, attempt) in requests {
                    args.extend([Value::from(attempt.as_str()), Value::from(user.as_str())]);
                }
                let keys = self.redis.keys().of(&self.campaign).issue();
                let reply = self.redis.call(&ISSUE, &self.campaign, keys, args).await.unwrap();
                let answers = Reply::parse(reply).unwrap().rest.into_iter();
                return answers.map(|answer| answer.into_string().unwrap()).collect();
            }
            Call::GiveBack(number, owner) => {
                args.extend([number.to_string().into(), "1".into(), owner.clone().unwrap_or_default().into()]);
                &GIVE_BACK
            }
            Call::Redeem(number, call) | Call::Unredeem(number, call) => {
                args.extend([number.to_string().into(), "1".into(), call.as_str().into()]);
                let script = if matches!(made, Call::Redeem(..)) {
                    &REDEEM
                } else {
                    args.push("no reason".into());
                    &UNREDEEM
                };
                let keys = [all.campaign(), all.holders(), all.claims(), all.outbox(), all.redemptions()];
                let reply = self.redis.call(script, &self.campaign, keys, args).await.unwrap();
                let reply = Reply::parse(reply).unwrap();
                let at = reply.rest.into_iter().nth(1).and_then(Value::into_string).unwrap_or_default();
                return vec![format!("{} {at}", reply.code).trim_end().to_owned()];
            }
            Call::Cancel(user, attempt) => {
                args.extend([user.as_str().into(), attempt.as_str().into()]);
                &CANCEL
            }
        };
        let reply = Reply::parse(self.redis.call(script, &self.campaign, keys, args).await.unwrap()).unwrap();
        vec![reply.code]
    }

    /// What a relay does: takes the facts, and makes room.
    pub(super) async fn drain(&mut self) {
        let keys = self.redis.keys().of(&self.campaign);
        let entries = read_outbox(&self.redis, &self.campaign, None, 10_000).await.unwrap();
        let lease = vec!["model".into(), "60000".into()];
        let token = self.redis.call(&TAKE, &self.campaign, [keys.relay(), keys.fence()], lease).await.unwrap();
        let mut args = vec!["model".into(), token.as_u64().unwrap().to_string().into()];
        for entry in &entries {
            args.extend([Value::from(entry.id.as_str()), entry.counted.to_string().into()]);
        }
        let keys = [keys.relay(), keys.campaign(), keys.outbox()];
        let removed = self.redis.call(&DELETE, &self.campaign, keys, args).await.unwrap();
        let facts: Vec<Fact> = entries.into_iter().flat_map(|entry| entry.facts).collect();
        assert_eq!(removed.as_u64(), Some(facts.len() as u64));
        self.facts.extend(facts);
    }
}

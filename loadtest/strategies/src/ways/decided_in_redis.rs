//! One script call a request: Onrush's own script, and nobody who gathers requests for it.

use std::sync::Arc;

use anyhow::bail;
use fred::clients::Client;
use fred::prelude::HashesInterface;
use onrush::ids::{AttemptId, CampaignId, UserId};
use onrush::redis::{Redis, Reply, Script, Value};

use super::Way;
use crate::judge::{Decision, Sale};

/// Onrush's own.
pub(crate) static ISSUE: Script<6> = Script::new(
    "claim/issue",
    concat!(include_str!("../../../../lua/prelude.lua"), include_str!("../../../../lua/claim/issue.lua")),
);

/// A campaign in Redis, and one connection to it.
pub struct OneCall {
    redis: Arc<Redis>,
    client: Client,
    campaign: CampaignId,
}

impl OneCall {
    /// The campaign is armed. The client is only for looking at what was sold.
    #[must_use]
    pub fn new(redis: Arc<Redis>, client: Client, campaign: CampaignId) -> Self {
        Self { redis, client, campaign }
    }
}

impl Way for OneCall {
    fn name(&self) -> &'static str {
        "one script call a request"
    }

    fn is_correct(&self) -> bool {
        true
    }

    fn note(&self) -> String {
        "claim/issue.lua for one request at a time, pipelined on one connection; claims and facts stay in Redis".into()
    }

    async fn ask(&self, user: UserId) -> anyhow::Result<Decision> {
        let keys = self.redis.keys().of(&self.campaign).issue();
        let mut args: Vec<Value> = ["", "1", "0", "", ""].map(Value::from_static_str).into();
        args.extend([AttemptId::random().as_str().into(), user.as_str().into()]);
        let reply = Reply::parse(self.redis.call(&ISSUE, &self.campaign, keys, args).await?)?;
        match (reply.code.as_str(), &reply.rest[..]) {
            ("ok", [Value::Integer(0)]) => Ok(Decision::SoldOut),
            ("ok", [Value::Integer(number)]) if *number > 0 => Ok(Decision::Number(number.unsigned_abs())),
            (code, answers) => bail!("{code:?} with {answers:?}"),
        }
    }

    async fn sales(&self) -> anyhow::Result<Vec<Sale>> {
        let key = self.redis.keys().of(&self.campaign).claims();
        let records: std::collections::HashMap<u64, String> = self.client.hgetall(key).await?;
        let sales = records.into_iter().map(|(number, record)| {
            let user = record.split('\u{1f}').next().unwrap_or_default().to_owned();
            Sale { user, number }
        });
        Ok(sales.collect())
    }
}

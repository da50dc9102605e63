//! A job that one node does at a time.

use std::sync::Arc;
use std::time::Duration;

use super::error::RedisError;
use super::redis::Redis;
use super::script::Script;
use super::value::Value;
use crate::script;

static TAKE: Script<1> = script!("lease/take");
static RELEASE: Script<1> = script!("lease/release");

/// The right to do a job, as long as it is taken again before it ends. Two nodes may overlap where one is stopped for
/// longer than the lease: only for jobs that then do no harm.
pub struct Lease {
    redis: Arc<Redis>,
    key: String,
    owner: String,
    lasts: Duration,
}

impl Lease {
    /// Of this job; nothing is taken yet.
    #[must_use]
    pub fn new(redis: Arc<Redis>, job: &str, lasts: Duration) -> Self {
        let key = redis.keys().lease(job);
        Self { redis, key, owner: format!("{:032x}", rand::random::<u128>()), lasts }
    }

    /// Takes it, or begins it anew. `false`: another node has it.
    pub async fn take(&self) -> Result<bool, RedisError> {
        let lease_ms = i64::try_from(self.lasts.as_millis()).unwrap_or(i64::MAX);
        let args: Vec<Value> = vec![self.owner.as_str().into(), lease_ms.into()];
        let reply = self.redis.call_anywhere(&TAKE, [self.key.clone()], args).await?;
        Ok(reply.as_i64() == Some(1))
    }

    /// Gives it up, if it is this node's.
    pub async fn release(&self) {
        let args: Vec<Value> = vec![self.owner.as_str().into()];
        if let Err(error) = self.redis.call_anywhere(&RELEASE, [self.key.clone()], args).await {
            tracing::debug!(%error, "giving a lease up; it ends by itself");
        }
    }
}

//! One at a time, by a lock in Redis, around the plain read-then-write in PostgreSQL.
//!
//! It holds as long as whoever has the lock is done before the lease ends: a lock without a fence has no more to offer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use fred::clients::{Client, SubscriberClient};
use fred::prelude::{EventInterface, KeysInterface, LuaInterface, PubsubInterface};
use fred::types::scripts::Script;
use fred::types::{Expiration, SetOptions};
use onrush::ids::{AttemptId, UserId};
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::{InRows, Way};
use crate::judge::{Decision, Sale};

/// Who has the lock and says no more loses it after so long.
const LEASE_MS: i64 = 3_000;
/// Who does not get it for so long gives up.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How soon a spinning one tries again.
const SPIN_PAUSE: Duration = Duration::from_millis(50);

/// Only its owner releases it, and who waits for messages hears of it.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[2] ~= '' then redis.call('PUBLISH', ARGV[2], '1') end
return 1";

/// How one that found the lock taken learns that it is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// It tries again and again.
    Spinning,
    /// It is told, and tries again only then.
    Woken,
}

/// A lock for all who share it.
pub struct Lock {
    client: Client,
    key: String,
    release: Script,
    woken: Option<Woken>,
}

/// What wakes those who wait on this node: one of them for each release.
struct Woken {
    channel: String,
    freed: Arc<Notify>,
    _listens: AbortOnDropHandle<()>,
}

impl Lock {
    /// A lock of this name that nobody has. The subscriber hears nothing else.
    pub async fn new(client: Client, key: &str, subscriber: Option<SubscriberClient>) -> anyhow::Result<Self> {
        let release = Script::from_lua(RELEASE);
        release.load(&client).await?;
        let woken = match subscriber {
            None => None,
            Some(subscriber) => {
                let channel = format!("{key}:freed");
                let (freed, mut messages) = (Arc::new(Notify::new()), subscriber.message_rx());
                subscriber.subscribe(channel.as_str()).await?;
                let freed_too = Arc::clone(&freed);
                let listens = tokio::spawn(async move {
                    // Held here: who listens keeps the connection. Of messages that came too fast, one is enough to go on.
                    let _subscriber = subscriber;
                    while matches!(messages.recv().await, Ok(_) | Err(RecvError::Lagged(_))) {
                        freed_too.notify_one();
                    }
                });
                Some(Woken { channel, freed, _listens: AbortOnDropHandle::new(listens) })
            }
        };
        Ok(Self { client, key: key.to_owned(), release, woken })
    }

    /// Takes it, and answers by what name; `None`: it was not to be had in time.
    async fn take(&self) -> anyhow::Result<Option<String>> {
        let token = AttemptId::random().as_str().to_owned();
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            // Before the try: a release in between must wake this one, too.
            let mut freed = self.woken.as_ref().map(|woken| Box::pin(woken.freed.notified()));
            if let Some(freed) = &mut freed {
                freed.as_mut().enable();
            }
            let lease = Some(Expiration::PX(LEASE_MS));
            let set: Option<String> =
                self.client.set(&self.key, token.as_str(), lease, Some(SetOptions::NX), false).await?;
            if set.is_some() {
                return Ok(Some(token));
            }
            match freed {
                Some(freed) => {
                    // A message may be lost, and a lease may end without one.
                    let again = Instant::now() + Duration::from_millis(LEASE_MS.unsigned_abs());
                    let _told_or_late = timeout_at(again.min(deadline), freed).await;
                }
                None => sleep(SPIN_PAUSE).await,
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
        }
    }

    async fn release(&self, token: String) -> anyhow::Result<()> {
        let channel = self.woken.as_ref().map_or("", |woken| &woken.channel);
        let released: i64 = self
            .client
            .evalsha(self.release.sha1().clone(), vec![self.key.as_str()], vec![token.as_str(), channel])
            .await?;
        if released == 0 {
            bail!("the lease ended before the work did");
        }
        Ok(())
    }
}

/// A stock in PostgreSQL that a lock in Redis protects.
pub struct RedisLock {
    rows: InRows,
    lock: Lock,
}

impl RedisLock {
    /// The rows bring no lock of their own.
    #[must_use]
    pub fn new(rows: InRows, lock: Lock) -> Self {
        Self { rows, lock }
    }
}

impl Way for RedisLock {
    fn name(&self) -> &'static str {
        match self.lock.woken {
            None => "Redis lock, spinning",
            Some(_) => "Redis lock, woken by pub/sub",
        }
    }

    fn is_correct(&self) -> bool {
        true
    }

    fn note(&self) -> String {
        let how = match self.lock.woken {
            None => format!("tried every {} ms", SPIN_PAUSE.as_millis()),
            Some(_) => "one waiter woken by each release".into(),
        };
        format!(
            "SET NX PX, lease {LEASE_MS} ms, given up after {} s, {how}; the stock is read and written in PostgreSQL",
            WAIT_MAX.as_secs()
        )
    }

    async fn ask(&self, user: UserId) -> anyhow::Result<Decision> {
        let Some(token) = self.lock.take().await? else { return Ok(Decision::GaveUp) };
        let told = self.rows.ask(user).await;
        self.lock.release(token).await.context("releasing the lock")?;
        told
    }

    async fn sales(&self) -> anyhow::Result<Vec<Sale>> {
        self.rows.sales().await
    }
}

//! May this server decide? A server that was started again, or promoted, may have less than what was promised.
//!
//! - A life of a server ("incarnation") is its `run_id` and its `master_replid`: a restart changes the first, a promotion the
//!   second.
//! - The text of every script that decides ends with the name of an incarnation, and so its hash belongs to that one. A
//!   server that lives another life answers NOSCRIPT, also to what was sent before a reconnect and travels again.
//! - A script is loaded for an incarnation only after that was verified: see `crate::fence`, which knows whom to ask. The
//!   script that says so to other nodes (the marker) is loaded last.
//! - Names and scripts are asked for and loaded over one connection that never connects again: it ends with its server.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use fred::prelude::{ClientLike, ClusterInterface, LuaInterface};
use fred::types::config::Server;
use fred::types::{ClusterHash, CustomCommand, MultipleKeys};

use super::error::RedisError;
use super::evalsha::{is_unknown_script, load};
use super::incarnation::{Fence, Incarnation, Named};
use super::keys::Keys;
use super::messages::Channel;
use super::pinned::Connection;
use super::redis::Redis;
use super::script::{Arguments, Script};
use super::value::Value;
use crate::ids::CampaignId;

impl Redis {
    /// One whose scripts decide only where the server was verified: see [`crate::fence`].
    #[must_use]
    pub fn fenced(mut self) -> Self {
        let is_cluster = self.pool.next().cached_cluster_state().is_some();
        self.fence = Some(Fence::new(is_cluster));
        self
    }

    /// Returns when somebody has met a server that is not verified. Safe to drop while it waits.
    pub async fn unverified_server(&self) {
        match &self.fence {
            Some(fence) => fence.met.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Lets no server decide until it was verified anew, also one that lives the life that was verified: somebody has emptied it.
    pub fn doubt(&self) {
        let Some(fence) = &self.fence else { return };
        fence.doubts.fetch_add(1, Ordering::AcqRel);
        fence.verified.write().unwrap_or_else(PoisonError::into_inner).clear();
        fence.since().get_or_insert_with(Instant::now);
        fence.met.notify_one();
    }

    /// How often this was doubted, and whether it still is: then what other nodes have verified counts for nothing. It does again
    /// once this node has verified all.
    #[must_use]
    pub fn doubts(&self) -> (u64, bool) {
        self.fence.as_ref().map_or((0, false), |fence| {
            let doubts = fence.doubts.load(Ordering::Acquire);
            (doubts, doubts != fence.settled.load(Ordering::Acquire))
        })
    }

    /// How many incarnations this node has let decide so far: one more means that what it remembers of Redis may not be so.
    #[must_use]
    pub fn lives(&self) -> u64 {
        self.fence.as_ref().map_or(0, |fence| fence.lives.load(Ordering::Acquire))
    }

    /// For how long a server has been refused that nobody could verify; `None`: none is.
    #[must_use]
    pub fn closed_for(&self) -> Option<std::time::Duration> {
        self.fence.as_ref().and_then(|fence| fence.since().map(|since| since.elapsed()))
    }

    /// Every server that was met is verified, after so many doubts. One that came meanwhile stays.
    pub fn all_are_verified(&self, doubts: u64) {
        let Some(fence) = &self.fence else { return };
        fence.settled.store(doubts, Ordering::Release);
        if !self.doubts().1 {
            *fence.since() = None;
        }
    }

    /// The servers that decide: each primary of a cluster, or the one that there is. Asks the cluster again who they are.
    pub async fn deciding_servers(&self) -> Result<Vec<DecidingServer>, RedisError> {
        let client = self.pool.next();
        if self.fence.as_ref().is_none_or(|fence| !fence.is_cluster) {
            return Ok(vec![DecidingServer { address: None, slots: vec![0..=u16::MAX] }]);
        }
        client.sync_cluster().await?;
        let routing = client.cached_cluster_state().unwrap_or_else(fred::types::cluster::ClusterRouting::new);
        let mut servers: Vec<DecidingServer> = Vec::new();
        for range in routing.slots() {
            let slots = range.start..=range.end;
            match servers.iter_mut().find(|server| server.address.as_ref() == Some(&range.primary)) {
                Some(server) => server.slots.push(slots),
                None => servers.push(DecidingServer { address: Some(range.primary.clone()), slots: vec![slots] }),
            }
        }
        Ok(servers)
    }

    /// Connects to this server, and asks who it is.
    pub async fn inspect(&self, server: DecidingServer) -> Result<Inspection<'_>, RedisError> {
        let connection = self.pinned.fresh(server.address.clone()).await?;
        let name = incarnation_name(&connection, &self.keys).await?;
        let known = self.fence.as_ref().and_then(|fence| {
            let first = server.slots.first().map(|slots| *slots.start());
            fence.of(first).filter(|incarnation| incarnation.name == name)
        });
        Ok(Inspection { redis: self, server, connection, incarnation: known.unwrap_or_else(|| Incarnation::new(name)) })
    }

    /// What a script is called by. Fails where it decides and its server is not verified.
    pub(super) fn name_of<const KEYS: usize>(
        &self,
        script: &Script<KEYS>,
        slot: Option<u16>,
    ) -> Result<Named, RedisError> {
        let Some(fence) = self.fence.as_ref().filter(|_| script.decides()) else {
            return Ok(Named { sha: script.sha(), incarnation: None });
        };
        let Some(incarnation) = fence.of(slot) else {
            fence.close(slot, None);
            return Err(RedisError::Fenced);
        };
        Ok(Named { sha: incarnation.sha(script), incarnation: Some(incarnation) })
    }

    /// Whether a script is being loaded: the call that met a server without it is sent again after that, and one that is sent
    /// meanwhile may overtake it.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.fence.as_ref().is_some_and(|fence| fence.loading.try_lock().is_err())
    }

    /// Loads a script that its server does not know by this name. A server that was verified and lives on has forgotten its
    /// scripts only; one that lives another life is not let decide.
    pub(super) async fn load_named<const KEYS: usize>(
        &self,
        script: &Script<KEYS>,
        slot: Option<u16>,
        named: &Named,
    ) -> Result<(), RedisError> {
        let (Some(fence), Some(incarnation)) = (&self.fence, &named.incarnation) else {
            return load(self.pool.next(), script.source(), slot).await;
        };
        let _one_at_a_time = fence.loading.lock().await;
        // Whoever waited for its turn may find it loaded: thousands meet a server that has forgotten all of them at once.
        if !fence.is_cluster && self.pool.next().script_exists::<Vec<bool>, _>(named.sha.to_string()).await? == [true] {
            return Ok(());
        }
        tracing::info!(script = script.name(), "Redis does not know this script: loading it");
        let address = slot.filter(|_| fence.is_cluster).and_then(|slot| {
            let routing = self.pool.next().cached_cluster_state()?;
            routing.get_server(slot).cloned()
        });
        let loaded = async {
            let connection = self.pinned.fresh(address).await?;
            if incarnation_name(&connection, &self.keys).await? != incarnation.name {
                return Ok(false);
            }
            load_on(&connection, incarnation.marker()).await?;
            load_on(&connection, incarnation.text(script.source())).await?;
            Ok::<_, RedisError>(true)
        };
        let is_the_same = loaded.await.unwrap_or_else(|error| {
            tracing::debug!(%error, script = script.name(), "loading a script; its server is looked at again");
            false
        });
        if is_the_same {
            return Ok(());
        }
        fence.close(slot, Some(incarnation));
        Err(RedisError::Fenced)
    }
}

/// A server that decides for some slots.
#[derive(Debug, Clone)]
pub struct DecidingServer {
    /// `None`: the one that there is.
    address: Option<Server>,
    slots: Vec<std::ops::RangeInclusive<u16>>,
}

/// One server that is being looked at, over a connection that ends with it.
pub struct Inspection<'a> {
    redis: &'a Redis,
    server: DecidingServer,
    connection: Connection,
    incarnation: Arc<Incarnation>,
}

impl Inspection<'_> {
    /// The name of the life that the server lives now, for logs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.incarnation.name
    }

    /// Whether this node lets it decide.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let Some(fence) = &self.redis.fence else { return true };
        let is_this = |place| fence.of(Some(place)).is_some_and(|known| Arc::ptr_eq(&known, &self.incarnation));
        self.places().all(is_this)
    }

    /// Whether any node has verified it.
    pub async fn is_verified(&self) -> Result<bool, RedisError> {
        let sha = fred::util::sha1_hash(&self.incarnation.marker());
        let found: Vec<bool> = self.connection.client().script_exists(sha).await?;
        Ok(found.first().copied().unwrap_or(false))
    }

    /// Whether this server has the campaign's keys.
    #[must_use]
    pub fn has(&self, campaign: &CampaignId) -> bool {
        let slot = fred::util::redis_keyslot(self.redis.keys.of(campaign).campaign().as_bytes());
        self.redis.fence.as_ref().is_none_or(|fence| !fence.is_cluster)
            || self.server.slots.iter().any(|slots| slots.contains(&slot))
    }

    /// Runs a script here, whatever was verified: it is part of verifying.
    pub async fn call<const KEYS: usize>(
        &self,
        script: &Script<KEYS>,
        keys: [String; KEYS],
        args: impl Arguments,
    ) -> Result<Value, RedisError> {
        let client = self.connection.client();
        let keys: MultipleKeys = keys.to_vec().into();
        let run = async || client.evalsha(script.sha().to_string(), keys.clone(), args.values()).await;
        match run().await {
            Err(error) if is_unknown_script(&error) => {
                load_on(&self.connection, script.source().to_owned()).await?;
                Ok(run().await?)
            }
            outcome => Ok(outcome?),
        }
    }

    /// Lets it decide, on this node and on all others. Fails if it has become another meanwhile.
    pub async fn lift(&self) -> Result<(), RedisError> {
        if incarnation_name(&self.connection, &self.redis.keys).await? != self.incarnation.name {
            return Err(RedisError::Fenced);
        }
        load_on(&self.connection, self.incarnation.marker()).await?;
        self.adopt();
        Ok(())
    }

    /// Lets it decide on this node, after another one has verified it.
    pub fn adopt(&self) {
        if let Some(fence) = &self.redis.fence {
            fence.open(self.places(), &self.incarnation);
        }
    }

    fn places(&self) -> impl Iterator<Item = u16> {
        let is_cluster = self.redis.fence.as_ref().is_some_and(|fence| fence.is_cluster);
        let slots = if is_cluster { self.server.slots.clone() } else { vec![0..=0] };
        slots.into_iter().flatten()
    }
}

/// The name of the life that the server of this connection lives. Fails on a server that does not decide.
async fn incarnation_name(connection: &Connection, keys: &Keys) -> Result<String, RedisError> {
    let command = CustomCommand::new_static("INFO", ClusterHash::Random, false);
    let info: String = connection.client().custom(command, vec!["server", "replication"]).await?;
    let field = |name: &str| {
        let found = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.map(str::trim).ok_or_else(|| RedisError::Unexpected(format!("INFO without {name}")))
    };
    if field("role")? != "master" {
        return Err(RedisError::Unexpected(format!("a server that decides has the role {}", field("role")?)));
    }
    let prefix = fred::util::sha1_hash(&keys.channel(Channel::Changes));
    Ok(format!("{} {} {prefix}", field("run_id")?, field("master_replid")?))
}

async fn load_on(connection: &Connection, text: String) -> Result<(), RedisError> {
    let _sha: Value = connection.client().script_load(text).await?;
    Ok(())
}

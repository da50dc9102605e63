//! Redis loses what it knew: all of it, or the last moments; by its log, or by a replica that has heard nothing of them.

use std::sync::Arc;
use std::time::Duration;

use testkit::patience::Patience;
use testkit::redis::Redis;

use super::how::How;
use super::{Lost, Storm};
use crate::installation::Store;
use crate::oracle::Disturbed;
use crate::plan::{Around, Ledger};
use crate::proxy::{Protocol, Proxy};

/// How long a replica may take to have everything.
const FOLLOWS_MAX: Duration = Duration::from_secs(10);
/// How long Redis is away.
const DOWN: Duration = Duration::from_millis(150);

/// What takes the place of what was.
enum Next {
    Nothing,
    /// The same server, without its keys.
    Itself,
    Log(std::path::PathBuf),
    Replica(Redis, Proxy),
}

impl Storm {
    pub(super) async fn lose(&self, how: How, by: Duration, around: Around) -> anyhow::Result<()> {
        let _turn = self.redis_turn.lock().await;
        let next = self.prepare(how).await?;
        self.begin(around);
        tokio::time::sleep(by).await;

        let (redis, now) = (self.installation.redis(), || self.rush.history.now());
        match next {
            Next::Itself => redis.empty().await?,
            _ => redis.kill(),
        }
        let at = now();
        // Where Kafka cannot say, nothing counts as acknowledged.
        let acked = self.installation.stores.kafka.ends(&self.installation.topic()).await.unwrap_or_default();
        for (place, node) in self.serving() {
            if around.reboots {
                node.kill().await;
            } else if around.others_away && around.stale != Some(place) {
                node.proxy(Store::Redis).refuse();
            }
        }
        tokio::time::sleep(DOWN).await;
        // What the node that knows less has queued goes out as soon as there is a Redis.
        if let Some(stale) = around.stale {
            self.nodes[stale].proxy(Store::Redis).cut();
            self.nodes[stale].proxy(Store::Redis).clear();
        }
        match next {
            Next::Nothing => redis.start_empty().await?,
            Next::Itself => {}
            Next::Log(log) => redis.set_back(&log).await?,
            Next::Replica(replica, _link) => {
                replica.promote().await?;
                self.installation.replace_redis(replica, &self.nodes);
            }
        }
        let back_at = now();
        let mut boots = tokio::task::JoinSet::new();
        for (_, node) in self.serving().filter(|_| around.reboots) {
            let (installation, node) = (Arc::clone(&self.installation), Arc::clone(node));
            boots.spawn(async move { installation.revive(&node).await });
        }
        tokio::time::sleep(around.lasts).await;
        for node in &self.nodes {
            node.proxy(Store::Redis).clear();
            node.proxy(Store::Postgres).clear();
        }
        while let Some(booted) = boots.join_next().await {
            booted??;
        }
        let fair_at = now();
        self.bring_back(around).await?;
        let nodes: Vec<usize> = match around {
            Around { reboots: true, .. } => (0..self.rush.clients.len()).collect(),
            Around { others_away: true, .. } => {
                (0..self.rush.clients.len()).filter(|place| self.stale_place(around) != Some(*place)).collect()
            }
            _ => self.stale_place(around).into_iter().collect(),
        };
        let mut noted = self.noted();
        let disturbed = nodes.into_iter().map(|node| Disturbed { node, from: at.saturating_sub(by), until: fair_at });
        noted.disturbed.extend(disturbed);
        noted.losses.push(Lost { at, back_at, rebuilt_at: now(), acked });
        Ok(())
    }

    fn serving(&self) -> impl Iterator<Item = (usize, &Arc<crate::installation::Node>)> {
        self.nodes.iter().enumerate().filter(|(_, node)| node.role.serves())
    }

    /// Where clients find the node that knows less.
    fn stale_place(&self, around: Around) -> Option<usize> {
        around.stale.and_then(|stale| self.serving().position(|(place, _)| place == stale))
    }

    async fn prepare(&self, how: How) -> anyhow::Result<Next> {
        let redis = self.installation.redis();
        Ok(match how {
            How::Empty => Next::Nothing,
            How::Flush => Next::Itself,
            How::SetBack => Next::Log(redis.put_log_aside()?),
            How::Promote => {
                let link = Proxy::start(Protocol::Any, redis.address()).await?;
                let folder = self.installation.folder.join(format!("replica-{}", link.address().port()));
                let replica = redis.start_replica(&folder, link.address().port()).await?;
                let patience = Patience::new("the replica has everything", FOLLOWS_MAX);
                while !replica.follows().await {
                    patience.wait().await?;
                }
                // From now on it hears nothing.
                link.stall();
                Next::Replica(replica, link)
            }
        })
    }

    fn begin(&self, around: Around) {
        if let Some(stale) = around.stale {
            self.nodes[stale].proxy(Store::Redis).stall();
        }
        match around.ledger {
            Ledger::There => {}
            Ledger::Behind => self.workers().for_each(|worker| worker.proxy(Store::Postgres).stall()),
            Ledger::Away => self.nodes.iter().for_each(|node| node.proxy(Store::Postgres).refuse()),
        }
    }
}

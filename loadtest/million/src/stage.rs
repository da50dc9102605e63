//! What do all measurements share? The plan, the stores, the users; and nodes around a Redis of their own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bench::rig::{Node, Rig, Setting};
use bench::stores::Stores;
use bench::users::Users;
use serde_json::Value;
use testkit::patience::Patience;

use crate::plan::Plan;
use crate::redis::Redis;

/// How long a node may take to hear of a campaign.
const HEARD_MAX: Duration = Duration::from_secs(5);

/// One run of the program.
pub(crate) struct Stage {
    pub(crate) plan: Plan,
    pub(crate) stores: Arc<Stores>,
    /// With ids of 10 bytes.
    pub(crate) users: Arc<Users>,
}

/// An installation.
pub(crate) struct Set {
    pub(crate) rig: Rig,
    pub(crate) nodes: Vec<Node>,
    pub(crate) redis: Redis,
}

impl Set {
    /// So many nodes of the role `serve`, which also admit.
    pub(crate) async fn open(
        stage: &Stage,
        section: &str,
        nodes: usize,
        settings: &[Setting<'_>],
    ) -> anyhow::Result<Self> {
        let rig = Rig::start(&stage.stores, section).await?;
        rig.never_rewrite_log().await?;
        let mut all = Vec::with_capacity(nodes);
        for _ in 0..nodes {
            all.push(rig.node("serve", settings, None).await?);
        }
        let redis = Redis::connect(rig.redis.address(), &rig.prefix()).await?;
        Ok(Self { rig, nodes: all, redis })
    }

    /// Where the nodes are.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.address).collect()
    }

    /// Makes a campaign with a waiting room; all nodes have heard of it.
    pub(crate) async fn campaign(&self, id: &str, stock: u64, room: &Value) -> anyhow::Result<()> {
        self.nodes[0].campaign_with(id, stock, room).await?;
        let patience = Patience::new("every node knows the campaign", HEARD_MAX);
        for node in &self.nodes {
            while !node.knows(id).await {
                patience.wait().await?;
            }
        }
        Ok(())
    }

    /// Takes all of it away.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        drop(self.nodes);
        self.rig.end().await
    }
}

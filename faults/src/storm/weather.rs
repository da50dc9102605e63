//! Nodes die, stand still, and are cut off from stores and from each other.

use std::time::Duration;

use super::Storm;
use crate::installation::Store;
use crate::proxy::Proxy;
use crate::request::{Asked, Edit};
use crate::rush::operators;

/// A worker that is to die in the middle of a batch has waited for its store so long: longer than from batch to batch.
const STUCK_FOR: Duration = Duration::from_millis(400);
/// From one time that scripts are forgotten to the next.
const FORGETS_EVERY: Duration = Duration::from_millis(15);
/// Each so many-th time a campaign is made, and looked at so often meanwhile.
const MADE_EVERY: usize = 4;
const LOOKS: usize = 8;

impl Storm {
    pub(super) async fn kill(&self, node: usize, down: Duration) -> anyhow::Result<()> {
        self.nodes[node].kill().await;
        tokio::time::sleep(down).await;
        self.installation.revive(&self.nodes[node]).await
    }

    /// Kills a node that has been waiting for a store for some time, so that what it had sent does not get through, and
    /// starts it again.
    pub(super) async fn kill_in(&self, node: usize, store: Store, down: Duration) -> anyhow::Result<()> {
        tokio::time::sleep(STUCK_FOR).await;
        let killed = &self.nodes[node];
        killed.kill().await;
        killed.proxy(store).cut();
        killed.proxy(store).clear();
        tokio::time::sleep(down).await;
        self.installation.revive(killed).await
    }

    pub(super) async fn weather(&self, node: usize, store: Store, time: Duration, begin: impl Fn(&Proxy)) {
        let proxy = self.nodes[node].proxy(store);
        let bad = async {
            begin(proxy);
            tokio::time::sleep(time).await;
            proxy.clear();
        };
        self.disturb(node, bad).await;
    }

    pub(super) async fn hide_messages(&self, time: Duration) {
        self.nodes.iter().for_each(|node| node.proxy(Store::Redis).hide_messages());
        tokio::time::sleep(time).await;
        self.nodes.iter().for_each(|node| node.proxy(Store::Redis).clear());
    }

    pub(super) fn fail_announcements(&self, count: usize) {
        let serving = self.nodes.iter().filter(|node| node.role.serves());
        serving.for_each(|node| node.proxy(Store::Redis).fail_announcements(count));
    }

    /// Campaigns are made meanwhile, and looked at while they are being made.
    pub(super) async fn forget_scripts(&self, times: usize) {
        for time in 0..times {
            // It may be down at the moment: then it forgets without us.
            let _down = self.installation.redis().forget_scripts().await;
            if time % MADE_EVERY == 0 {
                let made = self.rush.of(&format!("NEW-{}-{time}", self.rush.history.now().as_millis()));
                let look = |asked: Asked| {
                    let made = &made;
                    async move {
                        for _ in 0..LOOKS {
                            made.clients[time % made.clients.len()]
                                .send(&operators(asked.clone()).http(&made.campaign))
                                .await;
                        }
                    }
                };
                let wanted = Asked::Edit(Edit::Create { stock: 3, limit: 1, room: None });
                let request = operators(wanted);
                let making = made.ask(time, &request);
                tokio::join!(making, look(Asked::List), look(Asked::View), look(Asked::View));
            }
            tokio::time::sleep(FORGETS_EVERY).await;
        }
    }
}

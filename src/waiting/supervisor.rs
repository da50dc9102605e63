//! Which rooms are there? Sees to it that each has its controller on this node, and hears what moves at other nodes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::controller::RoomController;
use super::rooms::WaitingRooms;
use crate::ids::CampaignId;
use crate::redis::Channel;

/// How often it looks for campaigns that have a room since.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Watches over all waiting rooms of one node.
pub struct RoomSupervisor {
    rooms: Arc<WaitingRooms>,
    kept: HashSet<CampaignId>,
    /// Rooms for which nothing is left to do, by the version of their campaign: another version may have more to come.
    through: HashMap<CampaignId, u64>,
    controllers: JoinSet<(CampaignId, Option<u64>)>,
}

impl RoomSupervisor {
    /// Of these rooms.
    #[must_use]
    pub fn new(rooms: Arc<WaitingRooms>) -> Self {
        Self { rooms, kept: HashSet::new(), through: HashMap::new(), controllers: JoinSet::new() }
    }

    /// Until told to stop; then its controllers have stopped, too.
    pub async fn run(mut self, stop: CancellationToken) {
        let redis = Arc::clone(&self.rooms.shared.redis);
        let Some(mut messages) = stop.run_until_cancelled(redis.listen_soon(Channel::Waiting)).await else { return };
        let mut reconnects = redis.reconnects();
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = look.tick() => self.control_all(&stop),
                () = reconnects.next() => {
                    // It may be another Redis, or one that has gone back.
                    self.through.clear();
                    self.poke_all();
                }
                message = messages.next() => match message.and_then(|id| id.parse::<CampaignId>().ok()) {
                    Some(id) => self.poke(&id),
                    None => self.poke_all(),
                },
            }
        }
        while self.controllers.join_next().await.is_some() {}
    }

    fn control_all(&mut self, stop: &CancellationToken) {
        while let Some(ended) = self.controllers.try_join_next() {
            match ended {
                Ok((id, version)) => {
                    self.kept.remove(&id);
                    self.through.extend(version.map(|version| (id, version)));
                }
                Err(error) => {
                    // All of them are looked for again: one that is kept twice does no harm.
                    tracing::error!(%error, "a controller of a waiting room died");
                    self.kept.clear();
                }
            }
        }
        self.rooms.forget_all_but(&self.kept);
        for campaign in self.rooms.campaigns.catalog().with_waiting_room() {
            let id = campaign.id();
            if self.kept.contains(&id) || self.through.get(&id) == Some(&campaign.definition().version) {
                continue;
            }
            if let Some(room) = self.rooms.room(&campaign) {
                let controller = RoomController::new(Arc::clone(&self.rooms.shared), room);
                self.controllers.spawn(controller.run(stop.clone()));
                self.kept.insert(id);
            }
        }
    }

    fn poke(&self, id: &CampaignId) {
        if let Some(campaign) = self.rooms.campaigns.catalog().get(id) {
            self.rooms.freed(&campaign);
        }
    }

    fn poke_all(&self) {
        for campaign in self.rooms.campaigns.catalog().with_waiting_room() {
            self.rooms.freed(&campaign);
        }
    }
}

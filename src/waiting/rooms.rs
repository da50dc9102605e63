//! The waiting rooms of one node: joining, asking, leaving, and what operators do.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use super::controller::Usher;
use super::error::WaitingError;
use super::joins::{self, Join, Joins};
use super::room::{News, Room};
use super::scripts::{Moved, Position, Scripts, Seen};
use super::shared::Shared;
use super::snapshot::{Drawn, Snapshot};
use super::status::{Status, Visit};
use super::ticket::Placed;
use super::waits::Waits;
use crate::campaign::{Campaign, Campaigns, Order, State};
use crate::coalescer::Coalescer;
use crate::config;
use crate::ids::{CampaignId, UserId};
use crate::redis::Redis;

/// How long a room is remembered that nobody keeps, in us.
const FORGET_AFTER_US: u64 = 10_000_000;

/// Where somebody goes out of turn.
#[derive(Debug, Clone, Copy)]
enum Way {
    Out,
    In,
}

/// The public face of the room.
pub struct WaitingRooms {
    pub(super) shared: Arc<Shared>,
    limits: config::Waiting,
    pub(super) campaigns: Arc<Campaigns>,
    joins: Coalescer<Joins>,
    rooms: RwLock<HashMap<CampaignId, Arc<Room>>>,
}

impl WaitingRooms {
    /// Knows of none yet: see [`super::RoomSupervisor`].
    #[must_use]
    pub fn new(redis: Arc<Redis>, campaigns: Arc<Campaigns>, limits: config::Waiting) -> Self {
        let joins = Joins { redis: Arc::clone(&redis), limits: limits.clone() };
        Self {
            joins: Coalescer::new(joins, joins::limits(&limits), joins::meters()),
            shared: Arc::new(Shared { redis, limits: limits.clone() }),
            limits,
            campaigns,
            rooms: RwLock::default(),
        }
    }

    /// The campaign's room; `None`: it has none.
    #[must_use]
    pub fn room(&self, campaign: &Arc<Campaign>) -> Option<Arc<Room>> {
        let definition = campaign.definition();
        definition.spec.waiting.as_ref()?;
        let known = self.rooms.read().unwrap_or_else(PoisonError::into_inner).get(definition.id()).cloned();
        Some(known.unwrap_or_else(|| {
            let mut rooms = self.rooms.write().unwrap_or_else(PoisonError::into_inner);
            let room = rooms.entry(campaign.id()).or_insert_with(|| Arc::new(Room::new(Arc::clone(campaign))));
            Arc::clone(room)
        }))
    }

    /// Forgets rooms that nobody keeps, listens to or has asked about lately: they are over, or of campaigns that are gone.
    pub(super) fn forget_all_but(&self, kept: &HashSet<CampaignId>) {
        let is_needed = |id: &CampaignId, room: &Arc<Room>| {
            kept.contains(id) || Arc::strong_count(room) > 1 || room.recent(FORGET_AFTER_US).is_some()
        };
        let known = self.rooms.read().unwrap_or_else(PoisonError::into_inner);
        if known.iter().all(|(id, room)| is_needed(id, room)) {
            return;
        }
        drop(known);
        self.rooms.write().unwrap_or_else(PoisonError::into_inner).retain(|id, room| is_needed(id, room));
    }

    /// An usher of this room.
    #[must_use]
    pub fn usher(&self, room: &Arc<Room>) -> Usher {
        Usher::new(Arc::clone(&self.shared), Arc::clone(room))
    }

    /// Gives the user a place, or says again which they have.
    pub async fn join(&self, room: &Room, user: &UserId) -> Result<Status, WaitingError> {
        match self.joins.submit(&room.campaign, user.clone()).await? {
            Join::NotOpenYet(head) => Ok(Status::NotOpenYet { now: head.now }),
            Join::Closed => Ok(Status::Closed),
            Join::NoRoom => Err(WaitingError::NoRoom),
            Join::Lost => Err(WaitingError::Lost),
            Join::Placed(seen, position) => {
                let snapshot = self.snapshot_since(room, &seen).await?;
                if !snapshot.is_busy() {
                    room.poke();
                }
                self.visit(room, &snapshot).said(position, None)
            }
        }
    }

    /// What the campaign is to who comes now, at most as old as what those are told who wait.
    pub async fn state(&self, room: &Room) -> Result<State, WaitingError> {
        let snapshot = self.snapshot(room).await?;
        Ok(room.campaign.definition().state(snapshot.head.now, snapshot.head.left))
    }

    /// How the user stands. With where their ticket places them it costs Redis nothing while they wait.
    pub async fn look(&self, room: &Room, user: &UserId, placed: Option<Placed>) -> Result<Status, WaitingError> {
        if let Some(placed) = placed
            && let Some(status) = self.glance(room, placed)
        {
            return Ok(status);
        }
        let scripts = self.scripts(room);
        let (seen, position) = scripts.look(user).await?;
        let snapshot = self.snapshot_since(room, &seen).await?;
        let is_over = room.campaign.definition().closed || snapshot.state == State::Closed;
        if is_over && (position != Position::Stranger || placed.is_some()) {
            return Ok(Status::Closed);
        }
        if position == Position::Stranger && placed.is_some() {
            // Of a room that began anew: their place is gone with it.
            return Ok(Status::Expired);
        }
        self.visit(room, &snapshot).said(position, placed)
    }

    /// How who has this ticket stands, if this node can tell by itself.
    #[must_use]
    pub fn glance(&self, room: &Room, placed: Placed) -> Option<Status> {
        let snapshot = room.recent(self.limits.age_ms_max * 1_000)?;
        self.visit(room, &snapshot).remembered(placed)
    }

    /// The user goes, whether waiting or inside.
    pub async fn leave(&self, room: &Room, user: &UserId) -> Result<(), WaitingError> {
        self.move_out_of_turn(room, user, Way::Out).await
    }

    /// An operator lets one user in, beyond the pace but neither beyond the cap nor the units.
    pub async fn let_in(&self, room: &Room, user: &UserId) -> Result<(), WaitingError> {
        self.move_out_of_turn(room, user, Way::In).await
    }

    /// Does what vacates a place out of turn. Of a number that was drawn the script wants to know the place.
    async fn move_out_of_turn(&self, room: &Room, user: &UserId, way: Way) -> Result<(), WaitingError> {
        let scripts = self.scripts(room);
        let mut drawn = None;
        let moved = loop {
            let moved = match way {
                Way::Out => scripts.leave(user, drawn).await?,
                Way::In => scripts.let_in(user, drawn).await?,
            };
            match moved {
                Moved::PlaceOf(number) if drawn.is_none() => {
                    drawn = Some((number, self.drawn_place(room, number).await?));
                }
                _ => break moved,
            }
        };
        self.settle(room).await?;
        match moved {
            Moved::Done => Ok(()),
            Moved::BeingDrawn | Moved::PlaceOf(_) => Err(WaitingError::BeingDrawn),
            Moved::Full => Err(WaitingError::NoRoomInside),
        }
    }

    /// An operator stops the admission, or lets it go on.
    pub async fn set_stopped(&self, room: &Room, stopped: bool) -> Result<(), WaitingError> {
        self.scripts(room).stop(stopped).await?;
        self.settle(room).await
    }

    /// A snapshot that was asked for after this call began.
    pub async fn snapshot_now(&self, room: &Room) -> Result<Arc<Snapshot>, WaitingError> {
        room.snapshot(&self.shared.redis, &self.limits, 0).await
    }

    /// How long users have waited.
    pub async fn waits(&self, room: &Room) -> Result<Waits, WaitingError> {
        Ok(Waits::read(&self.shared.redis, &room.campaign.id()).await?)
    }

    /// What the draw's order was made from, and what is public of it so far; `None`: nothing is drawn here.
    pub async fn drawn(&self, room: &Room) -> Result<Option<(String, Option<Drawn>)>, WaitingError> {
        let definition = room.campaign.definition();
        let is_draw = definition.spec.waiting.as_ref().is_some_and(|waiting| waiting.order == Order::Draw);
        let Some(seed) = definition.draw_seed.clone().filter(|_| is_draw) else { return Ok(None) };
        Ok(Some((seed, self.snapshot(room).await?.drawn.clone())))
    }

    /// A place has become free: a pass has ended, or a unit has come back.
    pub fn freed(&self, campaign: &Arc<Campaign>) {
        if let Some(room) = self.room(campaign) {
            room.poke();
        }
    }

    /// Hears when there may be news for those who wait.
    #[must_use]
    pub fn news(&self, room: &Room) -> News {
        room.news()
    }

    /// Whether somebody so far from the front hears of every change at once.
    #[must_use]
    pub fn is_near(&self, ahead: u64) -> bool {
        ahead <= self.limits.near_places
    }

    /// Who asks this node after this sees what was done; who asks another does within a second.
    async fn settle(&self, room: &Room) -> Result<(), WaitingError> {
        room.poke();
        self.snapshot_now(room).await.map(drop)
    }

    fn visit<'a>(&'a self, room: &'a Room, snapshot: &'a Snapshot) -> Visit<'a> {
        Visit { limits: &self.limits, room, snapshot }
    }

    fn scripts<'a>(&'a self, room: &'a Room) -> Scripts<'a> {
        Scripts { redis: &self.shared.redis, campaign: &room.campaign, limits: &self.limits }
    }

    /// A snapshot that is young enough for visitors.
    async fn snapshot(&self, room: &Room) -> Result<Arc<Snapshot>, WaitingError> {
        let age_us_max = self.limits.age_ms_max * 1_000;
        match room.recent(age_us_max) {
            Some(snapshot) => Ok(snapshot),
            // Apart, since it is rare and large: who joins would carry it along each time, and each connection keeps room
            // for the largest that it may have to answer.
            None => Box::pin(room.snapshot(&self.shared.redis, &self.limits, age_us_max)).await,
        }
    }

    /// A snapshot that is young enough for visitors, and not older than what a script has just seen: else somebody would be
    /// told of more people ahead than at another node before, or of a pace that others have used up since.
    async fn snapshot_since(&self, room: &Room, seen: &Seen) -> Result<Arc<Snapshot>, WaitingError> {
        let recent = self.snapshot(room).await?;
        if recent.is_as_young_as(seen) {
            return Ok(recent);
        }
        let snapshot = Box::pin(room.snapshot(&self.shared.redis, &self.limits, 0)).await?;
        if snapshot.is_of(seen) { Ok(snapshot) } else { Err(WaitingError::BeganAnew) }
    }

    async fn drawn_place(&self, room: &Room, number: u64) -> Result<u64, WaitingError> {
        let mut snapshot = self.snapshot(room).await?;
        if snapshot.drawn.is_none() {
            snapshot = self.snapshot_now(room).await?;
        }
        room.place_of(&snapshot, number)
    }
}

//! One waiting room, as this node knows it: the newest snapshot, who asks for the next one, and who hears of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};

use super::draw::Draw;
use super::error::WaitingError;
use super::rates;
use super::scripts::{Found, Scripts};
use super::snapshot::{Drawn, Snapshot};
use crate::campaign::Campaign;
use crate::clock;
use crate::config;
use crate::hex::from_hex;
use crate::redis::Redis;

/// Entries of the pace that a schedule is made from. A window with more of them is told a little too late.
const PACE_ENTRIES_MAX: usize = 1_000;

/// One campaign's waiting room on this node.
pub struct Room {
    pub(super) campaign: Arc<Campaign>,
    snapshot: ArcSwapOption<Snapshot>,
    /// One question at a time; who waits for it takes its answer.
    asking: tokio::sync::Mutex<()>,
    /// What tells how fast places become free.
    seen: Mutex<rates::Seen>,
    /// What it was made of, and the order.
    draw: ArcSwapOption<(Drawn, Arc<Draw>)>,
    /// Something has moved: to be looked at now.
    pub(super) poked: Notify,
    is_poked: AtomicBool,
    /// Those who are near the front hear of every snapshot, the others once a second.
    near: watch::Sender<u64>,
    far: watch::Sender<u64>,
}

/// Tells one visitor's stream that there may be news.
pub struct News {
    near: watch::Receiver<u64>,
    far: watch::Receiver<u64>,
}

impl News {
    /// The next time that there may be. `is_near`: of everything that moves, and not only once a second. Safe to drop
    /// while it waits. `false`: the room is no more.
    pub async fn next(&mut self, is_near: bool) -> bool {
        if !is_near {
            return self.far.changed().await.is_ok();
        }
        tokio::select! {
            changed = self.near.changed() => changed.is_ok(),
            changed = self.far.changed() => changed.is_ok(),
        }
    }
}

impl Room {
    pub(super) fn new(campaign: Arc<Campaign>) -> Self {
        Self {
            campaign,
            snapshot: ArcSwapOption::empty(),
            asking: tokio::sync::Mutex::new(()),
            seen: Mutex::default(),
            draw: ArcSwapOption::empty(),
            poked: Notify::new(),
            is_poked: AtomicBool::new(false),
            near: watch::Sender::new(0),
            far: watch::Sender::new(0),
        }
    }

    pub(super) fn news(&self) -> News {
        News { near: self.near.subscribe(), far: self.far.subscribe() }
    }

    /// Something has moved, here or at another node.
    pub(super) fn poke(&self) {
        self.is_poked.store(true, Ordering::Release);
        self.poked.notify_one();
    }

    /// Whether something has moved since this was last asked.
    pub(super) fn was_poked(&self) -> bool {
        self.is_poked.swap(false, Ordering::AcqRel)
    }

    /// Wakes the streams of those who are near the front.
    pub(super) fn tell_near(&self) {
        self.near.send_modify(|count| *count += 1);
    }

    /// Wakes all streams.
    pub(super) fn tell_all(&self) {
        self.far.send_modify(|count| *count += 1);
    }

    /// Streams that listen.
    pub(super) fn listeners(&self) -> usize {
        self.far.receiver_count()
    }

    /// The newest snapshot, if it was asked for at most so long ago.
    pub(super) fn recent(&self, age_us_max: u64) -> Option<Arc<Snapshot>> {
        let snapshot = self.snapshot.load();
        let snapshot = snapshot.as_ref()?;
        let is_recent = clock::uptime_us().saturating_sub(snapshot.asked_at_us) <= age_us_max;
        is_recent.then(|| Arc::clone(snapshot))
    }

    /// The newest snapshot, whatever its age.
    pub(super) fn newest(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.load_full()
    }

    /// A snapshot that was asked for after this call began, or one that is recent enough: callers that wait together share
    /// one question.
    pub(super) async fn snapshot(
        &self,
        redis: &Arc<Redis>,
        limits: &config::Waiting,
        age_us_max: u64,
    ) -> Result<Arc<Snapshot>, WaitingError> {
        let began = clock::uptime_us();
        let _turn = self.asking.lock().await;
        let since = began.saturating_sub(age_us_max);
        if let Some(snapshot) = self.newest().filter(|snapshot| snapshot.asked_at_us >= since) {
            return Ok(snapshot);
        }
        let scripts = Scripts { redis, campaign: &self.campaign, limits };
        let before = self.newest();
        let known = before.as_ref().map(|before| before.departures.count());
        let mut asked = clock::uptime_us();
        let mut found = scripts.snapshot(known, PACE_ENTRIES_MAX).await?;
        let life = |found: &Found| (found.head.generation, found.life);
        let mut before = before.filter(|before| (before.head.generation, before.life) == life(&found));
        if before.is_none() && known.is_some() {
            // A room of another life: what was known says nothing of it.
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
            asked = clock::uptime_us();
            found = scripts.snapshot(None, PACE_ENTRIES_MAX).await?;
            before = None;
        }
        let rates = self.rates(asked, &found);
        let snapshot = Arc::new(Snapshot::new(found, &self.campaign, asked, before.as_deref(), rates));
        self.snapshot.store(Some(Arc::clone(&snapshot)));
        Ok(snapshot)
    }

    fn rates(&self, asked_us: u64, found: &Found) -> rates::Rates {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if found.head.left == 0 {
            // Whoever was inside is not any more, and that made no room.
            seen.clear();
        }
        seen.note(asked_us, found, self.campaign.definition().spec.stock)
    }

    /// The order of a draw that was published.
    pub(super) fn draw(&self, drawn: &Drawn) -> Result<Arc<Draw>, WaitingError> {
        if let Some(known) = self.draw.load().as_ref().filter(|known| known.0 == *drawn) {
            return Ok(Arc::clone(&known.1));
        }
        let definition = self.campaign.definition();
        let seed = definition.draw_seed.as_deref().and_then(from_hex).ok_or(WaitingError::NoSeed)?;
        let list_hash = from_hex(&drawn.list_hash).ok_or(WaitingError::NoSeed)?;
        let draw = Arc::new(Draw::new(&seed, &list_hash, drawn.n));
        self.draw.store(Some(Arc::new((drawn.clone(), Arc::clone(&draw)))));
        Ok(draw)
    }

    /// The place of a number: itself, unless it was drawn.
    pub(super) fn place_of(&self, snapshot: &Snapshot, number: u64) -> Result<u64, WaitingError> {
        match &snapshot.drawn {
            Some(drawn) if number <= drawn.n => Ok(self.draw(drawn)?.place_of(number).unwrap_or(number)),
            _ => Ok(number),
        }
    }
}

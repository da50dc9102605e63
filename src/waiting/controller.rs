//! The usher and the lookout of one room: admits the next, keeps what this node knows fresh, and wakes who listens.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::error::WaitingError;
use super::gauges::Gauges;
use super::publish_draw::DrawPublisher;
use super::room::Room;
use super::scripts::{Admitted, Piece, Scripts};
use super::shared::Shared;
use super::snapshot::{Drawn, News, Snapshot};
use super::waits::Waits;
use crate::ids::CampaignId;

/// Looks at a room that moves all the time are this far apart at least.
const PAUSE_MIN: Duration = Duration::from_millis(25);

/// How often all streams are woken while something moves.
const TELL_ALL_EVERY: Duration = Duration::from_secs(1);

/// How often it is counted how long people waited, while somebody is admitted.
const COUNT_WAITS_EVERY: Duration = Duration::from_secs(5);

/// Places of a draw that one call is told of.
const DRAWN_PLACES: usize = 1_000;

/// Admits the users of one room. Any number of nodes may do so at once: the script judges.
pub struct Usher {
    shared: Arc<Shared>,
    room: Arc<Room>,
    /// What was computed last: a place costs a hundred hashes, and most calls admit nobody.
    piece: Mutex<Option<(Drawn, Arc<Piece>)>>,
}

impl Usher {
    pub(super) fn new(shared: Arc<Shared>, room: Arc<Room>) -> Self {
        Self { shared, room, piece: Mutex::default() }
    }

    /// Admits whom pace, cap and units allow at this moment.
    pub async fn tick(&self) -> Result<Admitted, WaitingError> {
        let Shared { redis, limits, .. } = &*self.shared;
        let scripts = Scripts { redis, campaign: &self.room.campaign, limits };
        let mut admitted = scripts.admit(self.drawn_from(None)?.as_deref()).await?;
        // Once more where the draw's numbers were wanted from elsewhere, and while whole batches are admitted.
        while admitted.wanted > 0 || admitted.admitted >= limits.admit_batch_max {
            let drawn = self.drawn_from(Some(admitted.wanted))?;
            if admitted.wanted > 0 && drawn.is_none() {
                break;
            }
            let more = scripts.admit(drawn.as_deref()).await?;
            let moved_on = more.admitted > 0 || (more.wanted > 0 && more.wanted != admitted.wanted);
            admitted = Admitted {
                admitted: admitted.admitted + more.admitted,
                expired: admitted.expired + more.expired,
                ..more
            };
            if !moved_on {
                break;
            }
        }
        Ok(admitted)
    }

    /// Who has the next places of a draw: from this place on, or from where the room is as far as this node knows.
    fn drawn_from(&self, place: Option<u64>) -> Result<Option<Arc<Piece>>, WaitingError> {
        let Some(snapshot) = self.room.newest() else { return Ok(None) };
        let Some(drawn) = &snapshot.drawn else { return Ok(None) };
        let from = place.filter(|place| *place > 0).unwrap_or(snapshot.admitted_to + 1);
        if from > drawn.n {
            return Ok(None);
        }
        let mut known = self.piece.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, piece)) = &*known
            && of == drawn
            && (piece.from..=piece.to).contains(&from)
        {
            return Ok(Some(Arc::clone(piece)));
        }
        let draw = self.room.draw(drawn)?;
        let places: Vec<u64> = snapshot.departures.kept(from, drawn.n).take(DRAWN_PLACES).collect();
        let to = if places.len() < DRAWN_PLACES { drawn.n } else { places[DRAWN_PLACES - 1] };
        let pairs = places.into_iter().filter_map(|place| Some((place, draw.number_at(place)?)));
        let piece = Arc::new(Piece { from, to, drawn: pairs.collect() });
        *known = Some((drawn.clone(), Arc::clone(&piece)));
        Ok(Some(piece))
    }
}

/// What runs for one room on each node that serves.
pub(super) struct RoomController {
    shared: Arc<Shared>,
    room: Arc<Room>,
    usher: Usher,
    draw_publisher: DrawPublisher,
    gauges: Gauges,
    /// How many had been admitted when the waits were last counted, and when that was.
    counted_waits_of: u64,
    counted_waits_at: Instant,
    told_near: Option<News>,
    told_all: Option<News>,
    told_all_at: Instant,
}

impl RoomController {
    pub(super) fn new(shared: Arc<Shared>, room: Arc<Room>) -> Self {
        let usher = Usher::new(Arc::clone(&shared), Arc::clone(&room));
        let draw_publisher = DrawPublisher::new(Arc::clone(&shared), Arc::clone(&room));
        let gauges = Gauges::new(room.campaign.id().as_str());
        // Whatever was known of it before may be of an end that is none any more.
        room.poke();
        let now = Instant::now();
        Self {
            shared,
            room,
            usher,
            draw_publisher,
            gauges,
            counted_waits_of: 0,
            counted_waits_at: now,
            told_near: None,
            told_all: None,
            told_all_at: now,
        }
    }

    /// Until told to stop, or until nothing is left to do for the room. Answers whose it was, and by which version of its
    /// campaign it is through.
    pub(super) async fn run(mut self, stop: CancellationToken) -> (CampaignId, Option<u64>) {
        let (mut failing, mut through) = (false, None);
        loop {
            let version = self.room.campaign.definition().version;
            let ticked = stop.run_until_cancelled(self.tick()).await;
            let pause = match ticked {
                None => break,
                Some(Ok(None)) => {
                    self.gauges.clear();
                    through = Some(version);
                    break;
                }
                Some(Ok(Some(pause))) => {
                    failing = false;
                    pause
                }
                Some(Err(error)) => {
                    metrics::counter!("onrush_waiting_controller_failures_total").increment(1);
                    if !std::mem::replace(&mut failing, true) {
                        let campaign = self.room.campaign.id();
                        tracing::warn!(%campaign, %error, "waiting room: this node admits nobody until Redis answers again");
                    }
                    Duration::from_millis(self.shared.limits.resurvey_ms)
                }
            };
            let hurried = async {
                tokio::time::sleep(PAUSE_MIN).await;
                self.room.poked.notified().await;
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
                () = hurried => {}
            }
        }
        // Streams end with what they wait for.
        self.room.tell_all();
        (self.room.campaign.id(), through)
    }

    /// Admits, looks, tells. Answers how long to wait if nothing happens; `None`: nothing will happen any more.
    #[tracing::instrument(level = "debug", skip_all, fields(campaign = %self.room.campaign.id()))]
    async fn tick(&mut self) -> Result<Option<Duration>, WaitingError> {
        let shared = Arc::clone(&self.shared);
        let Shared { redis, limits, .. } = &*shared;
        let mut moved = self.room.was_poked();
        let before = self.room.newest();
        if before.as_deref().is_some_and(Snapshot::is_undrawn) {
            moved |= self.draw_publisher.tick().await?;
        }
        if before.as_deref().is_some_and(Snapshot::is_busy) {
            let admitted = self.usher.tick().await?;
            moved |= admitted.admitted > 0 || admitted.expired > 0;
        }
        let age_us_max = if moved { 0 } else { limits.resurvey_ms * 1_000 };
        let mut snapshot = self.room.snapshot(redis, limits, age_us_max).await?;
        if snapshot.is_kept_wrongly() {
            // Nobody may ever come again who would do it.
            self.usher.tick().await?;
            snapshot = self.room.snapshot(redis, limits, 0).await?;
        }
        self.gauges.set(&snapshot);
        if self.counted_waits_of != snapshot.admitted && self.counted_waits_at.elapsed() >= COUNT_WAITS_EVERY {
            (self.counted_waits_of, self.counted_waits_at) = (snapshot.admitted, Instant::now());
            self.gauges.set_waits(&Waits::read(redis, &self.room.campaign.id()).await?);
        }
        self.tell(&snapshot);
        if snapshot.is_through() {
            return Ok(None);
        }
        let pause_ms = if snapshot.is_busy() {
            limits.admit_every_ms
        } else if snapshot.is_undrawn() || snapshot.is_kept_wrongly() || self.room.listeners() > 0 {
            limits.resurvey_ms
        } else {
            limits.idle_resurvey_ms
        };
        Ok(Some(Duration::from_millis(pause_ms)))
    }

    /// Wakes streams: those near the front at once, all of them once a second while something moves, and for a heartbeat.
    /// What changes for everybody, such as the last unit's going, everybody hears at once.
    fn tell(&mut self, snapshot: &Snapshot) {
        let now = Instant::now();
        let news = snapshot.news();
        if self.told_near != Some(news) {
            self.told_near = Some(news);
            self.room.tell_near();
        }
        let since = now.saturating_duration_since(self.told_all_at);
        let is_for_all = self.told_all.is_none_or(|told| told.is_another_state(&news));
        let is_news = self.told_all != Some(news) && (is_for_all || since >= TELL_ALL_EVERY);
        if is_news || since >= Duration::from_millis(self.shared.limits.heartbeat_ms) {
            (self.told_all, self.told_all_at) = (Some(news), now);
            self.room.tell_all();
        }
    }
}

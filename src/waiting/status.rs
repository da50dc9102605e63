//! What is a visitor told? From how they stand to what they hear, in the room's words.

use super::error::WaitingError;
use super::room::Room;
use super::scripts::Position;
use super::snapshot::Snapshot;
use super::ticket::Placed;
use crate::campaign::{Order, State};
use crate::clock::Millis;
use crate::config;

/// How a visitor stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// They wait.
    Waiting(Wait),
    /// They may enter, and have picked the pass up.
    Admitted {
        /// Of their place, which the pass is for.
        placed: Placed,
        /// Until when.
        expires_at: Millis,
    },
    /// They wait, and nothing is left; that may change.
    SoldOut {
        /// Of their place, which they keep.
        placed: Placed,
        /// When to ask again, in s.
        poll_after_s: u64,
    },
    /// The campaign is over.
    Closed,
    /// They were inside or waited, and are not and do not any more.
    Expired,
    /// They never joined.
    Stranger,
    /// Before the opening of a room where the first come are the first served.
    NotOpenYet {
        /// By Redis' clock.
        now: Millis,
    },
}

/// What those hear who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// Their number, and their place.
    pub placed: Placed,
    /// Their place and the people before it; `None`: not drawn yet.
    pub ahead: Option<u64>,
    /// In s; `None` while unknown.
    pub eta_s: Option<u64>,
    /// When the draw is; `None`: there is none, or it is over.
    pub draws_at: Option<Millis>,
    /// When to ask again, in s.
    pub poll_after_s: u64,
    /// Units that nobody holds.
    pub left: u64,
    /// Whether an operator lets nobody in at the moment.
    pub paused: bool,
}

/// Who is this far from the front asks again after a tenth of the time that remains: if the pace is raised tenfold
/// meanwhile, they still come in time.
const POLL_PART: u64 = 10;

/// Without an estimate, a second for so many people ahead.
const POLL_AHEAD: u64 = 100;

/// What is known at this moment for a visitor of a room.
pub(super) struct Visit<'a> {
    pub(super) limits: &'a config::Waiting,
    pub(super) room: &'a Room,
    pub(super) snapshot: &'a Snapshot,
}

impl Visit<'_> {
    /// What a ticket's user hears without a question to Redis; `None`: that has to be asked.
    pub(super) fn remembered(&self, placed: Placed) -> Option<Status> {
        // One of another life of the room speaks of other people, whatever its number.
        if (placed.generation, placed.life) != (self.snapshot.head.generation, self.snapshot.life)
            || placed.place == Placed::INSIDE
        {
            return None;
        }
        if self.snapshot.drawn.is_none() && is_draw(self.room) {
            // Who has left before the draw is known to Redis alone.
            let nobody_left = self.snapshot.left_queue == 0 && self.snapshot.admitted == 0;
            return nobody_left.then(|| self.undrawn(placed));
        }
        let placed = match placed.place {
            0 => Placed { place: self.room.place_of(self.snapshot, placed.number).ok()?, ..placed },
            _ => placed,
        };
        let ahead = self.snapshot.ahead(placed.place)?;
        Some(self.waiting(placed, ahead))
    }

    /// What somebody hears who waits with so many ahead. They are never told more than before: what was true once is the
    /// most that can be true later, and what this node knows may be older than what another one has told them.
    fn waiting(&self, placed: Placed, ahead: u64) -> Status {
        let ahead = placed.ahead.map_or(ahead, |told| told.min(ahead));
        let placed = Placed { ahead: Some(ahead), ..placed };
        let definition = self.room.campaign.definition();
        match definition.state(self.snapshot.head.now, self.snapshot.head.left) {
            State::Closed => return Status::Closed,
            State::SoldOut => {
                return Status::SoldOut { placed, poll_after_s: jittered(self.limits.poll_sold_out_s) };
            }
            State::Scheduled | State::Open | State::Paused | State::Unavailable => {}
        }
        let wait_ms = self.snapshot.schedule.wait_ms(ahead).map(|from_then| {
            let gone_by_ms = (crate::clock::uptime_us().saturating_sub(self.snapshot.asked_at_us)) / 1_000;
            from_then.saturating_sub(gone_by_ms)
        });
        let eta_s = wait_ms.map(|ms| ms.div_ceil(1_000));
        let far_s = eta_s.map_or(ahead / POLL_AHEAD, |eta_s| eta_s / POLL_PART);
        Status::Waiting(Wait {
            placed,
            ahead: Some(ahead),
            eta_s,
            draws_at: None,
            poll_after_s: jittered(far_s.clamp(self.limits.poll_s_min, self.limits.poll_s_max)),
            left: self.snapshot.head.left,
            paused: self.snapshot.stopped || definition.paused,
        })
    }

    /// What somebody hears who waits for a draw.
    fn undrawn(&self, placed: Placed) -> Status {
        let definition = self.room.campaign.definition();
        let draws_at = definition.spec.opens_at;
        if definition.state(self.snapshot.head.now, 1) == State::Closed {
            return Status::Closed;
        }
        let remains_ms = draws_at.map_or(0, |at| u64::try_from(at.0 - self.snapshot.head.now.0).unwrap_or(0));
        // Just after it, and not all at once.
        let until_s = remains_ms.div_ceil(1_000) + rand::random_range(1..=3);
        Status::Waiting(Wait {
            placed,
            ahead: None,
            eta_s: None,
            draws_at,
            poll_after_s: until_s.clamp(self.limits.poll_s_min, self.limits.poll_s_max),
            left: self.snapshot.head.left,
            paused: self.snapshot.stopped || definition.paused,
        })
    }

    /// What somebody hears of whom Redis has said how they stand; `shown`: as their ticket has it.
    pub(super) fn said(&self, position: Position, shown: Option<Placed>) -> Result<Status, WaitingError> {
        let (generation, life) = (self.snapshot.head.generation, self.snapshot.life);
        let placed = |number| {
            let same = |shown: &Placed| (shown.generation, shown.life, shown.number) == (generation, life, number);
            Placed { generation, life, number, place: 0, ahead: shown.filter(same).and_then(|shown| shown.ahead) }
        };
        let was_drawn = |number| self.snapshot.drawn.as_ref().is_some_and(|drawn| number <= drawn.n);
        Ok(match position {
            Position::Stranger => Status::Stranger,
            Position::Gone => Status::Expired,
            Position::BeingDrawn => return Err(WaitingError::BeingDrawn),
            Position::Full => return Err(WaitingError::Full),
            Position::Inside { number, deadline } => {
                let placed = Placed { place: Placed::INSIDE, ..placed(number) };
                Status::Admitted { placed, expires_at: deadline }
            }
            Position::Waiting { number, ahead: Some(ahead) }
                if !was_drawn(number) && (self.snapshot.drawn.is_some() || !is_draw(self.room)) =>
            {
                self.waiting(Placed { place: number, ..placed(number) }, ahead)
            }
            Position::Waiting { number, .. } if self.snapshot.drawn.is_none() && is_draw(self.room) => {
                self.undrawn(placed(number))
            }
            Position::Waiting { number, .. } => {
                if let Some(status) = self.remembered(placed(number)) {
                    return Ok(status);
                }
                // The snapshot is younger than what the script saw: whoever was next by it is nearly inside.
                let place = self.room.place_of(self.snapshot, number)?;
                self.waiting(Placed { place, ..placed(number) }, 0)
            }
        })
    }
}

fn is_draw(room: &Room) -> bool {
    room.campaign.definition().spec.waiting.as_ref().is_some_and(|waiting| waiting.order == Order::Draw)
}

/// Up to a tenth more, so that those who were told the same do not come in the same moment.
fn jittered(seconds: u64) -> u64 {
    seconds + rand::random_range(0..=seconds / 10)
}

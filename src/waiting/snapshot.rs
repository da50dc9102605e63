//! How does a room stand? What a node has learned of it in one look, and what it can tell visitors from that alone.

use super::departures::Departures;
use super::rates::Rates;
use super::schedule::{Gate, Schedule};
use super::scripts::{Found, Kept, Seen};
use crate::campaign::{Campaign, Order, State};
use crate::clock::Millis;
use crate::redis::Head;

/// A room as it was at one moment, with all that is needed to place any number in it.
#[derive(Debug)]
pub struct Snapshot {
    /// When it was asked for, by `clock::uptime_us`.
    pub(super) asked_at_us: u64,
    /// The campaign at that moment.
    pub head: Head,
    /// The room's life.
    pub(super) life: u32,
    /// The last number that was given.
    pub number: u64,
    /// The place of the last one who was admitted in turn.
    pub admitted_to: u64,
    /// Users who waited.
    pub waiting: u64,
    /// Users who were inside.
    pub inside: u64,
    /// Users who were ever admitted.
    pub admitted: u64,
    /// Users who were admitted and did not pick their pass up.
    pub no_shows: u64,
    /// Users who left while they waited.
    pub left_queue: u64,
    /// Whether an operator had stopped the admission.
    pub stopped: bool,
    /// What is public of a draw, once it was drawn.
    pub drawn: Option<Drawn>,
    pub(super) departures: Departures,
    pub(super) schedule: Schedule,
    /// What a claim would have met.
    pub(super) state: State,
    /// The campaign's definition that was known then.
    version: u64,
    kept: Kept,
    is_draw: bool,
}

/// What visitors would see change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct News {
    life: (u32, u32),
    admitted_to: u64,
    departures: u64,
    inside: u64,
    state: State,
    stopped: bool,
    is_drawn: bool,
    /// Of the campaign's definition: an operator's word is for everybody.
    version: u64,
}

impl News {
    /// Whether it is another state for everybody, and not only somebody's turn.
    pub(super) fn is_another_state(&self, other: &Self) -> bool {
        let of = |news: &Self| (news.life, news.state, news.stopped, news.is_drawn, news.version);
        of(self) != of(other)
    }
}

/// What was published of a draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// Numbers that were drawn: 1 to this.
    pub n: u64,
    /// SHA-256 of the list, in hexadecimal.
    pub list_hash: String,
    /// When it was published.
    pub at: Millis,
}

impl Snapshot {
    /// From what a script found. Departures that it did not send are those that were known before.
    pub(super) fn new(
        found: Found,
        campaign: &Campaign,
        asked_at_us: u64,
        before: Option<&Self>,
        rates: Rates,
    ) -> Self {
        let definition = campaign.definition();
        let departures = match (found.bits, before) {
            (Some((first, bits)), _) => Departures::new(found.departures, first, &bits),
            (None, Some(before)) if before.departures.count() == found.departures => before.departures.clone(),
            (None, _) => Departures::new(found.departures, 0, &[]),
        };
        let drawn = (!found.list_hash.is_empty()).then(|| Drawn {
            n: found.draw_n.unwrap_or(0),
            list_hash: found.list_hash.clone(),
            at: found.drawn_at,
        });
        let state = definition.state(found.head.now, found.head.left);
        let waiting = definition.spec.waiting.clone().unwrap_or_default();
        let schedule = if found.stopped || !is_open(state) {
            Schedule::stopped()
        } else {
            let free = |max: u64| max.saturating_sub(found.inside);
            let cap = waiting.active_max.map(|max| Gate { free: free(max), rate: rates.cap });
            let units = Gate { free: free(found.head.left.saturating_add(waiting.reserve)), rate: rates.units };
            Schedule::new(&waiting, found.head.now, &found.pace, cap, units)
        };
        Self {
            asked_at_us,
            head: found.head,
            life: found.life,
            number: found.number,
            admitted_to: found.admitted_to,
            waiting: found.waiting,
            inside: found.inside,
            admitted: found.admitted,
            no_shows: found.no_shows,
            left_queue: found.left_queue,
            stopped: found.stopped,
            drawn,
            departures,
            schedule,
            state,
            version: definition.version,
            kept: found.kept,
            is_draw: waiting.order == Order::Draw,
        }
    }

    /// Whether the draw is still to come.
    pub(super) fn is_undrawn(&self) -> bool {
        self.is_draw && self.drawn.is_none() && self.state != State::Closed
    }

    /// Whether it is of the same life of the room.
    pub(super) fn is_of(&self, seen: &Seen) -> bool {
        (self.head.generation, self.life) == (seen.head.generation, seen.life)
    }

    /// Whether it shows at least what a script had seen.
    pub(super) fn is_as_young_as(&self, seen: &Seen) -> bool {
        let moves = self.admitted_to + self.departures.count() + u64::from(self.drawn.is_some());
        self.is_of(seen) && moves >= seen.moves
    }

    /// Whether the room's keys are kept for ever although its campaign is over, or for a while only although it is not.
    pub(super) fn is_kept_wrongly(&self) -> bool {
        match self.kept {
            Kept::Nothing => false,
            Kept::WithoutEnd => self.state == State::Closed,
            Kept::ForAWhile => self.state != State::Closed,
        }
    }

    /// Whether nothing is left to do for the room: its campaign is over, and its keys go by themselves.
    pub(super) fn is_through(&self) -> bool {
        self.state == State::Closed && !self.is_kept_wrongly()
    }

    /// Whether there is somebody whom time or the usher may move.
    pub(super) fn is_busy(&self) -> bool {
        self.waiting > 0 || self.inside > 0
    }

    pub(super) fn news(&self) -> News {
        News {
            life: (self.head.generation, self.life),
            admitted_to: self.admitted_to,
            departures: self.departures.count(),
            inside: self.inside,
            state: self.state,
            stopped: self.stopped,
            version: self.version,
            is_drawn: self.drawn.is_some(),
        }
    }

    /// Whether admission goes on: neither stopped by an operator, nor by the campaign.
    #[must_use]
    pub fn is_admitting(&self) -> bool {
        !self.stopped && is_open(self.state)
    }

    /// How many people are before this place; `None`: whoever has it does not wait at it any more.
    pub(super) fn ahead(&self, place: u64) -> Option<u64> {
        if place <= self.admitted_to || self.departures.contains(place) {
            return None;
        }
        let between = place - self.admitted_to - 1;
        Some(between.saturating_sub(self.departures.between(self.admitted_to + 1, place)))
    }
}

/// Nobody is admitted otherwise.
fn is_open(state: State) -> bool {
    match state {
        State::Open | State::SoldOut => true,
        State::Scheduled | State::Paused | State::Closed | State::Unavailable => false,
    }
}

//! How does a room stand? What a node has learned of it in one look, and what it can tell visitors from that alone.

use super::departures::Departures;
use super::schedule::Schedule;
use super::scripts::Found;
use crate::campaign::{Campaign, Order, State};
use crate::clock::Millis;
use crate::redis::Head;

/// A room as it was at one moment, with all that is needed to place any number in it.
#[derive(Debug)]
pub struct Survey {
    /// When it was asked for, by `clock::uptime_us`.
    pub(super) asked_at_us: u64,
    /// The campaign at that moment.
    pub head: Head,
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
    is_draw: bool,
}

/// What visitors would see change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct News {
    generation: u32,
    admitted_to: u64,
    departures: u64,
    inside: u64,
    state: State,
    stopped: bool,
    is_drawn: bool,
}

impl News {
    /// Whether it is another state for everybody, and not only somebody's turn.
    pub(super) fn is_another_state(&self, other: &Self) -> bool {
        (self.generation, self.state, self.is_drawn) != (other.generation, other.state, other.is_drawn)
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

impl Survey {
    /// From what a script found. Departures that it did not send are those that were known before.
    pub(super) fn new(
        found: Found,
        campaign: &Campaign,
        asked_at_us: u64,
        before: Option<&Self>,
        rate: Option<f64>,
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
        let waiting = definition.terms.waiting.clone().unwrap_or_default();
        let is_full = waiting.active_max.is_some_and(|max| found.inside >= max)
            || found.inside >= found.head.left + waiting.reserve;
        let schedule = if found.stopped || !is_open(state) {
            Schedule::Unknown
        } else {
            Schedule::new(&waiting, found.head.now, &found.pace, is_full, rate)
        };
        Self {
            asked_at_us,
            head: found.head,
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
            is_draw: waiting.order == Order::Draw,
        }
    }

    /// Whether the draw is still to come.
    pub(super) fn is_undrawn(&self) -> bool {
        self.is_draw && self.drawn.is_none() && self.state != State::Closed
    }

    /// Whether there is somebody whom time or the usher may move.
    pub(super) fn is_busy(&self) -> bool {
        self.waiting > 0 || self.inside > 0
    }

    pub(super) fn news(&self) -> News {
        News {
            generation: self.head.generation,
            admitted_to: self.admitted_to,
            departures: self.departures.count(),
            inside: self.inside,
            state: self.state,
            stopped: self.stopped,
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

//! A refusal is right: nobody is told that nothing is left while something was, or that they hold what they do not.

use std::collections::HashMap;
use std::time::Duration;

use super::{Judge, Row};
use crate::history::Event;
use crate::request::{Asked, Edit};

/// A node may remember for so long that nothing is left; twice that, since it need not have answered at once.
const REMEMBERED: Duration = Duration::from_millis(300);

impl Judge<'_> {
    pub(super) fn refusals_are_right(&mut self) {
        let unknown = self.unknown_attempts();
        let held = self.possibly_held(&unknown);
        let mut wrong = Vec::new();
        for event in &self.evidence.events {
            let is_claim = event.claim().is_some();
            let (is_right, invariant) = match (&event.asked, event.status(), event.code()) {
                (_, 0, _)
                | (_, 503, "unavailable")
                | (Asked::Claim { .. } | Asked::ClaimWithPass { .. }, 201, _)
                | (Asked::GiveBack { .. } | Asked::Redeem { .. } | Asked::Raise { .. } | Asked::View | Asked::List, 200, _)
                | (Asked::Edit(_), 200 | 201, _)
                // A room's own words are judged elsewhere.
                | (Asked::Join | Asked::Status, _, _) => (true, 6),
                (_, 409, "sold_out") if is_claim => (self.may_be_sold_out(event, &held), 2),
                (_, 409, "limit_reached") if is_claim => (self.may_be_at_the_limit(event, &unknown), 4),
                (Asked::ClaimWithPass { .. }, 403, "pass_required") => (self.may_need_a_pass(event), 9),
                (_, 409, "paused") if is_claim => (self.was_asked(event, &Edit::Pause), 2),
                (_, 410, "closed") => (self.was_asked(event, &Edit::Close), 2),
                (Asked::Redeem { claim, .. } | Asked::GiveBack { claim }, 409, "already_redeemed") => (self.may_be_redeemed(event, claim), 6),
                // What a loss took away is not there.
                (Asked::GiveBack { .. } | Asked::Redeem { .. }, 404, _) => (self.forgot(), 6),
                // A campaign that is new may be unknown to a node yet, and to one that boots where nobody can tell it. At the
                // end it may not: see `operators`.
                (Asked::Edit(_) | Asked::Raise { .. } | Asked::Claim { .. } | Asked::View, 404, _) => {
                    (self.evidence.campaign != "RUSH" || self.is_near_a_loss(event), 6)
                }
                (Asked::ClaimWithPass { .. }, 404, _) => (self.is_near_a_loss(event), 6),
                _ => (false, 6),
            };
            if !is_right {
                wrong.push(format!("invariant {invariant}: wrong refusal: a wrong answer: {event:?}"));
            }
        }
        self.wrong.extend(wrong);
    }

    /// For each row the time in which its unit may have been held.
    fn possibly_held(&self, unknown: &HashMap<&str, Vec<Duration>>) -> Vec<(Duration, Duration)> {
        let interval = |row: &Row| {
            let promise = self.promises.get(&(row.generation, row.number));
            let given_back = promise.and_then(|promise| promise.given_back);
            // A give-back that a loss took away did not happen.
            let until = if self.forgot() && !row.is_given_back { None } else { given_back };
            let earliest = unknown.get(row.user.as_str()).and_then(|sent| sent.iter().min()).copied();
            let from = promise.map(|promise| promise.asked).or(earliest).unwrap_or(Duration::ZERO);
            (from, until.unwrap_or(Duration::MAX))
        };
        self.evidence.rows.iter().map(interval).collect()
    }

    /// Whether the campaign may have been other then than it was at the end because Redis lost something.
    fn is_near_a_loss(&self, event: &Event) -> bool {
        self.evidence.losses.iter().any(|loss| event.sent <= loss.rebuilt_at + REMEMBERED)
    }

    /// Wrong if a unit was certainly free all the time, and somewhat longer.
    fn may_be_sold_out(&self, event: &Event, held: &[(Duration, Duration)]) -> bool {
        let since = event.sent.saturating_sub(REMEMBERED);
        let raised = self.raises().filter(|raise| raise.3 == 200 && raise.1 <= since).map(|raise| raise.2);
        let stock = raised.chain([self.evidence.stock]).max().unwrap_or(0);
        let taken = held.iter().filter(|(from, to)| *from <= event.heard && *to >= since).count() as u64;
        taken >= stock || self.is_near_a_loss(event)
    }

    /// Wrong if the user cannot have held so many.
    fn may_be_at_the_limit(&self, event: &Event, unknown: &HashMap<&str, Vec<Duration>>) -> bool {
        let promised = self.promises.values().filter(|promise| {
            promise.event.user == event.user
                && promise.asked <= event.heard
                && promise.given_back.is_none_or(|at| at >= event.sent)
        });
        let untold = unknown.get(event.user.as_str()).into_iter().flatten().filter(|sent| **sent <= event.heard);
        promised.count() + untold.count() >= self.evidence.limit || self.forgot()
    }

    /// Wrong if nobody had asked for it before.
    fn may_be_redeemed(&self, event: &Event, claim: &str) -> bool {
        self.evidence.events.iter().any(|other| {
            matches!(&other.asked, Asked::Redeem { claim: of, .. } if of == claim)
                && other.sent < event.sent
                && (other.is_unknown() || other.status() == 200)
        })
    }

    /// Wrong if no operator had asked for it before.
    fn was_asked(&self, event: &Event, edit: &Edit) -> bool {
        let asked = |other: &&Event| matches!(&other.asked, Asked::Edit(found) if found == edit);
        self.evidence.events.iter().filter(asked).any(|other| other.sent <= event.heard)
    }

    /// Wrong: it came with the pass that the room gave, which lasts far longer than a run. All passes end when nothing is
    /// left, and when Redis loses them.
    fn may_need_a_pass(&self, event: &Event) -> bool {
        let sold = self.evidence.rows.len() as u64;
        let ended = self.promises.values().any(|promise| promise.event.user == event.user);
        self.forgot() || ended || sold >= self.evidence.stock
    }
}

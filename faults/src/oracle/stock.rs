//! Never more units than there are, and never more for one user than they may hold.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::promises::Promise;
use super::{Id, Judge};

/// What is older has reached Kafka, or has not as a whole: the relay keeps the order.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_millis(300);

impl Judge<'_> {
    /// Promises that no loss took away: made on the Redis that came back, or acknowledged by Kafka before.
    fn lasting(&self) -> impl Iterator<Item = &Promise<'_>> {
        self.promises.values().filter(|promise| {
            let mut losses = self.evidence.losses.iter();
            losses.all(|loss| {
                let is_safe = loss.claimed.get(&promise.id).is_some_and(|owner| *owner == promise.event.user);
                promise.event.sent > loss.back_at || is_safe
            })
        })
    }

    /// A give-back just before Redis forgot, that no store had by then: its unit may have been given to somebody else by a
    /// fact that Kafka had.
    fn may_be_half_known(&self, promise: &Promise<'_>, live: &BTreeSet<Id>) -> bool {
        let just_before = |at: Duration| {
            self.evidence.losses.iter().any(|loss| at <= loss.back_at && at + ACKNOWLEDGED_WITHIN >= loss.at)
        };
        live.contains(&promise.id) && promise.giving_back.is_some_and(just_before)
    }

    pub(super) fn stock_is_kept(&mut self) {
        let evidence = self.evidence;
        let live: BTreeSet<Id> =
            evidence.rows.iter().filter(|row| !row.is_given_back).map(|row| (row.generation, row.number)).collect();
        let forgotten = self.promises.values().filter(|promise| self.may_be_half_known(promise, &live)).count();
        let live_rows = live.len().saturating_sub(forgotten) as u64;
        if live_rows > evidence.stock_at_last {
            self.say(format!("invariant 1: oversold: {live_rows} live rows of {} units", evidence.stock_at_last));
        }
        let highest = self.raises().map(|raise| raise.2).chain([evidence.stock]).max().unwrap_or(0);
        let confirmed = self.raises().filter(|raise| raise.3 == 200).map(|raise| raise.2).max().unwrap_or(0);
        if evidence.stock_at_last < confirmed || evidence.stock_at_last > highest {
            self.say(format!(
                "operators: the stock is {}, confirmed were {confirmed}, asked for were at most {highest}",
                evidence.stock_at_last
            ));
        }
        // At each moment: what clients certainly held, and what there can have been.
        let mut changes = Vec::new();
        for promise in self.lasting() {
            changes.push((promise.heard, 1));
            // One that was forgotten did not happen.
            let happened = !self.forgot() || !live.contains(&promise.id) || self.may_be_half_known(promise, &live);
            changes.extend(promise.giving_back.filter(|_| happened).map(|at| (at, -1)));
        }
        changes.sort_unstable();
        let mut held = 0;
        for (at, change) in changes {
            held += change;
            let raised = self.raises().filter(|raise| raise.0 <= at).map(|raise| raise.2).max().unwrap_or(0);
            let most = raised.max(evidence.stock);
            if held > i64::try_from(most).unwrap_or(i64::MAX) {
                return self
                    .say(format!("invariant 1: oversold at {at:?}: clients held {held} of at most {most} units"));
            }
        }
    }

    pub(super) fn limits_are_kept(&mut self) {
        let limit = i64::try_from(self.evidence.limit).unwrap_or(i64::MAX);
        let mut live: BTreeMap<&str, i64> = BTreeMap::new();
        for row in self.evidence.rows.iter().filter(|row| !row.is_given_back) {
            *live.entry(&row.user).or_default() += 1;
        }
        for (user, live) in live.into_iter().filter(|(_, live)| *live > limit) {
            self.say(format!("invariant 4: {user} holds {live} live rows, the limit is {limit}"));
        }
        let mut changes: BTreeMap<String, Vec<(Duration, i64)>> = BTreeMap::new();
        for promise in self.lasting() {
            let of_user = changes.entry(promise.event.user.clone()).or_default();
            of_user.push((promise.heard, 1));
            of_user.extend(promise.giving_back.map(|at| (at, -1)));
        }
        for (user, mut changes) in changes {
            changes.sort_unstable();
            let mut held = 0;
            for (at, change) in changes {
                held += change;
                if held > limit {
                    self.say(format!("invariant 4: {user} held {held} units at {at:?}, the limit is {limit}"));
                }
            }
        }
    }
}

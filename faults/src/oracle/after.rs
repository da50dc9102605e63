//! What was given back or used is so, once, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Id, Judge, parse_id};
use crate::request::Asked;

impl Judge<'_> {
    pub(super) fn what_came_after_is_so(&mut self) {
        let evidence = self.evidence;
        let mut asked_back = BTreeSet::new();
        let mut used: BTreeMap<Id, (u32, u32)> = BTreeMap::new();
        for event in &evidence.events {
            match &event.asked {
                Asked::GiveBack { claim } => drop(parse_id(claim).map(|id| asked_back.insert(id))),
                Asked::Redeem { claim, .. } => {
                    if let Some(id) = parse_id(claim) {
                        let (asked, confirmed) = used.entry(id).or_default();
                        *asked += 1;
                        *confirmed += u32::from(event.status() == 200);
                    }
                }
                _ => {}
            }
        }
        for row in &evidence.rows {
            let id = (row.generation, row.number);
            let given_back = self.promises.get(&id).and_then(|promise| promise.given_back);
            let (asked, confirmed) = used.get(&id).copied().unwrap_or_default();
            let is_covered =
                |at: Duration| evidence.losses.iter().all(|loss| at > loss.rebuilt_at || loss.ended.contains(&id));
            if given_back.is_some_and(is_covered) && !row.is_given_back {
                self.say(format!("invariant 6: the give-back of {id:?} was confirmed, and its row is live"));
            }
            if row.is_given_back && !asked_back.contains(&id) {
                self.say(format!("invariant 6: {id:?} was given back, and nobody asked for that"));
            }
            if confirmed > 0 && !row.is_redeemed && !self.forgot() {
                self.say(format!("invariant 6: the coupon of {id:?} was used, and its row does not know"));
            }
            if confirmed > 1 && !self.forgot() {
                self.say(format!("invariant 6: doubled: the coupon of {id:?} was used {confirmed} times"));
            }
            if row.is_redeemed && (asked == 0 || row.is_given_back) {
                self.say(format!(
                    "invariant 6: {id:?} is redeemed: asked for {asked} times, given back: {}",
                    row.is_given_back
                ));
            }
        }
    }
}

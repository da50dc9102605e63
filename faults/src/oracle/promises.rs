//! Each 201 is one row, each number is one unit, each key has one answer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::{Id, Judge, parse_id};
use crate::history::Event;
use crate::request::Asked;

/// A unit that a client was promised.
pub(super) struct Promise<'a> {
    pub(super) event: &'a Event,
    pub(super) id: Id,
    pub(super) coupon: &'a str,
    pub(super) key: Option<&'a str>,
    /// When its attempt was sent first.
    pub(super) asked: Duration,
    /// When a client first heard of it.
    pub(super) heard: Duration,
    /// When its give-back was first asked for, and first confirmed.
    pub(super) giving_back: Option<Duration>,
    pub(super) given_back: Option<Duration>,
}

impl<'a> Judge<'a> {
    pub(super) fn collect_promises(&mut self) {
        let mut of_key: HashMap<(&str, &str), Id> = HashMap::new();
        let mut first_sent: HashMap<(&str, &str), Duration> = HashMap::new();
        let mut first_answers: HashMap<(&str, &str), u32> = HashMap::new();
        for (event, key) in self.claims() {
            if let Some(key) = key {
                let sent = first_sent.entry((&event.user, key)).or_insert(event.sent);
                *sent = event.sent.min(*sent);
            }
        }
        for (event, key) in self.claims().filter(|(event, _)| event.status() == 201) {
            let Some(answer) = &event.answer else { continue };
            let Some(id) = parse_id(answer.text("claim_id")) else {
                self.say(format!("invariant 3: a claim without an id: {answer:?}"));
                continue;
            };
            if answer.text("user_id") != event.user {
                self.say(format!("invariant 4: {} was given the claim of another: {answer:?}", event.user));
            }
            let asked = key.map_or(event.sent, |key| first_sent[&(event.user.as_str(), key)]);
            if let Some(key) = key {
                let name = (event.user.as_str(), key);
                let known = *of_key.entry(name).or_insert(id);
                if known != id && !self.is_uncovered(known, asked) {
                    self.say(format!(
                        "invariant 5: {} was given {known:?} and {id:?} for the same key {key}",
                        event.user
                    ));
                }
                let firsts = first_answers.entry(name).or_default();
                *firsts += u32::from(!answer.replayed);
                if *firsts == 2 && !self.is_uncovered(known, asked) {
                    self.say(format!("invariant 5: two answers to the key {key} of {} were no replay", event.user));
                }
            }
            let (coupon, heard) = (answer.text("coupon_code"), event.heard);
            self.add(Promise { event, id, coupon, key, asked, heard, giving_back: None, given_back: None });
        }
        for event in &self.evidence.events {
            let Asked::GiveBack { claim } = &event.asked else { continue };
            let Some(promise) = parse_id(claim).and_then(|id| self.promises.get_mut(&id)) else { continue };
            let earlier = |known: Option<Duration>, now| Some(known.map_or(now, |known| known.min(now)));
            promise.giving_back = earlier(promise.giving_back, event.sent);
            if event.status() == 200 {
                promise.given_back = earlier(promise.given_back, event.heard);
            }
        }
    }

    fn add(&mut self, promise: Promise<'a>) {
        let (id, event) = (promise.id, promise.event);
        let owner = |claimed: &BTreeMap<Id, String>| claimed.get(&id).filter(|owner| **owner != event.user).cloned();
        if let Some((loss, owner)) = self.evidence.losses.iter().find_map(|loss| Some((loss, owner(&loss.claimed)?))) {
            self.say(format!(
                "invariant 1: unit {id:?} was sold twice: Kafka had it as {owner}'s when Redis lost it at {:?}, and {} was \
                 told 201 at {:?}",
                loss.at, event.user, event.heard
            ));
        }
        let Some(known) = self.promises.get(&id) else {
            self.promises.insert(id, promise);
            return;
        };
        let is_same = known.event.user == event.user && known.key == promise.key && promise.key.is_some();
        let (same_coupon, before) = (known.coupon == promise.coupon, known.event);
        if is_same {
            if !same_coupon {
                self.say(format!("invariant 5: number {id:?} has two coupons"));
            }
            if let Some(known) = self.promises.get_mut(&id) {
                known.heard = known.heard.min(event.heard);
            }
        } else if !self.forgot() {
            self.say(format!("invariant 3: number {id:?} was given to {} and to {}", before.user, event.user));
        } else if self.is_known(id, before) || !self.is_uncovered(id, before.sent) {
            self.say(format!(
                "invariant 1: unit {id:?} was sold twice: {} was told 201 at {:?} by a node that still lives, and {} at {:?}",
                before.user, before.heard, event.user, event.heard
            ));
        } else {
            // Nobody knew of the first one any more.
            self.promises.insert(id, promise);
        }
    }

    pub(super) fn promises_are_rows(&mut self) {
        let rows: HashMap<_, _> = self.evidence.rows.iter().map(|row| ((row.generation, row.number), row)).collect();
        let mut wrong = Vec::new();
        for (id, promise) in &self.promises {
            let user = &promise.event.user;
            match rows.get(id) {
                None if self.is_uncovered(*id, promise.asked) => {}
                None => wrong.push(format!(
                    "invariant 6: promised and not issued: {user} was promised {id:?}, and there is no row of it: {:?}",
                    promise.event
                )),
                Some(row) if row.user != *user && self.is_uncovered(*id, promise.asked) => {}
                Some(row) if row.user != *user => {
                    wrong.push(format!(
                        "invariant 6: promised and not issued: {user} was promised {id:?}, and it is {}'s",
                        row.user
                    ));
                }
                Some(row) if !row.is_claimed => {
                    wrong.push(format!("invariant 6: the row of {id:?} knows no claim"));
                }
                Some(_) => {}
            }
        }
        for (id, user) in self.evidence.losses.iter().flat_map(|loss| &loss.claimed) {
            if rows.get(id).is_none_or(|row| row.user != *user) {
                let row = rows.get(id).map(|row| &row.user);
                wrong.push(format!(
                    "invariant 7: Kafka had {id:?} as {user}'s when Redis lost it, and its row at the end is {row:?}"
                ));
            }
        }
        self.wrong.extend(wrong);
        if self.evidence.set_aside > 0 {
            self.say(format!("invariant 7: {} facts contradict others or could not be read", self.evidence.set_aside));
        }
        let generations = self.evidence.generations;
        // A rebuild that was killed when it had finished may not have said so, and one may have died with a new one.
        if generations.killed > 1 && generations.last > generations.finished + 3 {
            self.say(format!("invariant 3: rebuilds that fail burn generations: {generations:?}"));
        }
    }

    pub(super) fn rows_are_explained(&mut self) {
        let evidence = self.evidence;
        let (mut ids, mut attempts) = (BTreeSet::new(), BTreeSet::new());
        let mut per_user: BTreeMap<&str, i64> = BTreeMap::new();
        for row in &evidence.rows {
            if !ids.insert((row.generation, row.number)) {
                self.say(format!(
                    "invariant 3: doubled: number {} of generation {} has two rows",
                    row.number, row.generation
                ));
            }
            if !attempts.insert((&row.user, &row.attempt)) {
                self.say(format!("invariant 4: doubled: one attempt of {} has two numbers", row.user));
            }
            *per_user.entry(&row.user).or_default() += 1;
        }
        let highest = evidence.rows.iter().map(|row| row.number).max().unwrap_or(0);
        if !self.forgot() && highest != ids.len() as u64 {
            self.say(format!("invariant 3: the numbers go up to {highest}, and there are {} of them", ids.len()));
        }
        // A row that nobody was told of comes of an attempt whose outcome nobody was told.
        let unknown = self.unknown_attempts();
        for (user, rows) in per_user {
            let promised = self.promises.values().filter(|promise| promise.event.user == user);
            let promised = i64::try_from(promised.filter(|promise| ids.contains(&promise.id)).count()).unwrap_or(0);
            let untold = unknown.get(user).map_or(0, |sent| i64::try_from(sent.len()).unwrap_or(0));
            if rows - promised > untold {
                self.say(format!(
                    "invariant 6: doubled: {user} has {rows} rows, was promised {promised}, and {untold} outcomes are unknown"
                ));
            }
        }
    }
}

//! What happened? Everything that anybody was told, held against everything that all others were told.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::answer::{Claim, Meaning};
use crate::settings::{Scenario, Settings};
use crate::users::User;

/// How many of the wrong things are written out.
const SHOWN_MAX: usize = 20;

/// The records of one run.
pub(crate) struct Records {
    /// What a user may hear who asks for a unit, with a new key or without one.
    may_hear: Vec<&'static str>,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    totals: Totals,
    users: HashSet<String>,
    numbers: HashSet<u64>,
    coupon_codes: HashSet<String>,
    /// Users and the number of the claim that they hold.
    holders: HashMap<String, u64>,
}

/// What the records come to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    /// Visits that were made.
    pub(crate) visits: u64,
    /// Users who came at least once.
    pub(crate) users: u64,
    /// Claims that were granted, and the highest of their numbers.
    pub(crate) granted: u64,
    pub(crate) highest: u64,
    /// Claims of which the give-back was confirmed.
    pub(crate) given_back: u64,
    /// Answers by what they meant.
    pub(crate) said: BTreeMap<&'static str, u64>,
    /// What was not as it must be: how often, and the first of it.
    pub(crate) wrong: u64,
    pub(crate) shown: Vec<String>,
}

impl Records {
    /// Empty ones.
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut may_hear = vec!["granted"];
        if settings.stock() < settings.users() {
            may_hear.push("sold_out");
        }
        if settings.users() < settings.visits() {
            may_hear.push("limit_reached");
        }
        if settings.scenario == Scenario::SoldOut {
            may_hear = vec!["sold_out"];
        }
        Self { may_hear, entries: Mutex::default() }
    }

    /// What a user may hear who asks for a unit, with a new key or without one.
    pub(crate) fn may_hear(&self) -> &[&'static str] {
        &self.may_hear
    }

    /// A user comes.
    pub(crate) fn comes(&self, user: &User) {
        let mut entries = self.entries();
        entries.totals.visits += 1;
        if entries.users.insert(user.name.clone()) {
            entries.totals.users += 1;
        }
    }

    /// A user who asked for a unit was told this.
    pub(crate) fn told(&self, user: &User, meaning: &Meaning, allowed: &[&'static str]) {
        let word = meaning.word();
        if !allowed.contains(&word) {
            self.wrong(format!("{} was not to hear {word}: {meaning:?}", user.name));
        }
        self.note(word);
        if let Meaning::Granted(claim) = meaning {
            self.granted(user, claim);
        }
    }

    fn granted(&self, user: &User, claim: &Claim) {
        let mut entries = self.entries();
        entries.totals.granted += 1;
        entries.totals.highest = entries.totals.highest.max(claim.number);
        let number_is_new = entries.numbers.insert(claim.number);
        let code_is_new = entries.coupon_codes.insert(claim.coupon_code.clone());
        let before = entries.holders.insert(user.name.clone(), claim.number);
        drop(entries);
        self.must(number_is_new, || format!("the number {} was granted twice", claim.number));
        self.must(code_is_new, || format!("the coupon code {} was granted twice", claim.coupon_code));
        self.must(before.is_none(), || format!("{} was granted {before:?} and {}", user.name, claim.number));
    }

    /// A user is about to give a unit back. From now on another may be granted: its answer may be here before this one's.
    pub(crate) fn gives_back(&self, user: &User) {
        self.entries().holders.remove(&user.name);
    }

    /// The give-back was confirmed, for the first time.
    pub(crate) fn given_back(&self) {
        self.note("given_back");
        self.entries().totals.given_back += 1;
    }

    /// An answer of this kind came.
    pub(crate) fn note(&self, word: &'static str) {
        *self.entries().totals.said.entry(word).or_default() += 1;
    }

    /// Something is wrong unless it holds. Whether it does.
    pub(crate) fn must(&self, holds: bool, text: impl FnOnce() -> String) -> bool {
        if !holds {
            self.wrong(text());
        }
        holds
    }

    /// Something is not as it must be.
    pub(crate) fn wrong(&self, text: String) {
        let totals = &mut self.entries().totals;
        totals.wrong += 1;
        if totals.shown.len() < SHOWN_MAX {
            totals.shown.push(text);
        }
    }

    /// What they come to.
    pub(crate) fn totals(&self) -> Totals {
        self.entries().totals.clone()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn records(scenario: &str) -> Records {
        let words =
            format!("goose-load {scenario} --url http://[::1] --hs256-secret s --operator-token t --users 1000");
        Records::new(&Settings::parse_from(words.split(' ')))
    }

    fn user(name: &str) -> User {
        User { name: name.to_owned(), token: String::new(), visit: 0 }
    }

    fn granted(number: u64) -> Meaning {
        Meaning::Granted(Claim { id: format!("c.1.{number}"), number, coupon_code: format!("code {number}") })
    }

    fn wrong(records: &Records) -> Vec<String> {
        records.totals().shown
    }

    #[test]
    fn a_number_and_a_code_that_two_users_were_given_are_wrong() {
        let records = records("plenty");
        records.told(&user("alice"), &granted(1), &["granted"]);
        assert_eq!(wrong(&records), Vec::<String>::new());
        records.told(&user("bob"), &granted(1), &["granted"]);
        assert_eq!(wrong(&records), ["the number 1 was granted twice", "the coupon code code 1 was granted twice"]);
    }

    #[test]
    fn a_second_unit_is_wrong_until_the_first_is_given_back() {
        let records = records("trickle");
        let alice = user("alice");
        records.told(&alice, &granted(1), &["granted"]);
        records.gives_back(&alice);
        records.told(&alice, &granted(2), &["granted"]);
        assert_eq!(wrong(&records), Vec::<String>::new());
        records.told(&alice, &granted(3), &["granted"]);
        assert_eq!(wrong(&records), ["alice was granted Some(2) and 3"]);
    }

    #[test]
    fn what_a_user_was_not_to_hear_is_wrong() {
        for (scenario, may_hear) in [("limited", true), ("plenty", false), ("sold_out", true), ("trickle", false)] {
            let records = records(scenario);
            records.told(&user("alice"), &Meaning::SoldOut, records.may_hear());
            assert_eq!(records.totals().wrong == 0, may_hear, "{scenario}");
        }
        let records = records("sold_out");
        records.told(&user("alice"), &granted(1), records.may_hear());
        assert_eq!(records.totals().wrong, 1);
    }
}

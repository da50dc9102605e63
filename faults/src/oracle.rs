//! Was every promise kept? Judged from what the clients saw and from the rows at the end, and from nothing else.
//!
//! Every statement here is conservative: where the clients cannot know, it is taken for right.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::history::{Asked, Event};

/// A node may remember for so long that nothing is left; twice that, since it need not have answered at once.
const REMEMBERED: Duration = Duration::from_millis(300);

/// A row of the claims.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// The generation.
    pub generation: u64,
    /// The number.
    pub number: u64,
    /// Whose it is.
    pub user: String,
    /// The attempt that made it.
    pub attempt: String,
    /// Whether the fact of the claim itself has arrived.
    pub is_claimed: bool,
    /// Whether it was given back.
    pub is_given_back: bool,
    /// Whether its coupon was used.
    pub is_redeemed: bool,
}

/// When Redis forgot, and what the database knew just before: nothing more is covered until then.
#[derive(Debug, Clone)]
pub struct Loss {
    /// When.
    pub at: Duration,
    /// When the campaign was rebuilt.
    pub rebuilt_at: Duration,
    /// Generation and number of the rows there were.
    pub rows: BTreeSet<(u64, u64)>,
}

/// What there is to judge by.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Units that a user may hold.
    pub limit: usize,
    /// Units at first.
    pub stock: u64,
    /// What the clients saw.
    pub events: Vec<Event>,
    /// The rows at the end.
    pub rows: Vec<Row>,
    /// The stock at the end, by the campaign's row.
    pub stock_at_last: u64,
    /// Facts that contradict others, and records that could not be read.
    pub set_aside: i64,
    /// If Redis forgot.
    pub loss: Option<Loss>,
}

/// A unit that a client was promised.
struct Promise<'a> {
    event: &'a Event,
    id: (u64, u64),
    coupon: &'a str,
    key: Option<&'a str>,
    /// When its attempt was sent first.
    asked: Duration,
    /// When a client first heard of it.
    heard: Duration,
    /// When its give-back was first asked for, and first confirmed.
    giving_back: Option<Duration>,
    given_back: Option<Duration>,
}

/// Everything that contradicts the promises; nothing, if they were kept.
#[must_use]
pub fn judge(evidence: &Evidence) -> Vec<String> {
    let mut judge = Judge { evidence, promises: BTreeMap::new(), wrong: Vec::new() };
    judge.collect_promises();
    judge.promises_are_rows();
    judge.rows_are_explained();
    judge.stock_is_kept();
    judge.limits_are_kept();
    judge.what_came_after_is_so();
    judge.refusals_are_right();
    judge.wrong
}

struct Judge<'a> {
    evidence: &'a Evidence,
    promises: BTreeMap<(u64, u64), Promise<'a>>,
    wrong: Vec<String>,
}

impl<'a> Judge<'a> {
    fn say(&mut self, what: String) {
        self.wrong.push(what);
    }

    fn claims(&self) -> impl Iterator<Item = (&'a Event, Option<&'a str>)> + use<'a> {
        self.evidence.events.iter().filter_map(|event| match &event.asked {
            Asked::Claim { key } => Some((event, key.as_deref())),
            _ => None,
        })
    }

    /// Whether this was heard before Redis forgot, and was not a row by then: nothing covers it.
    fn is_uncovered(&self, id: (u64, u64), asked: Duration) -> bool {
        self.evidence.loss.as_ref().is_some_and(|loss| asked <= loss.rebuilt_at && !loss.rows.contains(&id))
    }

    fn collect_promises(&mut self) {
        let mut of_key: HashMap<(&str, &str), (u64, u64)> = HashMap::new();
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
                self.say(format!("a claim without an id: {answer:?}"));
                continue;
            };
            if answer.text("user_id") != event.user {
                self.say(format!("{} was given the claim of another: {answer:?}", event.user));
            }
            let asked = key.map_or(event.sent, |key| first_sent[&(event.user.as_str(), key)]);
            if let Some(key) = key {
                let name = (event.user.as_str(), key);
                let known = *of_key.entry(name).or_insert(id);
                if known != id && !self.is_uncovered(known, asked) {
                    self.say(format!("{} was given {known:?} and {id:?} for the same key {key}", event.user));
                }
                let firsts = first_answers.entry(name).or_default();
                *firsts += u32::from(!answer.replayed);
                if *firsts == 2 && !self.is_uncovered(known, asked) {
                    self.say(format!("two answers to the key {key} of {} were no replay", event.user));
                }
            }
            let promise = Promise {
                event,
                id,
                coupon: answer.text("coupon_code"),
                key,
                asked,
                heard: event.heard,
                giving_back: None,
                given_back: None,
            };
            match self.promises.get_mut(&id) {
                None => drop(self.promises.insert(id, promise)),
                Some(known) => {
                    known.heard = known.heard.min(event.heard);
                    let is_same = known.event.user == event.user && known.key == key && key.is_some();
                    let (same_coupon, other) = (known.coupon == promise.coupon, known.event.user.clone());
                    if !is_same {
                        self.say(format!("number {id:?} was given to {other} and to {}", event.user));
                    } else if !same_coupon {
                        self.say(format!("number {id:?} has two coupons"));
                    }
                }
            }
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

    fn promises_are_rows(&mut self) {
        let rows: HashMap<_, _> = self.evidence.rows.iter().map(|row| ((row.generation, row.number), row)).collect();
        let mut wrong = Vec::new();
        for (id, promise) in &self.promises {
            let user = &promise.event.user;
            match rows.get(id) {
                None if self.is_uncovered(*id, promise.asked) => {}
                None => {
                    wrong.push(format!("{user} was promised {id:?}, and there is no row of it: {:?}", promise.event));
                }
                Some(row) if row.user != *user => {
                    wrong.push(format!("{user} was promised {id:?}, and it is {}'s", row.user));
                }
                Some(row) if !row.is_claimed => wrong.push(format!("the row of {id:?} knows no claim")),
                Some(_) => {}
            }
        }
        self.wrong.extend(wrong);
        if self.evidence.set_aside > 0 {
            self.say(format!("{} facts contradict others or could not be read", self.evidence.set_aside));
        }
    }

    fn rows_are_explained(&mut self) {
        let evidence = self.evidence;
        let (mut ids, mut attempts) = (BTreeSet::new(), BTreeSet::new());
        let mut per_user: BTreeMap<&str, i64> = BTreeMap::new();
        for row in &evidence.rows {
            if !ids.insert((row.generation, row.number)) {
                self.say(format!("number {} of generation {} has two rows", row.number, row.generation));
            }
            if !attempts.insert((&row.user, &row.attempt)) {
                self.say(format!("one attempt of {} has two numbers", row.user));
            }
            *per_user.entry(&row.user).or_default() += 1;
        }
        let highest = evidence.rows.iter().map(|row| row.number).max().unwrap_or(0);
        if evidence.loss.is_none() && highest != ids.len() as u64 {
            self.say(format!("the numbers go up to {highest}, and there are {} of them", ids.len()));
        }
        // A row that nobody was told of comes of an attempt whose outcome nobody was told.
        let unknown = self.unknown_attempts();
        for (user, rows) in per_user {
            let promised = self.promises.values().filter(|promise| promise.event.user == user);
            let promised = i64::try_from(promised.filter(|promise| ids.contains(&promise.id)).count()).unwrap_or(0);
            let untold = unknown.get(user).map_or(0, |sent| i64::try_from(sent.len()).unwrap_or(0));
            if rows - promised > untold {
                self.say(format!("{user} has {rows} rows, was promised {promised}, and {untold} outcomes are unknown"));
            }
        }
    }

    /// When each attempt was first sent that may have taken a unit without anyone's being told, by user.
    fn unknown_attempts(&self) -> HashMap<&'a str, Vec<Duration>> {
        let mut told = BTreeSet::new();
        let mut unknown: BTreeMap<(&str, String), Duration> = BTreeMap::new();
        for (place, (event, key)) in self.claims().enumerate() {
            let attempt = (event.user.as_str(), key.map_or_else(|| format!("\0{place}"), str::to_owned));
            if event.status() == 201 {
                told.insert(attempt);
            } else if event.is_unknown() {
                let sent = unknown.entry(attempt).or_insert(event.sent);
                *sent = event.sent.min(*sent);
            }
        }
        let mut by_user: HashMap<&str, Vec<Duration>> = HashMap::new();
        for (attempt, sent) in unknown {
            // After a loss even an attempt that was told may have been decided again.
            if self.evidence.loss.is_some() || !told.contains(&attempt) {
                by_user.entry(attempt.0).or_default().push(sent);
            }
        }
        by_user
    }

    fn stock_is_kept(&mut self) {
        let evidence = self.evidence;
        let live = evidence.rows.iter().filter(|row| !row.is_given_back).count() as u64;
        if live > evidence.stock_at_last {
            self.say(format!("oversold: {live} live rows of {} units", evidence.stock_at_last));
        }
        let asked = evidence.events.iter().filter_map(|event| match event.asked {
            Asked::Raise { stock } => Some((event.sent, stock, event.status())),
            _ => None,
        });
        let highest = asked.clone().map(|(_, stock, _)| stock).chain([evidence.stock]).max().unwrap_or(0);
        let confirmed = asked.clone().filter(|raise| raise.2 == 200).map(|(_, stock, _)| stock).max().unwrap_or(0);
        if evidence.stock_at_last < confirmed || evidence.stock_at_last > highest {
            self.say(format!("the stock is {}, confirmed were {confirmed}", evidence.stock_at_last));
        }
        if evidence.loss.is_some() {
            return;
        }
        // At each moment: what clients certainly held, and what there can have been.
        let mut changes = Vec::new();
        for promise in self.promises.values() {
            changes.push((promise.heard, 1));
            changes.extend(promise.giving_back.map(|at| (at, -1)));
        }
        changes.sort_unstable();
        let mut held = 0;
        for (at, change) in changes {
            held += change;
            let raised = asked.clone().filter(|raise| raise.0 <= at).map(|(_, stock, _)| stock).max().unwrap_or(0);
            let most = raised.max(evidence.stock);
            if held > i64::try_from(most).unwrap_or(i64::MAX) {
                return self.say(format!("oversold at {at:?}: clients held {held} of at most {most} units"));
            }
        }
    }

    fn limits_are_kept(&mut self) {
        let limit = i64::try_from(self.evidence.limit).unwrap_or(i64::MAX);
        let mut live: BTreeMap<&str, i64> = BTreeMap::new();
        for row in self.evidence.rows.iter().filter(|row| !row.is_given_back) {
            *live.entry(&row.user).or_default() += 1;
        }
        for (user, live) in live.into_iter().filter(|(_, live)| *live > limit) {
            self.say(format!("{user} holds {live} live rows, the limit is {limit}"));
        }
        if self.evidence.loss.is_some() {
            return;
        }
        let mut changes: BTreeMap<&str, Vec<(Duration, i64)>> = BTreeMap::new();
        for promise in self.promises.values() {
            let of_user = changes.entry(&promise.event.user).or_default();
            of_user.push((promise.heard, 1));
            of_user.extend(promise.giving_back.map(|at| (at, -1)));
        }
        for (user, mut changes) in changes {
            changes.sort_unstable();
            let mut held = 0;
            for (at, change) in changes {
                held += change;
                if held > limit {
                    self.say(format!("{user} held {held} units at {at:?}, the limit is {limit}"));
                }
            }
        }
    }

    fn what_came_after_is_so(&mut self) {
        let evidence = self.evidence;
        let mut asked_back = BTreeSet::new();
        let mut used: BTreeMap<(u64, u64), (u32, u32)> = BTreeMap::new();
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
                Asked::Claim { .. } | Asked::Raise { .. } => {}
            }
        }
        for row in &evidence.rows {
            let id = (row.generation, row.number);
            let given_back = self.promises.get(&id).and_then(|promise| promise.given_back);
            let (asked, confirmed) = used.get(&id).copied().unwrap_or_default();
            let is_covered = |at: Duration| evidence.loss.as_ref().is_none_or(|loss| at > loss.rebuilt_at);
            if given_back.is_some_and(is_covered) && !row.is_given_back {
                self.say(format!("the give-back of {id:?} was confirmed, and its row is live"));
            }
            if row.is_given_back && !asked_back.contains(&id) {
                self.say(format!("{id:?} was given back, and nobody asked for that"));
            }
            if confirmed > 0 && !row.is_redeemed && evidence.loss.is_none() {
                self.say(format!("the coupon of {id:?} was used, and its row does not know"));
            }
            if confirmed > 1 && evidence.loss.is_none() {
                self.say(format!("the coupon of {id:?} was used {confirmed} times"));
            }
            if row.is_redeemed && (asked == 0 || row.is_given_back) {
                self.say(format!("{id:?} is redeemed: asked for {asked} times, given back: {}", row.is_given_back));
            }
        }
    }

    fn refusals_are_right(&mut self) {
        let unknown = self.unknown_attempts();
        let held = self.possibly_held(&unknown);
        let mut wrong = Vec::new();
        for event in &self.evidence.events {
            let code = event.answer.as_ref().map_or("", |answer| answer.code());
            let is_right = match (&event.asked, event.status(), code) {
                (_, 0, _)
                | (_, 503, "unavailable")
                | (Asked::Claim { .. }, 201, _)
                | (Asked::GiveBack { .. } | Asked::Redeem { .. } | Asked::Raise { .. }, 200, _) => true,
                (Asked::Claim { .. }, 409, "sold_out") => self.may_be_sold_out(event, &held),
                (Asked::Claim { .. }, 409, "limit_reached") => self.may_be_at_the_limit(event, &unknown),
                (Asked::Redeem { claim, .. }, 409, "already_redeemed") => self.may_be_redeemed(event, claim),
                // What a loss took away is not there.
                (Asked::GiveBack { .. } | Asked::Redeem { .. }, 404, _) => self.evidence.loss.is_some(),
                _ => false,
            };
            if !is_right {
                wrong.push(format!("a wrong answer: {event:?}"));
            }
        }
        self.wrong.extend(wrong);
    }

    /// For each row the time in which its unit may have been held.
    fn possibly_held(&self, unknown: &HashMap<&str, Vec<Duration>>) -> Vec<(Duration, Duration)> {
        let interval = |row: &Row| {
            if let Some(promise) = self.promises.get(&(row.generation, row.number)) {
                return (promise.asked, promise.given_back.unwrap_or(Duration::MAX));
            }
            let earliest = unknown.get(row.user.as_str()).and_then(|sent| sent.iter().min());
            (earliest.copied().unwrap_or(Duration::ZERO), Duration::MAX)
        };
        self.evidence.rows.iter().map(interval).collect()
    }

    /// Wrong if a unit was certainly free all the time, and somewhat longer.
    fn may_be_sold_out(&self, event: &Event, held: &[(Duration, Duration)]) -> bool {
        let since = event.sent.saturating_sub(REMEMBERED);
        let raises = self.evidence.events.iter().filter_map(|event| match event.asked {
            Asked::Raise { stock } if event.status() == 200 && event.heard <= since => Some(stock),
            _ => None,
        });
        let stock = raises.chain([self.evidence.stock]).max().unwrap_or(0);
        let taken = held.iter().filter(|(from, to)| *from <= event.heard && *to >= since).count() as u64;
        taken >= stock || self.evidence.loss.is_some()
    }

    /// Wrong if the user cannot have held so many.
    fn may_be_at_the_limit(&self, event: &Event, unknown: &HashMap<&str, Vec<Duration>>) -> bool {
        let promised = self.promises.values().filter(|promise| {
            promise.event.user == event.user
                && promise.asked <= event.heard
                && promise.given_back.is_none_or(|at| at >= event.sent)
        });
        let untold = unknown.get(event.user.as_str()).into_iter().flatten().filter(|sent| **sent <= event.heard);
        promised.count() + untold.count() >= self.evidence.limit || self.evidence.loss.is_some()
    }

    /// Wrong if nobody had asked for it before.
    fn may_be_redeemed(&self, event: &Event, claim: &str) -> bool {
        self.evidence.events.iter().any(|other| {
            matches!(&other.asked, Asked::Redeem { claim: of, .. } if of == claim)
                && other.sent < event.sent
                && (other.is_unknown() || other.status() == 200)
        })
    }
}

/// Generation and number of a claim's id.
fn parse_id(claim: &str) -> Option<(u64, u64)> {
    let mut parts = claim.rsplitn(3, '.');
    let (number, generation) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((generation, number))
}

#[cfg(test)]
mod tests;

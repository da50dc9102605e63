//! Was every promise kept? Judged from what the clients saw, from the rows at the end, from what Kafka had when Redis lost
//! something, and from nothing else.
//!
//! Every statement here is conservative: where the clients cannot know, it is taken for right. Each complaint names the
//! invariant that is broken, and says what was seen.

mod after;
pub mod operators;
mod promises;
mod reads;
mod refusals;
mod room;
mod stock;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::history::Event;
use crate::request::Asked;
use promises::Promise;

/// Generation and number.
pub type Id = (u64, u64);

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

/// When Redis forgot, and what Kafka had acknowledged just then: nothing more is covered.
#[derive(Debug, Clone, Default)]
pub struct Loss {
    /// When it died.
    pub at: Duration,
    /// When it was there again.
    pub back_at: Duration,
    /// When the campaign was rebuilt.
    pub rebuilt_at: Duration,
    /// The claims, and whose they were.
    pub claimed: BTreeMap<Id, String>,
    /// The claims that were given back or used.
    pub ended: BTreeSet<Id>,
}

/// A node that could not do what it should for a while.
#[derive(Debug, Clone, Copy)]
pub struct Disturbed {
    /// Its place among those that answer.
    pub node: usize,
    /// From when.
    pub from: Duration,
    /// Until when.
    pub until: Duration,
}

/// What there is to judge one campaign by.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The campaign.
    pub campaign: String,
    /// Units that a user may hold.
    pub limit: usize,
    /// Units at first.
    pub stock: u64,
    /// The waiting room: so many in so many ms, and so many at a time.
    pub room: Option<(u64, u64, u64)>,
    /// What the clients saw.
    pub events: Vec<Event>,
    /// The rows at the end.
    pub rows: Vec<Row>,
    /// The stock at the end, by the campaign's row.
    pub stock_at_last: u64,
    /// Facts that contradict others, and records that could not be read.
    pub set_aside: i64,
    /// The generation at the end, and how many rebuilds of this campaign were finished and killed.
    pub generations: Generations,
    /// Each time that Redis forgot.
    pub losses: Vec<Loss>,
    /// Which nodes could not do what they should.
    pub disturbed: Vec<Disturbed>,
}

/// Generations that were used up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Generations {
    /// The last one; 0: unknown.
    pub last: u64,
    /// Rebuilds that said `done`.
    pub finished: u64,
    /// Rebuilds that were killed.
    pub killed: u64,
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
    judge.reads_are_answered();
    judge.admissions_are_within_cap_and_pace();
    let prefix = if evidence.campaign.is_empty() { String::new() } else { format!(" [{}]", evidence.campaign) };
    judge.wrong.into_iter().map(|wrong| format!("{wrong}{prefix}")).collect()
}

struct Judge<'a> {
    evidence: &'a Evidence,
    promises: BTreeMap<Id, Promise<'a>>,
    wrong: Vec<String>,
}

impl<'a> Judge<'a> {
    fn say(&mut self, what: String) {
        self.wrong.push(what);
    }

    fn claims(&self) -> impl Iterator<Item = (&'a Event, Option<&'a str>)> + use<'a> {
        self.evidence.events.iter().filter_map(|event| Some((event, event.claim()?)))
    }

    fn forgot(&self) -> bool {
        !self.evidence.losses.is_empty()
    }

    /// Whether this was asked for before Redis was back without it, and Kafka had not acknowledged it: nothing covers it.
    fn is_uncovered(&self, id: Id, asked: Duration) -> bool {
        self.evidence.losses.iter().any(|loss| asked <= loss.back_at && !loss.claimed.contains_key(&id))
    }

    /// Whether a node that answered so then still knew it when Redis came back, and could have said so.
    fn is_known(&self, id: Id, event: &Event) -> bool {
        self.evidence.losses.iter().filter(|loss| event.sent <= loss.back_at).all(|loss| {
            let lost_track = |disturbed: &Disturbed| {
                disturbed.node == event.node && disturbed.from <= loss.rebuilt_at && disturbed.until >= event.sent
            };
            loss.claimed.contains_key(&id) || !self.evidence.disturbed.iter().any(lost_track)
        })
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
            if self.forgot() || !told.contains(&attempt) {
                by_user.entry(attempt.0).or_default().push(sent);
            }
        }
        by_user
    }

    /// The stocks that an operator asked for: when it was sent and heard, the stock, and the status.
    fn raises(&self) -> impl Iterator<Item = (Duration, Duration, u64, u16)> + Clone + use<'a> {
        self.evidence.events.iter().filter_map(|event| match event.asked {
            Asked::Raise { stock } => Some((event.sent, event.heard, stock, event.status())),
            _ => None,
        })
    }
}

/// Generation and number of a claim's id.
pub(crate) fn parse_id(claim: &str) -> Option<Id> {
    let mut parts = claim.rsplitn(3, '.');
    let (number, generation) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((generation, number))
}

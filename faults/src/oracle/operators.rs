//! At the end every node knows every change, every campaign that nobody lost is open, and the database was not overrun.

use std::collections::BTreeMap;

use crate::history::Event;
use crate::request::{Asked, Edit};

/// A campaign by its row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definition {
    /// The name.
    pub name: String,
    /// The stock.
    pub stock: u64,
    /// No claims for a while.
    pub paused: bool,
    /// No claims any more.
    pub closed: bool,
}

/// What a node says of a campaign.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Which node.
    pub node: usize,
    /// The status of its answer.
    pub status: u16,
    /// The name.
    pub name: String,
    /// The stock.
    pub stock: u64,
    /// Its state.
    pub state: String,
}

/// What is there at the end.
#[derive(Debug, Default)]
pub struct End {
    /// The rows of campaigns.
    pub definitions: BTreeMap<String, Definition>,
    /// What nodes say of them.
    pub views: BTreeMap<String, Vec<View>>,
    /// Facts in the busiest second by the database's clock, and how many it may be.
    pub busiest_second: u64,
    /// See [`Self::busiest_second`].
    pub rows_per_second_max: u64,
    /// Whether Redis lost something in this run.
    pub lost: bool,
}

impl Definition {
    /// Why a node that says so does not know this; `None`: it does.
    #[must_use]
    pub fn unknown_to(&self, view: &View) -> Option<String> {
        if view.status != 200 || view.state == "unavailable" {
            return None;
        }
        let state_is_right = match (self.closed, self.paused) {
            (true, _) => view.state == "closed",
            (false, true) => view.state == "paused",
            (false, false) => view.state == "open" || view.state == "sold_out",
        };
        let is_known = view.name == self.name && view.stock == self.stock && state_is_right;
        (!is_known).then(|| format!("node {} says {view:?}", view.node))
    }
}

/// Everything that contradicts what operators were promised.
#[must_use]
pub fn judge_operators(end: &End, events: &[Event]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, definition) in &end.definitions {
        for view in end.views.get(id).into_iter().flatten() {
            if view.status == 404 {
                wrong.push(format!("operators: node {} does not know that {id} was made", view.node));
            } else if view.status != 200 || view.state == "unavailable" {
                let why = if end.lost { "although it was rebuilt" } else { "although nobody lost it" };
                wrong.push(format!("open again: {id} is not, {why}: node {} answers {view:?}", view.node));
            } else if let Some(unknown) = definition.unknown_to(view) {
                wrong.push(format!("operators: a change of {id} is unknown: its row is {definition:?}, {unknown}"));
            }
        }
        wrong.extend(unconfirmed(id, definition, events));
    }
    if end.busiest_second > end.rows_per_second_max {
        wrong.push(format!(
            "invariant 8: the database received {} facts in a second, {} are the most",
            end.busiest_second, end.rows_per_second_max
        ));
    }
    wrong
}

/// A change that was confirmed is in the row, unless a later one took its place.
fn unconfirmed(id: &str, definition: &Definition, events: &[Event]) -> Vec<String> {
    let mut names = vec![("A rush".to_owned(), true)];
    let (mut paused, mut closed) = (vec![(false, true)], vec![(false, true)]);
    let mut of_campaign: Vec<&Event> = events.iter().filter(|event| event.campaign == id).collect();
    of_campaign.sort_by_key(|event| event.sent);
    for event in of_campaign {
        let confirmed = matches!(event.status(), 200 | 201);
        if !confirmed && !event.is_unknown() {
            continue;
        }
        match &event.asked {
            Asked::Edit(Edit::Rename { name }) => say(&mut names, name.clone(), confirmed),
            Asked::Edit(Edit::Pause) => say(&mut paused, true, confirmed),
            Asked::Edit(Edit::Resume) => say(&mut paused, false, confirmed),
            Asked::Edit(Edit::Close) => say(&mut closed, true, confirmed),
            _ => {}
        }
    }
    let mut wrong = Vec::new();
    for (is_right, what) in [
        (names.iter().any(|name| name.0 == definition.name), format!("its name may be {names:?}")),
        (paused.iter().any(|paused| paused.0 == definition.paused), format!("paused may be {paused:?}")),
        (closed.iter().any(|closed| closed.0 == definition.closed), format!("closed may be {closed:?}")),
    ] {
        if !is_right {
            wrong.push(format!("operators: {id} is {definition:?} by its row, and {what}"));
        }
    }
    wrong
}

/// What is confirmed takes the place of what was confirmed before. What is not may happen at any time, or never.
fn say<T>(possible: &mut Vec<(T, bool)>, now: T, confirmed: bool) {
    if confirmed {
        possible.retain(|(_, confirmed)| !confirmed);
    }
    possible.push((now, confirmed));
}

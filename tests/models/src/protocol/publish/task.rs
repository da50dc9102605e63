//! How does a version get from the row to everybody? `src/campaign/lifecycle.rs`.

use super::state::{Mark, State, Task};
use crate::protocol::rules::Rules;

/// A node publishes what the row says now, and knows it itself from then on.
pub(super) fn begin(next: &mut State, node: u8) {
    let (version, put_before) = (next.row.version, next.row.ever_put);
    let this = &mut next.nodes[usize::from(node)];
    this.version = this.version.max(version);
    if let Some(free) = next.tasks.iter_mut().find(|task| **task == Task::None) {
        *free = Task::Put { node, version, put_before };
    }
}

pub(super) const fn node(task: Task) -> Option<u8> {
    match task {
        Task::None => None,
        Task::Put { node, .. } | Task::Note { node, .. } | Task::Announce { node, .. } | Task::Mark { node, .. } => {
            Some(node)
        }
    }
}

pub(super) fn step(rules: &Rules, next: &mut State, at: u8) {
    let at = usize::from(at);
    let told_first = rules.told_before_marked;
    next.tasks[at] = match next.tasks[at] {
        Task::None => Task::None,
        // Not verified: it waits, or fails.
        task @ Task::Put { .. } if !next.is_verified => task,
        Task::Put { node, version, put_before } => put(rules, next, node, version, put_before),
        Task::Note { node, version } => {
            next.row.ever_put = true;
            if rules.row_before_armed {
                Task::Put { node, version, put_before: true }
            } else {
                after_put(told_first, node, version)
            }
        }
        Task::Announce { node, version } => {
            next.store.told += 1;
            if told_first { Task::Mark { node, version } } else { Task::None }
        }
        Task::Mark { node, version } => {
            next.row.published = next.row.published.max(version);
            if told_first { Task::None } else { Task::Announce { node, version } }
        }
    };
}

const fn after_put(told_first: bool, node: u8, version: u8) -> Task {
    if told_first { Task::Announce { node, version } } else { Task::Mark { node, version } }
}

/// `lua/campaign/put.lua`.
fn put(rules: &Rules, next: &mut State, node: u8, version: u8, put_before: bool) -> Task {
    let this = &mut next.nodes[usize::from(node)];
    let store = &mut next.store;
    let is_missing = store.mark == Mark::Nothing && !store.lost;
    if !put_before && this.known == Mark::Nothing && is_missing {
        store.mark = Mark::Made;
        store.version = version;
        store.armed = !rules.row_before_armed;
    } else {
        let known = if put_before { this.known.max(Mark::Made) } else { this.known };
        if !store.enter(known) {
            return Task::None;
        }
        store.version = store.version.max(version);
        store.armed |= put_before;
    }
    this.known = this.known.max(store.mark);
    if put_before { after_put(rules.told_before_marked, node, version) } else { Task::Note { node, version } }
}

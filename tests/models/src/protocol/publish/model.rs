//! What can happen, and what comes of it?

use stateright::{Model, Property};

use super::state::{Bounds, Mark, Node, State, Store, Task};
use super::{properties, task};
use crate::protocol::rules::Rules;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    /// The operator makes the campaign, or changes it, at a node.
    Change {
        node: u8,
    },
    /// Redis runs the script that puts a version, and one that says that the row knows of it.
    Put {
        task: u8,
    },
    /// The row learns that the campaign was put.
    NoteEverPut {
        task: u8,
    },
    /// All nodes are told.
    Announce {
        task: u8,
    },
    /// The row learns that they were.
    MarkPublished {
        task: u8,
    },
    /// Its caller hung up, or a store was away: it ends where it is.
    Fail {
        task: u8,
    },
    /// A node finds a row that is not published.
    Sweep {
        node: u8,
    },
    /// A node reads what has changed in the directory. Messages are never heard: who is told by one only knows sooner.
    Follow {
        node: u8,
    },
    /// Somebody reads the campaign at a node.
    Get {
        node: u8,
    },
    /// Somebody claims the one unit at a node.
    Claim {
        node: u8,
    },
    /// A node dies, and boots, with the database or without it.
    Die {
        node: u8,
        database: bool,
    },
    Sync,
    Lose {
        empty: bool,
    },
    FlushAll,
    /// A node verifies the incarnation.
    Lift,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Publish {
    pub(super) rules: Rules,
    pub(super) bounds: Bounds,
    /// Fewer states, and traces in which nodes and tasks may change their names from step to step.
    pub(super) names_do_not_matter: bool,
}

impl Model for Publish {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(self.bounds.troubles)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let has_room = state.tasks.iter().filter(|task| **task != Task::None).count() < self.bounds.tasks;
        for node in 0..2 {
            let this = &state.nodes[usize::from(node)];
            if state.row.version < self.bounds.versions && has_room {
                actions.push(Action::Change { node });
            }
            if self.rules.sweep && has_room && state.row.published < state.row.version && !state.store.lost {
                actions.push(Action::Sweep { node });
            }
            actions.push(Action::Follow { node });
            if this.version > 0 && state.is_verified {
                actions.extend([Action::Get { node }, Action::Claim { node }]);
            }
            if state.left.deaths > 0 {
                actions.extend([false, true].map(|database| Action::Die { node, database }));
            }
        }
        for (at, task) in (0..).zip(&state.tasks) {
            actions.push(match task {
                Task::None => continue,
                Task::Put { .. } => Action::Put { task: at },
                Task::Note { .. } => Action::NoteEverPut { task: at },
                Task::Announce { .. } => Action::Announce { task: at },
                Task::Mark { .. } => Action::MarkPublished { task: at },
            });
            if state.left.failures > 0 {
                actions.push(Action::Fail { task: at });
            }
        }
        if state.left.losses > 0 {
            actions.push(Action::Sync);
            actions.extend([false, true].map(|empty| Action::Lose { empty }));
        }
        if state.left.flushalls > 0 && state.store != Store::EMPTY {
            actions.push(Action::FlushAll);
        }
        if !state.is_verified {
            actions.push(Action::Lift);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        self.apply(&mut next, action);
        if self.names_do_not_matter {
            next = next.one_of_all();
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl Publish {
    /// Whether anything can happen that changes something.
    pub(super) fn is_over(&self, state: &State) -> bool {
        let mut actions = Vec::new();
        self.actions(state, &mut actions);
        actions.into_iter().all(|action| self.next_state(state, action).is_none())
    }

    fn apply(&self, next: &mut State, action: Action) {
        match action {
            Action::Change { node } => {
                next.row.version += 1;
                task::begin(next, node);
            }
            Action::Sweep { node } => task::begin(next, node),
            Action::Put { task }
            | Action::NoteEverPut { task }
            | Action::Announce { task }
            | Action::MarkPublished { task } => task::step(&self.rules, next, task),
            Action::Fail { task } => {
                next.left.failures -= 1;
                next.tasks[usize::from(task)] = Task::None;
            }
            Action::Follow { node } => self.follow(next, node),
            Action::Get { node } => {
                self.enter(next, node);
            }
            Action::Claim { node } => {
                if self.enter(next, node) && next.store.armed && next.store.mark == Mark::Made {
                    next.store.mark = Mark::Sold;
                    next.nodes[usize::from(node)].known = Mark::Sold;
                    next.sold += 1;
                }
            }
            Action::Die { node, database } => die(next, node, database),
            Action::Sync => next.log = next.store,
            Action::Lose { empty } => {
                next.left.losses -= 1;
                next.was_lost |= next.store.mark > if empty { Mark::Nothing } else { next.log.mark };
                next.store = if empty { Store::EMPTY } else { next.log };
                next.log = if next.left.losses > 0 { next.store } else { Store::EMPTY };
                next.incarnation += 1;
                next.is_verified = false;
            }
            Action::FlushAll => {
                next.left.flushalls -= 1;
                next.was_lost |= next.store.mark > Mark::Nothing;
                next.store = Store::EMPTY;
            }
            Action::Lift => self.lift(next),
        }
    }

    /// What every script does first: see `lua/prelude.lua`.
    fn enter(&self, next: &mut State, node: u8) -> bool {
        let known = next.nodes[usize::from(node)].known;
        if !self.rules.unknown_is_not_lost && next.store.mark == Mark::Nothing {
            next.store.lost = true;
        }
        let enters = next.store.enter(known);
        if enters {
            let this = &mut next.nodes[usize::from(node)];
            this.known = this.known.max(next.store.mark);
        }
        enters
    }

    fn follow(&self, next: &mut State, node: u8) {
        let (store, incarnation, is_verified) = (next.store, next.incarnation, next.is_verified);
        let this = &mut next.nodes[usize::from(node)];
        let is_anew = self.rules.read_anew && is_verified && this.read_of != incarnation;
        if is_anew {
            this.read_of = incarnation;
        }
        if is_anew || store.told < this.read_up_to {
            this.read_up_to = 0;
        }
        if store.told > this.read_up_to {
            this.version = this.version.max(store.version);
            this.known = this.known.max(store.mark);
            this.read_up_to = store.told;
        }
    }

    /// All that anyone knows is held against it; what it lacks of the row is put again; what was never told is told.
    fn lift(&self, next: &mut State) {
        let known = next.nodes.iter().map(|node| node.known).fold(next.recorded(), Mark::max);
        let row = next.row;
        let goes_on = next.store.enter(known);
        if self.rules.sweep_anew && row.ever_put {
            // One that was made and not armed yet is as old as that, although its version need not be.
            if goes_on {
                next.store.version = next.store.version.max(row.version);
                next.store.armed = true;
            }
            // Also what is not published yet: who announces it may have done so where it is gone, and be about to mark it.
            if next.store.told == 0 {
                next.store.told = 1;
            }
        }
        next.is_verified = true;
    }
}

fn die(next: &mut State, node: u8, database: bool) {
    next.left.deaths -= 1;
    for task in &mut next.tasks {
        if task::node(*task) == Some(node) {
            *task = Task::None;
        }
    }
    let is_known = database && next.row.ever_put;
    next.nodes[usize::from(node)] = Node {
        version: if is_known { next.row.version } else { 0 },
        known: if is_known { next.recorded() } else { Mark::Nothing },
        read_up_to: 0,
        read_of: 0,
    };
}

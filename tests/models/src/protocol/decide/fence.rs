//! How is another incarnation verified? `src/fence`.

use super::bounds::Bounds;
use super::model::Action;
use super::state::{Lift, Lost, State};
use crate::protocol::facts::{Facts, Mark};
use crate::protocol::rules::Rules;

/// What a node can do about an incarnation that it has met.
pub(super) fn actions(rules: &Rules, bounds: &Bounds, state: &State, node: u8, actions: &mut Vec<Action>) {
    let this = &state.nodes[usize::from(node)];
    // What is on its way to the incarnation that it has met is lost with it, or goes on to the next.
    if rules.no_resend && this.met != state.redis.incarnation {
        return;
    }
    let asks_kafka = rules.ask_kafka;
    let asks_tables = rules.ask_ledger || rules.ask_letters;
    match this.lift {
        Lift::No if this.met == state.redis.incarnation && !state.is_verified() => {
            let lifters = state.nodes.iter().filter(|node| node.met == this.met && node.lift != Lift::No).count();
            if lifters >= bounds.lifters || (rules.settle && !state.is_settled()) {
                return;
            }
            actions.push(match (asks_kafka, asks_tables) {
                (true, true) if rules.kafka_first => Action::AskKafka { node },
                (true, false) => Action::AskKafka { node },
                (_, true) => Action::AskTables { node },
                (false, false) => Action::MarkLost { node },
            });
        }
        Lift::No => {}
        Lift::AskedOne => actions.push(match (asks_kafka, asks_tables) {
            (true, true) if rules.kafka_first => Action::AskTables { node },
            (true, true) => Action::AskKafka { node },
            _ => Action::MarkLost { node },
        }),
        Lift::AskedBoth => actions.push(Action::MarkLost { node }),
        Lift::Marked => actions.push(Action::Load { node }),
    }
}

/// The node connects to the incarnation that is there, and holds what it has seen against it.
pub(super) fn meet(rules: &Rules, next: &mut State, node: u8) {
    let incarnation = next.redis.incarnation;
    let this = &mut next.nodes[usize::from(node)];
    this.met = incarnation;
    if rules.no_resend || this.lift != Lift::Marked {
        this.lift = Lift::No;
    }
    recall(rules, next, node);
}

/// `lua/campaign/recall.lua`, with the node's own marks.
pub(super) fn recall(rules: &Rules, next: &mut State, node: u8) {
    next.nodes[usize::from(node)].recalled = true;
    if rules.recall {
        hold(next, next.nodes[usize::from(node)].mark);
    }
}

fn hold(next: &mut State, mark: Mark) {
    let store = &mut next.redis.store;
    if store.lost == Lost::No && store.mark() < mark {
        store.lost = Lost::Behind;
    }
}

pub(super) fn ask_kafka(next: &mut State, node: u8) {
    let facts = next.ledger.kafka.without(next.ledger.passed);
    learn(next, node, facts);
}

pub(super) fn ask_tables(rules: &Rules, next: &mut State, node: u8) {
    let mut facts = Facts::NONE;
    if rules.ask_ledger {
        facts = facts.and(next.ledger.rows);
    }
    if rules.ask_letters {
        facts = facts.and(next.ledger.waiting);
        if rules.replayed_counted {
            facts = facts.and(next.ledger.replayed);
        }
    }
    learn(next, node, facts);
}

fn learn(next: &mut State, node: u8, facts: Facts) {
    let this = &mut next.nodes[usize::from(node)];
    this.mark.raise(facts.mark());
    this.lift = if this.lift == Lift::No { Lift::AskedOne } else { Lift::AskedBoth };
}

pub(super) fn mark_lost(next: &mut State, node: u8) {
    let mark = next.nodes[usize::from(node)].mark;
    hold(next, mark);
    next.nodes[usize::from(node)].lift = Lift::Marked;
}

/// The scripts name the incarnation that the node has met.
pub(super) fn load(next: &mut State, node: u8) {
    let this = &mut next.nodes[usize::from(node)];
    this.lift = Lift::No;
    next.redis.scripts |= 1 << this.met;
}

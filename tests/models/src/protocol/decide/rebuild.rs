//! How does a lost campaign come back? `src/rebuild`.

use super::model::Action;
use super::state::{Claim, Hold, Lost, Rebuild, State, Store};
use crate::protocol::facts::Facts;
use crate::protocol::rules::Rules;

pub(super) fn actions(rules: &Rules, state: &State, rebuild: u8, actions: &mut Vec<Action>) {
    let this = state.rebuilds[usize::from(rebuild)];
    let hold = match this {
        Rebuild::NotYet => {
            let is_next = rebuild == 0 || state.rebuilds[usize::from(rebuild) - 1] != Rebuild::NotYet;
            if is_next && state.redis.store.lost != Lost::No {
                actions.push(Action::Begin { rebuild });
            }
            return;
        }
        Rebuild::Over => return,
        Rebuild::Begun { hold }
        | Rebuild::Drained { hold }
        | Rebuild::Loading { hold, .. }
        | Rebuild::Ready { hold, .. } => hold,
    };
    if state.left.failures > 0 {
        actions.push(Action::Fail { rebuild });
    }
    // Its token is gone, or the server that it began with: the next call says so, and it ends.
    let is_overtaken = (rules.one_token && state.redis.store.lost != Lost::Rebuild(rebuild))
        || (rules.one_life && hold.met != state.redis.incarnation);
    actions.push(match this {
        Rebuild::Begun { .. } if is_drained(rules, state) => Action::Drain { rebuild },
        Rebuild::Drained { .. } => Action::Read { rebuild },
        Rebuild::Loading { claims, loaded, .. } if claims != loaded => Action::LoadClaim { rebuild },
        Rebuild::Loading { .. } => Action::Reserve { rebuild },
        Rebuild::Ready { .. } => Action::Finish { rebuild },
        _ if is_overtaken => Action::LoadClaim { rebuild },
        _ => return,
    });
}

fn is_drained(rules: &Rules, state: &State) -> bool {
    // It waits for as long as a producer may hold a record, in which nobody leaves a reply unread either.
    let hands = state.nodes.iter().all(|node| node.hand.is_empty()) && state.orphans.is_empty() && state.is_read();
    let ledger = &state.ledger;
    (!rules.drain_outbox || state.redis.store.outbox.is_empty())
        && (!rules.drain_hands || hands)
        && (!rules.drain_ledger || ledger.kafka.without(ledger.passed).is_empty())
}

pub(super) fn apply(rules: &Rules, next: &mut State, rebuild: u8, action: Action) {
    let at = usize::from(rebuild);
    let this = next.rebuilds[at];
    let incarnation = next.redis.incarnation;
    let may_write = |next: &State, hold: Hold| {
        (!rules.one_token || next.redis.store.lost == Lost::Rebuild(rebuild))
            && (!rules.one_life || hold.met == incarnation)
    };
    next.rebuilds[at] = match (action, this) {
        (Action::Begin { .. }, _) => {
            let hold = Hold { met: incarnation, here: next.redis.store.generation };
            next.redis.store.lost = Lost::Rebuild(rebuild);
            Rebuild::Begun { hold }
        }
        (Action::Drain { .. }, Rebuild::Begun { hold }) => Rebuild::Drained { hold },
        (Action::Read { .. }, Rebuild::Drained { hold }) => {
            Rebuild::Loading { hold, claims: read(rules, next), loaded: Facts::NONE }
        }
        (Action::LoadClaim { .. }, Rebuild::Loading { hold, claims, loaded }) if may_write(next, hold) => {
            let Some(claim) = claims.without(loaded).first() else { return };
            // The first part replaces what is here.
            let here = if loaded.is_empty() { Facts::NONE } else { next.redis.store.loaded };
            next.redis.store.loaded = here.with(claim);
            Rebuild::Loading { hold, claims, loaded: loaded.with(claim) }
        }
        (Action::Reserve { .. }, Rebuild::Loading { hold, claims, .. }) => {
            Rebuild::Ready { hold, claims, generation: reserve(rules, next, hold) }
        }
        (Action::Finish { .. }, Rebuild::Ready { hold, claims, generation }) if may_write(next, hold) => {
            finish(next, claims, generation);
            Rebuild::Over
        }
        (Action::Fail { .. }, _) => {
            next.left.failures -= 1;
            Rebuild::Over
        }
        // Overtaken.
        _ => Rebuild::Over,
    };
}

fn read(rules: &Rules, state: &State) -> Facts {
    let ledger = &state.ledger;
    let mut claims = ledger.rows;
    if rules.letters_counted {
        claims = claims.and(ledger.waiting);
    }
    if rules.replayed_counted {
        claims = claims.and(ledger.replayed);
    }
    claims
}

/// The generation to finish in. The row remembers it first: should Redis lose all trace of it, it is not given again. One
/// that was reserved in this incarnation, above what was there at the beginning, is good for this rebuild too: either
/// nobody began it, or whoever did has overtaken this one.
fn reserve(rules: &Rules, next: &mut State, hold: Hold) -> u8 {
    if !rules.next_generation {
        return hold.here + 1;
    }
    let ledger = &mut next.ledger;
    let is_good = ledger.generation > hold.here && ledger.generation_in == hold.met;
    if !(rules.generation_kept && is_good) {
        ledger.generation = ledger.generation.max(hold.here).max(ledger.rows.mark().generation) + 1;
        ledger.generation_in = hold.met;
    }
    ledger.generation
}

fn finish(next: &mut State, claims: Facts, generation: u8) {
    // The first part replaces what is here, also where it brings nothing.
    let loaded = if claims.is_empty() { Facts::NONE } else { next.redis.store.loaded };
    let was_here = next.redis.store.log;
    next.redis.store =
        Store { generation, lost: Lost::No, base: claims, loaded, log: Facts::NONE, outbox: Facts::NONE };
    next.was_lost = false;
    // A yes that is neither in Kafka nor in what Redis came back with: that it might be so, its durability has said.
    for claim in &mut next.claims {
        if let Claim::Told { fact, .. } = *claim
            && !claims.and(was_here).has(fact)
        {
            *claim = Claim::Over;
        }
    }
}

//! What must hold? The invariants of the architecture, as far as this model reaches.

use stateright::{Model, Property};

use super::bounds::{LIMIT, STOCK, USER};
use super::model::Decide;
use super::state::{Claim, State};
use crate::protocol::facts::Facts;

/// Invariant 1.
pub(crate) const NEVER_OVERSOLD: &str = "never oversold";
/// Invariant 3.
pub(crate) const NUMBERS_ONCE: &str = "each number is given once";
/// Invariant 4.
pub(crate) const LIMIT_HELD: &str = "no user above the limit";
/// Invariant 6.
pub(crate) const COVERED_IS_KNOWN: &str = "what Kafka has is known where it is decided";
/// In the end the fence is lifted, and a campaign that nobody lost is open, as is one that was rebuilt.
pub(crate) const OPEN_AT_THE_END: &str = "open again at the end";
/// A rebuild that fails takes nothing with it.
pub(crate) const GENERATIONS_KEPT: &str = "no generation is burned";
/// That anything of this can be reached at all.
pub(crate) const SELLS_AFTER_REBUILD: &str = "a rebuilt campaign sells what is left";
/// See [`SELLS_AFTER_REBUILD`].
pub(crate) const SELLS_AFTER_LOSS: &str = "a campaign sells on after a loss that took nothing";

pub(super) fn all() -> Vec<Property<Decide>> {
    vec![
        Property::always(NEVER_OVERSOLD, |_, state| sold(state).len() <= STOCK),
        Property::always(NUMBERS_ONCE, |_, state| numbers_once(sold(state))),
        Property::always(LIMIT_HELD, |_, state| users_within_limit(sold(state))),
        Property::always(COVERED_IS_KNOWN, |_, state| covered_is_known(state)),
        Property::always(OPEN_AT_THE_END, open_at_the_end),
        Property::always(GENERATIONS_KEPT, |model: &Decide, state: &State| {
            state.ledger.generation <= 1 + model.bounds.losses - state.left.losses
        }),
        Property::sometimes(SELLS_AFTER_REBUILD, |model: &Decide, state: &State| {
            let store = &state.redis.store;
            model.bounds.rebuilds == 0 || store.decides() && store.base.len() == 1 && store.log.len() == 1
        }),
        Property::sometimes(SELLS_AFTER_LOSS, |model: &Decide, state: &State| {
            let store = &state.redis.store;
            model.bounds.losses == 0
                || store.decides() && store.generation == 1 && store.log.len() == STOCK && state.redis.incarnation > 0
        }),
    ]
}

/// Claims that somebody has been promised: what Kafka has, what Redis would say again, and yeses of nodes that live.
fn sold(state: &State) -> Facts {
    let store = &state.redis.store;
    let here = if store.decides() { store.base.and(store.records()) } else { Facts::NONE };
    let told = state.claims.iter().fold(Facts::NONE, |told, claim| match claim {
        Claim::Told { fact, .. } => told.with(*fact),
        _ => told,
    });
    here.and(told).and(state.ledger.kafka)
}

fn numbers_once(sold: Facts) -> bool {
    let mut before = None;
    sold.iter().all(|fact| before.replace(fact.mark()) != Some(fact.mark()))
}

fn users_within_limit(sold: Facts) -> bool {
    (0..).take(USER.len()).all(|user| {
        let held = sold.iter().filter(|fact| USER[usize::from(fact.claim)] == user).count();
        u32::try_from(held).is_ok_and(|held| held <= LIMIT)
    })
}

/// Where a verified Redis decides, it has a record of every claim that Kafka has.
fn covered_is_known(state: &State) -> bool {
    let store = &state.redis.store;
    let decides = store.decides() && state.is_verified();
    !decides || state.ledger.kafka.without(store.records()).is_empty()
}

fn open_at_the_end(model: &Decide, state: &State) -> bool {
    let mut actions = Vec::new();
    model.actions(state, &mut actions);
    // An operator gives up a lost campaign only when there is no rebuild left to try.
    !actions.is_empty() || (state.is_verified() && (state.redis.store.decides() || state.was_lost))
}

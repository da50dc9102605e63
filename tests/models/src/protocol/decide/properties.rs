//! What must hold? The invariants of the architecture, as far as this model reaches.

use stateright::{Model, Property};

use super::bounds::{Bounds, LIMIT};
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
pub(crate) const PROMISED_IS_KNOWN: &str = "what was promised is known where it is decided";
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
        Property::always(NEVER_OVERSOLD, |model: &Decide, state| sold(state).len() <= model.bounds.stock),
        Property::always(NUMBERS_ONCE, |_, state| numbers_once(sold(state))),
        Property::always(LIMIT_HELD, |model: &Decide, state| users_within_limit(&model.bounds, sold(state))),
        Property::always(PROMISED_IS_KNOWN, |_, state| promised_is_known(state)),
        Property::always(OPEN_AT_THE_END, open_at_the_end),
        Property::always(GENERATIONS_KEPT, |model: &Decide, state: &State| {
            state.ledger.generation <= 1 + model.bounds.troubles.losses - state.left.losses
        }),
        Property::sometimes(SELLS_AFTER_REBUILD, |model: &Decide, state: &State| {
            let store = &state.redis.store;
            let sells = store.decides() && store.generation > 1 && !store.log.is_empty();
            model.bounds.rebuilds == 0 || (sells && store.base.len() + store.log.len() == model.bounds.stock)
        }),
        Property::sometimes(SELLS_AFTER_LOSS, |model: &Decide, state: &State| {
            let store = &state.redis.store;
            let is_another = model.bounds.troubles.losses == 0 || state.redis.incarnation > 0;
            is_another && store.decides() && store.generation == 1 && store.log.len() == model.bounds.stock
        }),
    ]
}

/// Claims that somebody was promised: what Kafka has, and yeses of nodes that live.
fn promised(state: &State) -> Facts {
    state.claims.iter().fold(state.ledger.kafka, |promised, claim| match claim {
        Claim::Told { fact, .. } => promised.with(*fact),
        _ => promised,
    })
}

/// And those that Redis would say again.
fn sold(state: &State) -> Facts {
    let store = &state.redis.store;
    let here = if store.decides() { store.base.and(store.records()) } else { Facts::NONE };
    here.and(promised(state))
}

fn numbers_once(sold: Facts) -> bool {
    let mut before = None;
    sold.iter().all(|fact| before.replace(fact.mark()) != Some(fact.mark()))
}

fn users_within_limit(bounds: &Bounds, sold: Facts) -> bool {
    bounds.users.iter().all(|user| sold.iter().filter(|fact| bounds.user(fact.claim) == *user).count() <= LIMIT)
}

/// Where a verified Redis decides, it has a record of every claim that was promised.
fn promised_is_known(state: &State) -> bool {
    let store = &state.redis.store;
    let decides = store.decides() && state.is_verified();
    !decides || promised(state).without(store.records()).is_empty()
}

fn open_at_the_end(model: &Decide, state: &State) -> bool {
    let mut actions = Vec::new();
    model.actions(state, &mut actions);
    // An operator gives up a lost campaign only when there is no rebuild left to try.
    !actions.is_empty() || (state.is_verified() && (state.redis.store.decides() || state.was_lost))
}

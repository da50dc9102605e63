//! What must hold?

use stateright::Property;

use super::model::Publish;
use super::state::{Mark, State};

/// Invariant 1.
pub(super) const NEVER_OVERSOLD: &str = "never oversold";
/// What is lost was there, and is not any more.
pub(super) const LOST_BY_LOSS_ONLY: &str = "nothing is lost that nobody lost";
/// In the end every node, and Redis, know what the row says, and claims are taken.
pub(super) const KNOWN_TO_ALL: &str = "known to every node in the end";
/// That anything of this can be reached at all.
pub(super) const CHANGES_ARE_KNOWN: &str = "a change after a loss is known to all";

pub(super) fn all() -> Vec<Property<Publish>> {
    vec![
        Property::always(NEVER_OVERSOLD, |_, state: &State| state.sold <= 1),
        Property::always(LOST_BY_LOSS_ONLY, |_, state: &State| !state.store.lost || state.was_lost),
        Property::always(KNOWN_TO_ALL, |model: &Publish, state: &State| {
            let excused = state.row.version == 0 || state.store.lost;
            excused || is_known(state) || !model.is_over(state)
        }),
        Property::sometimes(CHANGES_ARE_KNOWN, |model: &Publish, state: &State| {
            (model.bounds.troubles.losses == 0 || state.incarnation > 0)
                && state.row.version == model.bounds.versions
                && is_known(state)
                && state.store.mark == Mark::Sold
        }),
    ]
}

fn is_known(state: &State) -> bool {
    let version = state.row.version;
    let store = &state.store;
    state.nodes.iter().all(|node| node.version == version)
        && store.version == version
        && store.armed
        && state.is_verified
}

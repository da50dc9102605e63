//! How are models explored? All of it with all rules, and until something breaks without one.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// Explores all of it: whatever must hold does, and whatever must be possible is. Answers the number of states.
pub(crate) fn holds<M>(model: M) -> usize
where
    M: Model + Debug + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
{
    let what = format!("{model:?}");
    let checker = model.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!("{} states, up to {} steps: {what}", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
    checker.unique_state_count()
}

/// Explores until this property breaks, and prints the shortest way there. It must break.
pub(crate) fn breaks<M>(model: M, property: &'static str)
where
    M: Model + Debug + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
{
    assert_ne!(model.property(property).expectation, Expectation::Sometimes, "{property} cannot break");
    // One thread: only then the first way found is the shortest one.
    let until = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let checker = model.checker().finish_when(until).spawn_bfs().join();
    let path = checker.assert_any_discovery(property);
    println!("\"{property}\" breaks, after {} states:", checker.unique_state_count());
    for (step, action) in path.clone().into_actions().iter().enumerate() {
        println!("{:3}  {action:?}", step + 1);
    }
    println!("     {:?}", path.last_state());
}

//! The explorations: none breaks with all rules, and what breaks without each.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use super::bounds::Bounds;
use super::model::Decide;
use super::properties::*;
use crate::protocol::rules::Rules;

const CALM: Bounds = Bounds {
    claims: 3,
    losses: 0,
    syncs: 0,
    lifters: 1,
    flushes: 0,
    deaths: 0,
    poisons: 0,
    expiries: 0,
    rebuilds: 0,
    failures: 0,
};

fn full(bounds: Bounds) {
    let started = std::time::Instant::now();
    let checker = Decide { rules: Rules::ALL, bounds, nodes_are_alike: true }.checker().threads(2).spawn_bfs().join();
    eprintln!("{bounds:?}: {} unique, {} depth {:?}", checker.unique_state_count(), checker.max_depth(), started.elapsed());
    for (name, path) in checker.discoveries() {
        if !name.starts_with("a ") {
            eprintln!("BROKEN {name}\n{:#?}\n{:?}", path.clone().into_actions(), path.last_state());
        }
    }
    checker.assert_properties();
}



fn broken(rules: Rules, bounds: Bounds) -> Vec<&'static str> {
    let started = std::time::Instant::now();
    let model = Decide { rules, bounds, nodes_are_alike: false };
    let checker = model.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let mut found: Vec<_> = checker.discoveries().into_iter().filter(|(n, _)| !n.starts_with("a ")).collect();
    found.sort_by_key(|(_, p)| p.clone().into_actions().len());
    eprintln!("  {} unique {} depth {:?}", checker.unique_state_count(), checker.max_depth(), started.elapsed());
    for (name, path) in &found {
        eprintln!("  {name}: {:?}", path.clone().into_actions());
    }
    found.into_iter().map(|(n, _)| n).collect()
}

#[test]
fn without() {
    let all = Rules::ALL;
    let one = Bounds { losses: 1, syncs: 1, claims: 3, ..CALM };
    let two = Bounds { losses: 2, claims: 2, ..one };
    let reb = Bounds { losses: 1, syncs: 1, claims: 2, rebuilds: 1, ..CALM };
    let reb2 = Bounds { rebuilds: 2, ..reb };
    let only = std::env::var("ONLY").ok();
    for (name, rules, bounds) in [
        ("fence", Rules { fence: false, ..all }, one),
        ("recall", Rules { recall: false, ..all }, one),
        ("settle", Rules { settle: false, ..all }, one),
        ("ask_ledger", Rules { ask_ledger: false, ..all }, Bounds { deaths: 2, claims: 2, ..one }),
        ("ask_letters", Rules { ask_letters: false, ..all }, Bounds { deaths: 2, claims: 2, poisons: 1, ..one }),
        ("ask_kafka", Rules { ask_kafka: false, ..all }, Bounds { deaths: 2, claims: 2, ..one }),
        ("kafka_first", Rules { kafka_first: false, ..all }, Bounds { deaths: 2, claims: 2, ..one }),
        ("no_resend", Rules { no_resend: false, ..all }, two),
        ("relay_knows", Rules { relay_knows: false, ..all }, Bounds { deaths: 1, claims: 2, ..one }),
        ("drain_outbox", Rules { drain_outbox: false, ..all }, reb),
        ("drain_hands", Rules { drain_hands: false, ..all }, reb),
        ("drain_ledger", Rules { drain_ledger: false, ..all }, reb),
        ("letters_counted", Rules { letters_counted: false, ..all }, Bounds { poisons: 1, ..reb }),
        ("replayed_counted", Rules { replayed_counted: false, ..all }, Bounds { poisons: 1, ..reb }),
        ("next_generation", Rules { next_generation: false, ..all }, Bounds { losses: 2, ..reb2 }),
        ("generation_kept", Rules { generation_kept: false, ..all }, Bounds { failures: 1, ..reb2 }),
        ("one_token", Rules { one_token: false, ..all }, reb2),
        ("one_life", Rules { one_life: false, ..all }, Bounds { losses: 2, syncs: 2, ..reb }),
    ] {
        if only.as_ref().is_some_and(|only| !only.split(',').any(|only| only == name)) {
            continue;
        }
        eprintln!("WITHOUT {name}");
        broken(rules, bounds);
    }
}


#[test]
fn full_one() {
    let text = std::env::var("BOUNDS").unwrap();
    let mut bounds = Bounds { losses: 1, syncs: 1, claims: 2, ..CALM };
    for word in text.split(',') {
        let (name, value) = word.split_once('=').unwrap();
        let value = value.parse().unwrap();
        *match name {
            "claims" => &mut bounds.claims,
            "losses" => &mut bounds.losses,
            "syncs" => &mut bounds.syncs,
            "lifters" => &mut bounds.lifters,
            "flushes" => &mut bounds.flushes,
            "deaths" => &mut bounds.deaths,
            "poisons" => &mut bounds.poisons,
            "expiries" => &mut bounds.expiries,
            "rebuilds" => &mut bounds.rebuilds,
            "failures" => &mut bounds.failures,
            _ => panic!("{name}"),
        } = value;
    }
    full(bounds);
}

//! The explorations.

use stateright::{Checker, HasDiscoveries, Model};

use super::model::Publish;
use super::state::Bounds;
use crate::protocol::rules::Rules;

const CALM: Bounds = Bounds { versions: 2, losses: 0, flushalls: 0, failures: 0, deaths: 0 };

fn full(bounds: Bounds) {
    let started = std::time::Instant::now();
    let checker = Publish { rules: Rules::ALL, bounds, names_do_not_matter: true }
        .checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    eprintln!("{bounds:?}: {} unique, {} depth {:?}", checker.unique_state_count(), checker.max_depth(), started.elapsed());
    checker.assert_properties();
}

#[test]
fn publish_full() {
    full(Bounds { failures: 1, ..CALM });
    full(Bounds { failures: 1, losses: 1, ..CALM });
    full(Bounds { failures: 1, losses: 1, deaths: 1, ..CALM });
    full(Bounds { failures: 1, losses: 2, versions: 3, ..CALM });
}

#[test]
fn publish_flushall() {
    full(Bounds { failures: 1, flushalls: 1, ..CALM });
}

#[test]
fn publish_without() {
    let all = Rules::ALL;
    let calm = Bounds { failures: 1, ..CALM };
    let loss = Bounds { losses: 1, ..calm };
    for (name, rules, bounds) in [
        ("unknown_is_not_lost", Rules { unknown_is_not_lost: false, ..all }, calm),
        ("row_before_armed", Rules { row_before_armed: false, ..all }, Bounds { deaths: 2, ..loss }),
        ("told_before_marked", Rules { told_before_marked: false, ..all }, calm),
        ("sweep", Rules { sweep: false, ..all }, calm),
        ("sweep_anew", Rules { sweep_anew: false, ..all }, loss),
        ("read_anew", Rules { read_anew: false, ..all }, loss),
    ] {
        eprintln!("WITHOUT {name}");
        let checker = Publish { rules, bounds, names_do_not_matter: false }
            .checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        eprintln!("  {} unique", checker.unique_state_count());
        for (name, path) in checker.discoveries() {
            eprintln!("  {name}: {:?}", path.into_actions());
        }
    }
}

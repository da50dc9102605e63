//! With all rules nothing breaks. Without any one of them somebody never learns of a change, or a unit is sold twice.

use super::model::Publish;
use super::properties::{KNOWN_TO_ALL, LOST_BY_LOSS_ONLY, NEVER_OVERSOLD};
use super::state::{Bounds, TASKS, Troubles};
use crate::protocol::explore;
use crate::protocol::rules::Rules;

const ALL: Rules = Rules::ALL;
/// A campaign is made, and changed; once something fails in between.
const CHANGE: Bounds = Bounds { versions: 2, tasks: TASKS, troubles: Troubles { failures: 1, ..Troubles::NONE } };
const LOSS: Bounds = Bounds { troubles: Troubles { losses: 1, ..CHANGE.troubles }, ..CHANGE };
const EMPTIED: Bounds = Bounds { troubles: Troubles { flushalls: 1, ..CHANGE.troubles }, ..CHANGE };

/// All of it, with all rules.
fn holds(bounds: Bounds) {
    explore::holds(Publish { rules: ALL, bounds, names_do_not_matter: true });
}

/// Without one rule.
fn breaks(rules: Rules, bounds: Bounds, property: &'static str) {
    explore::breaks(Publish { rules, bounds, names_do_not_matter: false }, property);
}

#[test]
fn nothing_breaks_when_callers_hang_up() {
    holds(Bounds { troubles: Troubles { failures: 2, ..CHANGE.troubles }, ..CHANGE });
}

#[test]
fn nothing_breaks_when_redis_goes_back_in_a_change() {
    holds(LOSS);
}

#[test]
fn nothing_breaks_when_redis_goes_back_and_a_node_boots() {
    holds(Bounds { tasks: 1, troubles: Troubles { deaths: 1, ..LOSS.troubles }, ..LOSS });
}

#[test]
fn nothing_breaks_when_redis_goes_back_twice() {
    holds(Bounds { tasks: 1, troubles: Troubles { losses: 2, ..LOSS.troubles }, ..LOSS });
}

#[test]
fn nothing_breaks_when_redis_is_emptied() {
    holds(Bounds { tasks: 1, ..EMPTIED });
}

/// What no rule prevents, see `docs/protocol.md`: a put that has stalled since before the campaign was ever put, and
/// arrives after FLUSHALL in the same life of the server.
#[test]
fn a_stalled_put_after_flushall_is_a_known_limit() {
    breaks(ALL, EMPTIED, NEVER_OVERSOLD);
}

/// The same: emptied, and every node that had seen the campaign has died since. It is missing, and nobody calls it lost.
#[test]
fn emptied_and_known_to_no_node_is_a_known_limit() {
    let bounds = Bounds { tasks: 1, troubles: Troubles { deaths: 1, ..EMPTIED.troubles }, ..EMPTIED };
    breaks(ALL, bounds, KNOWN_TO_ALL);
}

/// Fault 2: anybody's GET.
#[test]
fn without_unknown_is_not_lost_a_get_loses_what_is_being_made() {
    breaks(Rules { unknown_is_not_lost: false, ..ALL }, CHANGE, LOST_BY_LOSS_ONLY);
}

#[test]
fn without_row_before_armed_what_was_emptied_is_made_and_sold_again() {
    breaks(Rules { row_before_armed: false, ..ALL }, Bounds { tasks: 1, ..EMPTIED }, NEVER_OVERSOLD);
}

/// Fault 3: marked as published, and then the announcement fails, or the caller hangs up.
#[test]
fn without_told_before_marked_a_change_is_never_told() {
    breaks(Rules { told_before_marked: false, ..ALL }, CHANGE, KNOWN_TO_ALL);
}

#[test]
fn without_sweep_nobody_finishes_what_a_caller_left() {
    breaks(Rules { sweep: false, ..ALL }, CHANGE, KNOWN_TO_ALL);
}

#[test]
fn without_sweep_anew_what_redis_has_forgotten_stays_forgotten() {
    breaks(Rules { sweep_anew: false, ..ALL }, LOSS, KNOWN_TO_ALL);
}

#[test]
fn without_read_anew_a_node_believes_that_it_has_read_what_is_new() {
    let bounds = Bounds { troubles: Troubles { losses: 1, ..Troubles::NONE }, ..LOSS };
    breaks(Rules { read_anew: false, ..ALL }, bounds, KNOWN_TO_ALL);
}

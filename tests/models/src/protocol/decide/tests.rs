//! With all rules nothing breaks. Without any one of them a unit is sold twice, or something as bad.

use super::bounds::{Bounds, Troubles};
use super::model::Decide;
use super::properties::{
    GENERATIONS_KEPT, LIMIT_HELD, NEVER_OVERSOLD, NUMBERS_ONCE, OPEN_AT_THE_END, PROMISED_IS_KNOWN,
};
use crate::protocol::explore;
use crate::protocol::rules::Rules;

const ALL: Rules = Rules::ALL;
const LOSS: Bounds = Bounds::ONE_LOSS;
const TROUBLES: Troubles = LOSS.troubles;
const REBUILD: Bounds = Bounds { rebuilds: 1, ..LOSS };

/// All of it, with all rules.
fn holds(bounds: Bounds) {
    explore::holds(Decide { rules: ALL, bounds, nodes_are_alike: true });
}

/// Without one rule.
fn breaks(rules: Rules, bounds: Bounds, property: &'static str) {
    explore::breaks(Decide { rules, bounds, nodes_are_alike: false }, property);
}

#[test]
fn nothing_breaks_when_redis_goes_back() {
    holds(Bounds { stock: 2, claims: 3, ..LOSS });
}

#[test]
fn nothing_breaks_when_redis_goes_back_twice_and_forgets_its_scripts() {
    holds(Bounds { troubles: Troubles { losses: 2, flushes: 1, ..TROUBLES }, ..LOSS });
}

#[test]
fn nothing_breaks_when_nodes_die_with_what_they_know() {
    holds(Bounds { troubles: Troubles { deaths: 2, poisons: 1, ..TROUBLES }, ..LOSS });
}

#[test]
fn nothing_breaks_when_two_nodes_verify_at_once() {
    holds(Bounds { lifters: 2, troubles: Troubles { losses: 2, ..TROUBLES }, ..LOSS });
}

#[test]
fn nothing_breaks_when_a_campaign_is_rebuilt() {
    holds(Bounds { stock: 2, troubles: Troubles { poisons: 1, expiries: 1, ..TROUBLES }, ..REBUILD });
}

#[test]
fn nothing_breaks_when_rebuilds_fail_and_overtake_each_other() {
    holds(Bounds { stock: 2, rebuilds: 2, troubles: Troubles { failures: 1, ..TROUBLES }, ..REBUILD });
}

#[test]
fn nothing_breaks_when_redis_goes_back_in_a_rebuild() {
    holds(Bounds { stock: 2, troubles: Troubles { losses: 2, ..TROUBLES }, ..REBUILD });
}

/// Fault (a): Redis returns as of fact 1; what waited at node B runs before B has heard of fact 2.
#[test]
fn without_fence_a_unit_is_sold_twice() {
    breaks(Rules { fence: false, ..ALL }, LOSS, NEVER_OVERSOLD);
}

#[test]
fn without_recall_what_only_a_live_node_knows_is_sold_twice() {
    breaks(Rules { recall: false, ..ALL }, LOSS, NEVER_OVERSOLD);
}

#[test]
fn without_settle_who_lifts_is_faster_than_who_knows() {
    breaks(Rules { settle: false, ..ALL }, LOSS, NEVER_OVERSOLD);
}

/// Fault (b): nodes that booted without the database, and never ask.
#[test]
fn without_ask_who_booted_knows_nothing() {
    let rules = Rules { ask_ledger: false, ask_letters: false, ask_kafka: false, ..ALL };
    breaks(rules, DEATHS, NEVER_OVERSOLD);
}

/// All who knew are dead.
const DEATHS: Bounds = Bounds { troubles: Troubles { deaths: 2, ..TROUBLES }, ..LOSS };

#[test]
fn without_ask_of_the_ledger_rows_are_sold_twice() {
    breaks(Rules { ask_ledger: false, ..ALL }, DEATHS, NEVER_OVERSOLD);
}

#[test]
fn without_ask_of_the_letters_what_waits_there_is_sold_twice() {
    let bounds = Bounds { troubles: Troubles { poisons: 1, ..DEATHS.troubles }, ..DEATHS };
    breaks(Rules { ask_letters: false, ..ALL }, bounds, NEVER_OVERSOLD);
}

/// Fault (c): the ledger is behind Kafka.
#[test]
fn without_ask_of_kafka_what_the_ledger_has_not_passed_is_sold_twice() {
    breaks(Rules { ask_kafka: false, ..ALL }, DEATHS, NEVER_OVERSOLD);
}

#[test]
fn without_kafka_first_a_fact_slips_through_between_both() {
    breaks(Rules { kafka_first: false, ..ALL }, DEATHS, NEVER_OVERSOLD);
}

#[test]
fn without_no_resend_scripts_for_one_incarnation_reach_the_next() {
    let bounds = Bounds { troubles: Troubles { losses: 2, ..TROUBLES }, ..LOSS };
    breaks(Rules { no_resend: false, ..ALL }, bounds, NEVER_OVERSOLD);
}

/// Its facts come from an outbox that is gone, and reach Kafka after Kafka was asked.
#[test]
fn without_relay_knows_a_relay_brings_what_nobody_has_heard_of() {
    let bounds = Bounds { troubles: Troubles { deaths: 1, ..TROUBLES }, ..LOSS };
    breaks(Rules { relay_knows: false, ..ALL }, bounds, NEVER_OVERSOLD);
}

#[test]
fn without_drain_of_the_outbox_a_rebuild_forgets_what_is_in_it() {
    breaks(Rules { drain_outbox: false, ..ALL }, Bounds { stock: 2, ..REBUILD }, PROMISED_IS_KNOWN);
}

#[test]
fn without_drain_of_hands_a_rebuild_forgets_what_a_producer_holds() {
    breaks(Rules { drain_hands: false, ..ALL }, REBUILD, PROMISED_IS_KNOWN);
}

#[test]
fn without_drain_of_kafka_a_rebuild_forgets_what_the_ledger_has_not_passed() {
    breaks(Rules { drain_ledger: false, ..ALL }, REBUILD, PROMISED_IS_KNOWN);
}

#[test]
fn without_letters_counted_a_rebuild_sells_their_units_again() {
    let bounds = Bounds { troubles: Troubles { poisons: 1, ..TROUBLES }, ..REBUILD };
    breaks(Rules { letters_counted: false, ..ALL }, bounds, NEVER_OVERSOLD);
}

#[test]
fn without_replayed_counted_a_letter_slips_through_between_both() {
    let bounds = Bounds { troubles: Troubles { poisons: 1, ..TROUBLES }, ..REBUILD };
    breaks(Rules { replayed_counted: false, ..ALL }, bounds, PROMISED_IS_KNOWN);
}

#[test]
fn without_next_generation_numbers_are_given_twice() {
    breaks(Rules { next_generation: false, ..ALL }, Bounds { stock: 2, ..REBUILD }, NUMBERS_ONCE);
}

#[test]
fn without_generation_kept_a_failed_rebuild_burns_one() {
    let bounds = Bounds { rebuilds: 2, troubles: Troubles { failures: 1, ..TROUBLES }, ..REBUILD };
    breaks(Rules { generation_kept: false, ..ALL }, bounds, GENERATIONS_KEPT);
}

#[test]
fn without_one_token_the_earlier_of_two_rebuilds_undoes_the_later() {
    breaks(Rules { one_token: false, ..ALL }, Bounds { rebuilds: 2, ..REBUILD }, OPEN_AT_THE_END);
}

#[test]
fn without_one_life_a_rebuild_finishes_with_half_of_what_it_loaded() {
    let bounds = Bounds { stock: 2, users: [0, 0, 0], troubles: Troubles { losses: 2, ..TROUBLES }, ..REBUILD };
    breaks(Rules { one_life: false, ..ALL }, bounds, LIMIT_HELD);
}

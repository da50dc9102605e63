//! Plans have everything in them, and a seed is one plan.

use std::collections::BTreeSet;

use super::*;

#[test]
fn the_same_seed_is_the_same_plan_and_another_seed_another() {
    let text = |seed| format!("{:?}", Plan::new(seed, Scale::FULL));
    assert_eq!(text(7), text(7));
    assert_ne!(text(7), text(8));
}

fn hundred() -> Vec<Plan> {
    (1..=100).map(|seed| Plan::new(seed, Scale::FULL)).collect()
}

#[test]
fn every_kind_of_fault_is_in_the_first_hundred_plans() {
    let steps = hundred().into_iter().flat_map(|plan| plan.steps);
    let kinds: BTreeSet<String> = steps.map(|step| step.fault.name()).collect();
    let all = [
        "BreakOutbox",
        "Cut",
        "Delay",
        "EmptyRedis",
        "FlushRedis",
        "FailAnnouncements",
        "FillMemory",
        "ForgetScripts",
        "HideMessages",
        "Kill",
        "KillBeforeCommit",
        "KillKafka",
        "KillMidWrite",
        "KillPostgres",
        "LoseReplies",
        "Pause",
        "PromoteReplica",
        "Rebalance",
        "RefuseFacts",
        "Refuse",
        "RestartRedis",
        "SetRedisBack",
        "Stall",
    ];
    assert_eq!(kinds, all.map(str::to_owned).into());
}

#[test]
fn redis_loses_its_tail_around_every_state_of_nodes_and_ledger_in_the_first_hundred_plans() {
    let around = |step: Step| match step.fault {
        Fault::SetRedisBack { around, .. } | Fault::PromoteReplica { around, .. } => Some(around),
        _ => None,
    };
    let all: Vec<Around> = hundred().into_iter().flat_map(|plan| plan.steps).filter_map(around).collect();
    assert!(
        all.iter().any(|around| around.stale.is_some() && around.others_away),
        "claims wait at a node that knows less"
    );
    for ledger in [Ledger::There, Ledger::Behind, Ledger::Away] {
        assert!(
            all.iter().any(|around| around.reboots && around.ledger == ledger),
            "a boot with the ledger {ledger:?}"
        );
    }
    assert!(all.iter().any(|around| around.killed_rebuilds > 0), "a rebuild is killed");
}

#[test]
fn operators_clocks_rooms_and_limits_are_in_the_first_hundred_plans() {
    let plans = hundred();
    let any = |what: fn(&Plan) -> bool| plans.iter().any(what);
    assert!(any(|plan| plan.sides.iter().any(|side| side.acts.iter().any(|act| act.hangs_up.is_some()))));
    assert!(any(|plan| plan.room.is_some() && plan.clocks_ahead.iter().any(|ahead| *ahead > 30_000)));
    assert!(any(|plan| plan.users.iter().any(|user| user.intents.iter().any(|intent| intent.hangs_up.is_some()))));
    assert!(any(|plan| plan.rows_per_second_max < 1_000) && any(|plan| plan.outbox_facts_max < 1_000));
}

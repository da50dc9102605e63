//! Redis forgets, all or the last moments: claims are refused until `onrush rebuild` has mended the campaign.

use std::time::Duration;

use faults::plan::{Around, Fault, Ledger, Plan, Scale, Step};
use faults::run::play;

use crate::support::{run, stores};

const BY: Duration = Duration::from_millis(500);
/// All nodes are there, and so is the ledger.
const FAIR: Around = Around {
    stale: None,
    others_away: false,
    reboots: false,
    ledger: Ledger::There,
    lasts: Duration::from_millis(500),
    killed_rebuilds: 0,
    at_once: true,
};

async fn loses(seed: u64, fault: Fault) {
    let mut plan = Plan::new(seed, Scale { rush: Duration::from_secs(2), ..Scale::SHORT });
    // More than is wanted: what could be sold twice is there.
    plan.stock = 2_000;
    plan.raises.clear();
    plan.steps = vec![Step { at: Duration::from_millis(700), fault }];
    let outcome = play(&stores().await, &plan).await.unwrap();
    assert!(outcome.wrong.is_empty(), "{plan}{}\n{:?}", outcome.wrong.join("\n"), outcome.folder);
}

#[test]
fn an_emptied_redis_refuses_claims_until_the_campaigns_are_rebuilt() {
    run(loses(2_001, Fault::EmptyRedis { around: FAIR }));
    run(loses(2_006, Fault::FlushRedis { around: FAIR }));
}

#[test]
fn a_redis_set_back_refuses_claims_until_the_campaigns_are_rebuilt() {
    run(loses(2_002, Fault::SetRedisBack { by: BY, around: FAIR }));
}

#[test]
fn claims_that_waited_at_a_node_that_knows_less_get_no_unit_twice() {
    let around = Around { stale: Some(0), others_away: true, ..FAIR };
    run(loses(2_003, Fault::SetRedisBack { by: BY, around }));
}

#[test]
fn nodes_that_boot_without_the_database_give_no_unit_twice() {
    let around = Around { reboots: true, ledger: Ledger::Away, ..FAIR };
    run(loses(2_004, Fault::SetRedisBack { by: BY, around }));
}

#[test]
fn nodes_that_boot_while_the_ledger_is_behind_kafka_give_no_unit_twice() {
    let around = Around { reboots: true, ledger: Ledger::Behind, ..FAIR };
    run(loses(2_005, Fault::PromoteReplica { by: BY, around }));
}

#[test]
fn a_name_is_given_to_one_installation_only() {
    run(async {
        let stores = stores().await;
        let _held = stores.take("given_once", false).await.unwrap();
        let refused = stores.take("given_once", false).await.err().unwrap();
        assert!(refused.to_string().contains("given_once"), "{refused}");
    });
}

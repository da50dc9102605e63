//! Redis forgets, all or the last moments: claims are refused until `onrush rebuild` has mended the campaign.

use std::time::Duration;

use faults::plan::{Fault, Plan, Scale, Step};
use faults::run::play;

use crate::support::{run, stores};

async fn loses(seed: u64, fault: Fault) {
    let scale = Scale { rush: Duration::from_secs(3), ..Scale::SHORT };
    let mut plan = Plan::new(seed, scale);
    plan.steps = vec![Step { at: Duration::from_millis(1_500), fault }];
    let outcome = play(&stores().await, &plan).await.unwrap();
    assert!(outcome.wrong.is_empty(), "{plan}{}\n{:?}", outcome.wrong.join("\n"), outcome.folder);
}

#[test]
fn an_emptied_redis_refuses_claims_until_the_campaign_is_rebuilt() {
    run(loses(2_001, Fault::EmptyRedis));
}

#[test]
fn a_redis_set_back_refuses_claims_until_the_campaign_is_rebuilt() {
    run(loses(2_002, Fault::SetRedisBack { by: Duration::from_millis(500) }));
}

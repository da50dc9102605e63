//! A Redis that lost a campaign, or went back in time: refused at once, and whole again after a rebuild.

use std::sync::Arc;
use std::time::Duration;

use onrush::app::Role;
use onrush::database;
use onrush::rebuild::{RebuildError, Rebuilder, Rebuilt};
use onrush::redis::Redis;
use reqwest::Method;
use serde_json::json;

use crate::support::installation::{Installation, TestNode};
use crate::support::stores;

const WAIT: Duration = Duration::from_secs(30);

async fn installation() -> Installation {
    // A rebuild waits for what a relay may have in hand: as long as a delivery may take.
    Installation::with(|config| config.kafka.delivery_timeout_ms = 1_000).await
}

async fn rebuild(installation: &Installation, campaign: &str, wait: Duration) -> Result<Rebuilt, RebuildError> {
    let redis = Arc::new(Redis::connect(&installation.config.redis).await.unwrap());
    let database = database::open(&installation.config.postgres).unwrap();
    let rebuilder = Rebuilder::new(redis, database, &installation.config).unwrap();
    Ok(rebuilder.rebuild(&campaign.parse().unwrap(), wait).await?.expect("the campaign has a row"))
}

async fn claims(node: &TestNode, campaign: &str, users: std::ops::Range<usize>) {
    for user in users {
        assert_eq!(node.claim(campaign, &format!("user-{user}")).await.outcome(), "201");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_that_redis_lost_goes_on_after_a_rebuild_and_no_unit_is_sold_twice() {
    let installation = installation().await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let campaign = nodes[0].campaign(12, json!({})).await;
    let keyed = nodes[0].claim_with_key(&campaign, "alice", "k").await;
    let back = nodes[0].claim(&campaign, "bob").await;
    claims(&nodes[0], &campaign, 0..8).await;
    nodes[1].give_back(&back).await;
    nodes[0].audit_ok(&campaign).await;
    assert_eq!(rebuild(&installation, &campaign, WAIT).await.unwrap(), Rebuilt::Healthy);

    stores::delete_campaign(&installation.config, &campaign).await;
    for node in &nodes {
        assert_eq!(node.claim(&campaign, "carol").await.outcome(), "503 unavailable");
        assert_eq!(node.claim_with_key(&campaign, "alice", "k").await.outcome(), "503 unavailable");
        let ready = node.get("/readyz").await;
        assert_eq!((ready.status, &ready.body["lost"]), (200, &json!([campaign])));
    }
    assert_eq!(nodes[0].audit(&campaign).await.text("verdict"), "broken");

    let rebuilt = rebuild(&installation, &campaign, WAIT).await.unwrap();
    assert_eq!(rebuilt, Rebuilt::Done { generation: 2, live: 9, highest: 10, lost_numbers: 0 });
    // What was said before holds: keys, limits, claims, coupons.
    let again = nodes[1].claim_with_key(&campaign, "alice", "k").await;
    assert_eq!((again.status, &again.body), (201, &keyed.body));
    assert_eq!(nodes[1].claim(&campaign, "user-3").await.outcome(), "409 limit_reached");
    assert_eq!(nodes[0].give_back(&keyed).await.outcome(), "200");
    // And it goes on above the highest number, to the last unit.
    let next = nodes[0].claim(&campaign, "carol").await;
    assert_eq!(next.text("claim_id"), format!("{campaign}.2.11"));
    let coupon = format!("/v1/coupons/{}", next.text("coupon_code"));
    assert_eq!(nodes[1].as_operator(Method::GET, &coupon).await.body, next.body);
    claims(&nodes[1], &campaign, 20..23).await;
    assert_eq!(nodes[1].claim(&campaign, "late").await.outcome(), "409 sold_out");
    let audit = nodes[0].audit_ok(&campaign).await;
    assert_eq!((audit.number("generation"), audit.number("rows"), audit.number("given_back")), (2, 12, 2));
    assert_eq!(nodes[0].get("/readyz").await.body["lost"], json!([]));
    assert_eq!(rebuild(&installation, &campaign, WAIT).await.unwrap(), Rebuilt::Healthy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_went_back_in_time_is_noticed_at_once_also_by_a_node_that_starts_afterwards() {
    let installation = installation().await;
    let node = installation.node(Role::All).await;
    let campaigns = [node.campaign(20, json!({})).await, node.campaign(20, json!({})).await];
    let mut older = Vec::new();
    for campaign in &campaigns {
        claims(&node, campaign, 0..5).await;
        node.audit_ok(campaign).await;
        older.push(stores::dump_campaign(&installation.config, campaign).await);
        claims(&node, campaign, 5..8).await;
        node.audit_ok(campaign).await;
    }
    for keys in &older {
        stores::restore_campaign(&installation.config, keys).await;
    }
    // One is noticed by the node that was there, the other by what the database knows.
    assert_eq!(node.claim(&campaigns[0], "late").await.outcome(), "503 unavailable");
    let newcomer = installation.node(Role::Serve).await;
    assert_eq!(newcomer.claim(&campaigns[1], "late").await.outcome(), "503 unavailable");
    for campaign in &campaigns {
        let rebuilt = rebuild(&installation, campaign, WAIT).await.unwrap();
        assert_eq!(rebuilt, Rebuilt::Done { generation: 2, live: 8, highest: 8, lost_numbers: 0 });
        assert_eq!(newcomer.claim(campaign, "late").await.number("number"), 9);
        let audit = node.audit_ok(campaign).await;
        assert_eq!((audit.number("rows"), audit.number("left")), (9, 11));
    }
}

/// `memory`: what Kafka never had is gone with Redis. The rebuild says so, and nothing is given twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_reached_kafka_is_lost_and_its_units_are_sold_again() {
    let installation = installation().await;
    let server = installation.node(Role::Serve).await;
    let campaign = server.campaign(5, json!({})).await;
    claims(&server, &campaign, 0..3).await;
    // Only the counters are left; the outbox, which nobody relayed, is gone.
    stores::delete_outbox_and_claims(&installation.config, &campaign).await;
    stores::set_lost(&installation.config, &campaign).await;
    let worker = installation.node(Role::Work).await;
    let rebuilt = rebuild(&installation, &campaign, WAIT).await.unwrap();
    assert_eq!(rebuilt, Rebuilt::Done { generation: 2, live: 0, highest: 3, lost_numbers: 3 });
    let view = server.view(&campaign).await;
    assert_eq!((view.number("left"), view.number("claimed")), (5, 0));
    let claim = server.claim(&campaign, "user-0").await;
    assert_eq!(claim.text("claim_id"), format!("{campaign}.2.4"));
    server.audit_ok(&campaign).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_waits_for_what_is_on_its_way_and_gives_up_where_nobody_works() {
    let installation = installation().await;
    let server = installation.node(Role::Serve).await;
    let campaign = server.campaign(5, json!({})).await;
    claims(&server, &campaign, 0..3).await;
    stores::set_lost(&installation.config, &campaign).await;
    let early = rebuild(&installation, &campaign, Duration::from_millis(300)).await;
    assert!(matches!(early, Err(RebuildError::StillOnTheWay(..))), "{early:?}");
    assert_eq!(server.claim(&campaign, "late").await.outcome(), "503 unavailable");

    let worker = installation.node(Role::Work).await;
    let rebuilt = rebuild(&installation, &campaign, WAIT).await.unwrap();
    assert_eq!(rebuilt, Rebuilt::Done { generation: 2, live: 3, highest: 3, lost_numbers: 0 });
    assert_eq!(server.claim(&campaign, "late").await.number("number"), 4);
    server.audit_ok(&campaign).await;
    worker.stop().await;
}

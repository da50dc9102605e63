//! A Redis that lost a campaign, or went back in time: refused at once, and whole again after a rebuild.

use std::sync::Arc;
use std::time::Duration;

use onrush::app::Role;
use onrush::database::{self, Database};
use onrush::facts::Kind;
use onrush::kafka::Producer;
use onrush::rebuild::{Outcomes, RebuildError, Rebuilder, Rebuilt};
use onrush::redis::{Redis, Script};
use reqwest::Method;
use serde_json::json;

use crate::support::installation::{Installation, TestNode};
use crate::support::stores::{self, eventually, fact};

const WAIT: Duration = Duration::from_secs(30);

async fn installation() -> Installation {
    // A rebuild waits for what a relay may have in hand: as long as a delivery may take.
    Installation::with(|config| config.kafka.delivery_timeout_ms = 1_000).await
}

async fn rebuilder(installation: &Installation) -> Rebuilder {
    let redis = Arc::new(Redis::connect(&installation.config.redis).await.unwrap());
    Rebuilder::new(redis, tables(installation), &installation.config).unwrap()
}

fn tables(installation: &Installation) -> Database {
    database::open(&installation.config.postgres).unwrap()
}

async fn execute(installation: &Installation, sql: &str) {
    sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).execute(&tables(installation)).await.unwrap();
}

async fn rebuild(installation: &Installation, campaign: &str, wait: Duration) -> Result<Rebuilt, RebuildError> {
    let rebuilder = rebuilder(installation).await;
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

/// A letter of the campaign that is no fact.
async fn put_unreadable(installation: &Installation, campaign: &str) {
    let sql = format!(
        "INSERT INTO dead_letters (id, topic, partition, record_offset, reason, record, campaign_id)
         VALUES ('0-7', 't', 0, 7, 'r', 'no fact', '{campaign}')"
    );
    execute(installation, &sql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_that_wait_as_dead_letters_keep_their_units_and_fit_when_they_are_replayed() {
    let installation = installation().await;
    let node = installation.node(Role::All).await;
    execute(&installation, "ALTER TABLE claims ADD CONSTRAINT refused CHECK (user_id <> 'bob')").await;
    let campaign = node.campaign(3, json!({})).await;
    claims(&node, &campaign, 0..1).await;
    let bob = node.claim_with_key(&campaign, "bob", "k").await;
    assert_eq!(bob.outcome(), "201");
    claims(&node, &campaign, 1..2).await;
    eventually("bob's fact is a letter", async || {
        let letters = node.as_operator(Method::GET, "/v1/ops/dead-letters").await;
        letters.body["items"].as_array().unwrap().len() == 1
    })
    .await;
    stores::delete_campaign(&installation.config, &campaign).await;
    let rebuilt = rebuild(&installation, &campaign, WAIT).await.unwrap();
    assert_eq!(rebuilt, Rebuilt::Done { generation: 2, live: 3, highest: 3, lost_numbers: 0 });
    assert_eq!(node.claim_with_key(&campaign, "bob", "k").await.body, bob.body);
    assert_eq!(node.claim(&campaign, "late").await.outcome(), "409 sold_out");
    assert_eq!(node.audit(&campaign).await.text("verdict"), "broken", "a letter waits");

    execute(&installation, "ALTER TABLE claims DROP CONSTRAINT refused").await;
    let replay = node.operator_sends(Method::POST, "/v1/ops/dead-letters/replay", &json!({"all": true})).await;
    assert_eq!(replay.body, json!({"replayed": 1}));
    eventually("bob's claim is a row", async || node.audit(&campaign).await.number("rows") == 3).await;
    let audit = node.audit_ok(&campaign).await;
    assert_eq!((audit.number("live"), audit.number("oversold"), audit.number("missing")), (3, 0, 0));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_takes_no_generation_and_names_the_letters_that_cannot_be_read() {
    let installation = installation().await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(5, json!({})).await;
    claims(&node, &campaign, 0..3).await;
    node.audit_ok(&campaign).await;
    stores::delete_campaign(&installation.config, &campaign).await;
    put_unreadable(&installation, &campaign).await;
    for _ in 0..3 {
        let refused = rebuild(&installation, &campaign, WAIT).await;
        assert!(matches!(&refused, Err(RebuildError::UnreadableLetters(ids)) if *ids == ["0-7"]), "{refused:?}");
    }
    assert_eq!(node.claim(&campaign, "late").await.outcome(), "503 unavailable");
    let rebuilder = rebuilder(&installation).await.without_unreadable(true);
    let rebuilt = rebuilder.rebuild(&campaign.parse().unwrap(), WAIT).await.unwrap();
    assert_eq!(rebuilt, Some(Rebuilt::Done { generation: 2, live: 3, highest: 3, lost_numbers: 0 }));
    assert_eq!(node.claim(&campaign, "late").await.text("claim_id"), format!("{campaign}.2.4"));
    node.stop().await;
}

/// A rebuild that died between taking a generation and beginning it: the next one on the same server uses it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_that_was_taken_and_never_begun_is_used_on_the_same_server_alone() {
    let installation = installation().await;
    let node = installation.node(Role::All).await;
    let server: Script<1> = Script::new(
        "server",
        "--\n-- KEYS[1]\nreturn string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') .. ':' ..
         string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')",
    );
    let redis = Redis::connect(&installation.config.redis).await.unwrap();
    let here = redis.call_anywhere(&server, ["k".to_owned()], Vec::new()).await.unwrap().as_string().unwrap();
    for (taken_in, generation) in [(here.as_str(), 7), ("another:server", 8)] {
        let campaign = node.campaign(5, json!({})).await;
        claims(&node, &campaign, 0..2).await;
        node.audit_ok(&campaign).await;
        stores::delete_campaign(&installation.config, &campaign).await;
        let sql =
            format!("UPDATE campaigns SET generation = 7, generation_taken_in = '{taken_in}' WHERE id = '{campaign}'");
        execute(&installation, &sql).await;
        let rebuilt = rebuild(&installation, &campaign, WAIT).await.unwrap();
        assert_eq!(rebuilt, Rebuilt::Done { generation, live: 2, highest: 2, lost_numbers: 0 });
        // It is in use now: lost once more on this server, the campaign takes the next.
        stores::delete_campaign(&installation.config, &campaign).await;
        let rebuilt = rebuild(&installation, &campaign, WAIT).await.unwrap();
        assert_eq!(rebuilt, Rebuilt::Done { generation: generation + 1, live: 2, highest: 2, lost_numbers: 0 });
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_lost_campaigns_come_back_in_one_run_and_one_that_cannot_holds_no_other_up() {
    let installation = installation().await;
    let node = installation.node(Role::All).await;
    let mut campaigns = Vec::new();
    for _ in 0..5 {
        let campaign = node.campaign(5, json!({})).await;
        claims(&node, &campaign, 0..2).await;
        node.audit_ok(&campaign).await;
        campaigns.push(campaign);
    }
    for campaign in &campaigns[..3] {
        stores::delete_campaign(&installation.config, campaign).await;
    }
    put_unreadable(&installation, &campaigns[0]).await;
    let outcomes: Outcomes = rebuilder(&installation).await.rebuild_all(WAIT).await.unwrap();
    assert_eq!(outcomes.len(), 5);
    for (id, outcome) in outcomes {
        match campaigns.iter().position(|campaign| *campaign == id.as_str()).unwrap() {
            0 => assert!(matches!(outcome, Err(RebuildError::UnreadableLetters(_))), "{outcome:?}"),
            1 | 2 => {
                let done = Rebuilt::Done { generation: 2, live: 2, highest: 2, lost_numbers: 0 };
                assert_eq!(outcome.unwrap(), done);
                node.audit_ok(id.as_str()).await;
            }
            _ => assert_eq!(outcome.unwrap(), Rebuilt::Healthy),
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_with_claims_on_several_pages_hold_all_of_them_after_a_rebuild() {
    let installation = Installation::with(|config| {
        config.kafka.delivery_timeout_ms = 1_000;
        config.rebuild.claims_at_once_max = 10;
    })
    .await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(60, json!({"per_user_limit": 3})).await;
    let back = node.claim(&campaign, "user-0").await;
    node.give_back(&back).await;
    for _ in 0..3 {
        claims(&node, &campaign, 0..12).await;
    }
    node.audit_ok(&campaign).await;
    stores::delete_campaign(&installation.config, &campaign).await;
    let rebuilt = rebuild(&installation, &campaign, WAIT).await.unwrap();
    assert_eq!(rebuilt, Rebuilt::Done { generation: 2, live: 36, highest: 37, lost_numbers: 0 });
    for user in ["user-0", "user-5", "user-11"] {
        let refused = node.claim(&campaign, user).await;
        assert_eq!(refused.outcome(), "409 limit_reached", "{refused:?}");
    }
    let audit = node.audit_ok(&campaign).await;
    assert_eq!((audit.number("rows"), audit.number("given_back"), audit.number("left")), (36, 1, 24));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admission_that_was_stopped_is_stopped_after_a_rebuild() {
    let installation = installation().await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(5, json!({"waiting": {"active_max": 1}})).await;
    node.audit_ok(&campaign).await;
    let room = format!("/v1/ops/waiting/{campaign}");
    let stopped = node.as_operator(Method::POST, &format!("{room}/pause")).await;
    assert_eq!(stopped.body["admitting"], json!(false), "{stopped:?}");
    stores::delete_campaign(&installation.config, &campaign).await;
    rebuild(&installation, &campaign, WAIT).await.unwrap();
    eventually("the room is there", async || node.as_operator(Method::GET, &room).await.status == 200).await;
    assert_eq!(node.as_operator(Method::GET, &room).await.body["admitting"], json!(false));
    let resumed = node.as_operator(Method::POST, &format!("{room}/resume")).await;
    assert_eq!(resumed.body["admitting"], json!(true), "{resumed:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contradiction_is_settled_by_a_rebuild_and_the_audit_is_ok_again() {
    let installation = installation().await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(5, json!({})).await;
    claims(&node, &campaign, 0..3).await;
    node.audit_ok(&campaign).await;
    let producer = Producer::new(&installation.config.kafka).unwrap();
    // One of a fact that is recorded otherwise, and one of a number that another fact has given.
    let published = producer.publish(&[2, 9].map(|fact_no| fact(&campaign, fact_no, Kind::Claimed, 1))).await;
    assert_eq!(published.acknowledged, 2);
    let probe = async || node.claim(&campaign, "user-0").await.outcome();
    eventually("it takes no claims", async || probe().await == "503 unavailable").await;
    let broken = node.audit(&campaign).await;
    assert_eq!((broken.text("verdict"), broken.number("oversold")), ("broken", 1), "{broken:?}");
    let rebuilt = rebuild(&installation, &campaign, WAIT).await.unwrap();
    assert_eq!(rebuilt, Rebuilt::Done { generation: 2, live: 3, highest: 3, lost_numbers: 0 });
    assert_eq!(node.claim(&campaign, "late").await.number("number"), 4);
    let audit = node.audit_ok(&campaign).await;
    assert_eq!((audit.number("rows"), audit.number("oversold")), (4, 0));
    node.stop().await;
}

/// The node that made it died before its row knew that Redis had it, and Redis has lost it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_that_was_lost_before_its_row_knew_of_it_comes_back_with_all_others() {
    let installation = installation().await;
    let (maker, node) = (installation.node(Role::All).await, installation.node(Role::Serve).await);
    let campaign = maker.campaign(3, json!({})).await;
    maker.audit_ok(&campaign).await;
    eventually("the other node has seen it", async || node.view(&campaign).await.status == 200).await;
    maker.stop().await;
    execute(
        &installation,
        &format!("UPDATE campaigns SET ever_put = false, published_version = 0 WHERE id = '{campaign}'"),
    )
    .await;
    stores::delete_campaign(&installation.config, &campaign).await;
    assert_eq!(node.claim(&campaign, "alice").await.outcome(), "503 unavailable");
    let worker = installation.node(Role::Work).await;
    let outcomes = rebuilder(&installation).await.rebuild_all(WAIT).await.unwrap();
    assert!(matches!(&outcomes[..], [(id, Ok(Rebuilt::Done { .. }))] if id.as_str() == campaign), "{outcomes:?}");
    eventually("it is open again", async || node.claim_with_key(&campaign, "alice", "k").await.status == 201).await;
    worker.stop().await;
}

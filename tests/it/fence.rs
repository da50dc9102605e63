//! A Redis that came back without its tail, or as another server, decides nothing before it is known what it lacks.

use std::sync::Arc;
use std::time::Duration;

use onrush::app::Role;
use onrush::database;
use onrush::kafka::Producer;
use onrush::ledger::{Drained, Relay};
use onrush::rebuild::{RebuildError, Rebuilder, Rebuilt};
use onrush::redis::Redis;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::installation::{Answer, Installation, TestNode};
use crate::support::private_redis::PrivateRedis;
use crate::support::stores::eventually;
use crate::support::switch::Switch;

/// Each write is on the disk before it is answered: the log that is put aside is whole.
const LOGGED: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

async fn installation(redis_port: u16, postgres: Option<&Switch>) -> Installation {
    let mut installation = Installation::with(|config| {
        config.redis.url = format!("redis://127.0.0.1:{redis_port}");
        config.redis.command_timeout_ms = 1_000;
        config.redis.reconnect_ms = 20;
        config.redis.fence_settle_ms = 300;
        config.redis.fence_retry_ms = 100;
        config.kafka.delivery_timeout_ms = 1_000;
    })
    .await;
    if let Some(postgres) = postgres {
        let url = &installation.config.postgres.url;
        let (before, after) = url.rsplit_once('/').unwrap();
        let user = before.rsplit_once('@').map_or("postgres://onrush", |(user, _)| user);
        installation.config.postgres.url = format!("{user}@127.0.0.1:{}/{after}", postgres.port);
        installation.config.postgres.acquire_timeout_ms = 500;
    }
    installation
}

fn postgres_port(installation: &Installation) -> u16 {
    let url = &installation.config.postgres.url;
    url.rsplit_once('/').unwrap().0.rsplit_once(':').unwrap().1.parse().unwrap()
}

async fn claim_all(node: &TestNode, campaign: &str, users: std::ops::RangeInclusive<u32>) {
    for user in users {
        assert_eq!(node.claim(campaign, &format!("user-{user}")).await.outcome(), "201");
    }
}

/// Sends claims until the Redis of the node answers again, and some longer. Whatever was answered.
fn claims_meanwhile(node: &TestNode, campaign: &str) -> JoinSet<Vec<Answer>> {
    let mut waiting = JoinSet::new();
    for place in 0..4 {
        let (client, campaign) = (node.client.clone(), campaign.to_owned());
        waiting.spawn(async move {
            let mut answers = Vec::new();
            for user in 0..40 {
                answers.push(client.claim(&campaign, &format!("late-{place}-{user}")).await);
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
            answers
        });
    }
    waiting
}

async fn given(mut waiting: JoinSet<Vec<Answer>>) -> usize {
    let mut given = 0;
    while let Some(answers) = waiting.join_next().await {
        given += answers.unwrap().iter().filter(|answer| answer.status == 201).count();
    }
    given
}

pub(crate) async fn rebuild(installation: &Installation, campaign: &str) -> Rebuilt {
    let redis = Arc::new(Redis::connect(&installation.config.redis).await.unwrap());
    let database = database::open(&installation.config.postgres).unwrap();
    let rebuilder = Rebuilder::new(redis, database, &installation.config).unwrap();
    loop {
        match rebuilder.rebuild(&campaign.parse().unwrap(), Duration::from_secs(30)).await {
            // It began before the server was verified, and nobody could say whether that was in an earlier life.
            Err(RebuildError::Restarted) => {}
            rebuilt => return rebuilt.unwrap().expect("the campaign has a row"),
        }
    }
}

/// All five units stay sold: refused until it is rebuilt, sold out after that.
async fn is_lost_and_comes_back_sold_out(installation: &Installation, node: &TestNode, campaign: &str) {
    eventually("the campaign is known to be lost", async || {
        node.get("/readyz").await.body["lost"] == json!([campaign])
    })
    .await;
    assert_eq!(node.claim(campaign, "late").await.outcome(), "503 unavailable");
    assert_eq!(node.audit(campaign).await.text("verdict"), "broken");
    let rebuilt = rebuild(installation, campaign).await;
    assert_eq!(rebuilt, Rebuilt::Done { generation: 2, live: 5, highest: 5, lost_numbers: 0 });
    assert_eq!(node.claim(campaign, "late").await.outcome(), "409 sold_out");
}

/// The way that was seen first: node B knows fact 3, node A issues the rest; what waited at B during the outage would run with
/// the old mark.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_back_without_its_tail_sells_no_unit_again_at_a_node_that_knows_less() {
    let mut redis = PrivateRedis::start(&LOGGED).await;
    let installation = installation(redis.port, None).await;
    let (a, b) = (installation.node(Role::All).await, installation.node(Role::Serve).await);
    let campaign = a.campaign(5, json!({})).await;
    claim_all(&a, &campaign, 1..=2).await;
    assert_eq!(b.view(&campaign).await.number("left"), 3);
    let aside = redis.put_log_aside();
    claim_all(&a, &campaign, 3..=5).await;
    a.audit_ok(&campaign).await;

    redis.kill();
    let waiting = claims_meanwhile(&b, &campaign);
    redis.start_again(&LOGGED).await;
    redis.set_back(&aside, &LOGGED).await;
    assert_eq!(given(waiting).await, 0, "units that are sold were sold again");
    is_lost_and_comes_back_sold_out(&installation, &b, &campaign).await;
    a.audit_ok(&campaign).await;
}

/// What only a node that lives has seen counts as well: nothing had reached Kafka.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_that_only_a_living_node_has_seen_keep_a_redis_from_deciding() {
    let mut redis = PrivateRedis::start(&LOGGED).await;
    let installation = installation(redis.port, None).await;
    let (a, b) = (installation.node(Role::Serve).await, installation.node(Role::Serve).await);
    let campaign = a.campaign(5, json!({})).await;
    assert_eq!(b.view(&campaign).await.number("left"), 5);
    let aside = redis.put_log_aside();
    claim_all(&a, &campaign, 1..=5).await;
    redis.set_back(&aside, &LOGGED).await;
    assert_eq!(given(claims_meanwhile(&b, &campaign)).await, 0, "units that are sold were sold again");
    for node in [&a, &b] {
        assert_eq!(node.claim(&campaign, "late").await.outcome(), "503 unavailable");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_boots_without_the_database_asks_it_before_a_restarted_redis_decides() {
    let mut redis = PrivateRedis::start(&LOGGED).await;
    let first = installation(redis.port, None).await;
    let node = first.node(Role::All).await;
    let campaign = node.campaign(5, json!({})).await;
    claim_all(&node, &campaign, 1..=2).await;
    let aside = redis.put_log_aside();
    claim_all(&node, &campaign, 3..=5).await;
    node.audit_ok(&campaign).await;
    node.stop().await;
    redis.set_back(&aside, &LOGGED).await;

    let postgres = Switch::to(None).await;
    let mut second = installation(redis.port, Some(&postgres)).await;
    let own_url = second.config.postgres.url.clone();
    second.config = onrush::config::Config { postgres: second.config.postgres.clone(), ..first.config.clone() };
    second.config.postgres.schema.clone_from(&first.config.postgres.schema);
    second.config.postgres.url = own_url;
    let node = second.node(Role::All).await;
    let ready = node.get("/readyz").await;
    assert_eq!(ready.status, 503, "{ready:?}");
    assert!(ready.body["missing"].to_string().contains("being verified"), "{ready:?}");
    assert_eq!(given(claims_meanwhile(&node, &campaign)).await, 0, "units that are sold were sold again");
    postgres.turn(Some(postgres_port(&first)));
    is_lost_and_comes_back_sold_out(&first, &node, &campaign).await;
    assert_eq!(node.get("/readyz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_boots_while_the_ledger_is_behind_asks_kafka_before_a_restarted_redis_decides() {
    let mut redis = PrivateRedis::start(&LOGGED).await;
    let installation = installation(redis.port, None).await;
    let worker = installation.node(Role::All).await;
    let campaign = worker.campaign(5, json!({})).await;
    claim_all(&worker, &campaign, 1..=2).await;
    worker.audit_ok(&campaign).await;
    worker.stop().await;
    let aside = redis.put_log_aside();
    // From here on nobody writes to the database, and a relay goes on.
    let server = installation.node(Role::Serve).await;
    claim_all(&server, &campaign, 3..=5).await;
    server.stop().await;
    let own = Arc::new(Redis::connect(&installation.config.redis).await.unwrap());
    let producer = Arc::new(Producer::new(&installation.config.kafka).unwrap());
    let relay = Relay::new(own, producer, &installation.config);
    let id = campaign.parse().unwrap();
    eventually("all facts are in Kafka", async || matches!(relay.drain_once(&id).await, Drained::Empty)).await;
    redis.set_back(&aside, &LOGGED).await;

    let server = installation.node(Role::Serve).await;
    assert_eq!(given(claims_meanwhile(&server, &campaign)).await, 0, "units that are sold were sold again");
    let worker = installation.node(Role::Work).await;
    is_lost_and_comes_back_sold_out(&installation, &server, &campaign).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_replica_that_lagged_sells_no_unit_again() {
    let mut primary = PrivateRedis::start(&LOGGED).await;
    let replica = PrivateRedis::replica_of(&primary, &LOGGED).await;
    let address = Switch::to(Some(primary.port)).await;
    let installation = installation(address.port, None).await;
    let (a, b) = (installation.node(Role::All).await, installation.node(Role::Serve).await);
    let campaign = a.campaign(5, json!({})).await;
    claim_all(&a, &campaign, 1..=2).await;
    assert_eq!(b.view(&campaign).await.number("left"), 3);
    let claims = format!("{}{{{campaign}}}:claims", installation.config.redis.key_prefix);
    replica.until("it has two claims", |redis| redis.cli(&["hlen", &claims]) == "2").await;
    replica.freeze();
    claim_all(&a, &campaign, 3..=5).await;
    a.audit_ok(&campaign).await;

    primary.kill();
    let waiting = claims_meanwhile(&b, &campaign);
    replica.thaw();
    replica.cli(&["replicaof", "no", "one"]);
    replica.until("it is a primary", |redis| redis.cli(&["info", "replication"]).contains("role:master")).await;
    // What was under way to it may have arrived: then nothing is lost, and nothing is left to sell either.
    let arrived = replica.cli(&["hlen", &claims]);
    address.turn(Some(replica.port));
    assert_eq!(given(waiting).await, 0, "units that are sold were sold again");
    if arrived == "2" {
        is_lost_and_comes_back_sold_out(&installation, &b, &campaign).await;
    }
    assert_eq!(b.claim(&campaign, "late").await.outcome(), "409 sold_out");
}

/// A pause that Redis has forgotten holds before it decides again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_a_restarted_redis_has_forgotten_is_put_again_before_it_decides() {
    let mut redis = PrivateRedis::start(&LOGGED).await;
    let installation = installation(redis.port, None).await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(5, json!({})).await;
    node.audit_ok(&campaign).await;
    let aside = redis.put_log_aside();
    let pause = format!("/v1/campaigns/{campaign}/pause");
    assert_eq!(node.as_operator(reqwest::Method::POST, &pause).await.outcome(), "200");
    redis.set_back(&aside, &LOGGED).await;
    let newcomer = installation.node(Role::Serve).await;
    for node in [&node, &newcomer] {
        let mut outcome = String::new();
        eventually("Redis decides again", async || {
            outcome = node.claim(&campaign, "alice").await.outcome();
            outcome != "503 unavailable"
        })
        .await;
        assert_eq!(outcome, "409 paused");
    }
}

/// The same server that has only forgotten its scripts goes on at once: nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_forgotten_its_scripts_goes_on_without_a_refusal() {
    let redis = PrivateRedis::start(&LOGGED).await;
    let installation = installation(redis.port, None).await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let campaign = nodes[0].campaign(200, json!({"per_user_limit": 1})).await;
    for user in 0..100 {
        if user % 10 == 0 {
            redis.cli(&["script", "flush"]);
        }
        assert_eq!(nodes[user % 2].claim(&campaign, &format!("user-{user}")).await.outcome(), "201");
    }
    nodes[0].audit_ok(&campaign).await;
}

/// A restart that loses nothing costs no campaign its life.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_back_with_all_it_had_goes_on_by_itself() {
    let mut redis = PrivateRedis::start(&LOGGED).await;
    let installation = installation(redis.port, None).await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(5, json!({})).await;
    claim_all(&node, &campaign, 1..=2).await;
    redis.kill();
    redis.start_again(&LOGGED).await;
    eventually("claims go on", async || node.claim_with_key(&campaign, "user-3", "k").await.status == 201).await;
    assert_eq!(node.get("/readyz").await.body["lost"], json!([]));
    claim_all(&node, &campaign, 4..=5).await;
    node.audit_ok(&campaign).await;
}

/// Emptied in the life that was verified: a node that has seen the campaign notices, and one that boots after it as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_emptied_while_it_runs_is_verified_anew() {
    for boots_after in [false, true] {
        let redis = PrivateRedis::start(&LOGGED).await;
        let installation = installation(redis.port, None).await;
        let mut node = installation.node(Role::All).await;
        let campaign = node.campaign(5, json!({})).await;
        claim_all(&node, &campaign, 1..=5).await;
        node.audit_ok(&campaign).await;
        if boots_after {
            node.stop().await;
            redis.cli(&["FLUSHALL"]);
            node = installation.node(Role::All).await;
        } else {
            redis.cli(&["FLUSHALL"]);
        }
        is_lost_and_comes_back_sold_out(&installation, &node, &campaign).await;
        node.audit_ok(&campaign).await;
    }
}

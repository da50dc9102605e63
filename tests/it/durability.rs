//! An answer says what holds: with real replicas that stop and die, and with logs that sync or do not.

use onrush::app::Role;
use reqwest::Method;
use serde_json::json;

use crate::support::installation::{Answer, Installation, TestNode};
use crate::support::private_redis::PrivateRedis;
use crate::support::stores::eventually;

/// How long an answer waits for the replicas, in milliseconds.
const WAIT_MS_MAX: u32 = 2_000;
const SYNCED: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

async fn on(redis: &PrivateRedis) -> (Installation, TestNode) {
    let installation = Installation::with(|config| {
        config.redis.url = redis.url();
        // Many tests share two cores: a replica that runs must not seem to be stopped.
        config.redis.wait_ms_max = WAIT_MS_MAX;
        config.redis.command_timeout_ms = 3 * u64::from(WAIT_MS_MAX);
    })
    .await;
    let node = installation.node(Role::All).await;
    (installation, node)
}

async fn asking_for(node: &TestNode, durability: &str) -> String {
    node.campaign(1_000, json!({"durability": durability, "per_user_limit": 2})).await
}

/// The durability of a claim just made.
async fn claim(node: &TestNode, campaign: &str, user: &str) -> String {
    let answer = node.claim(campaign, user).await;
    assert_eq!(answer.outcome(), "201", "{answer:?}");
    answer.text("durability").to_owned()
}

async fn get(node: &TestNode, claim: &Answer) -> String {
    let answer =
        node.as_user(claim.text("user_id"), Method::GET, &format!("/v1/claims/{}", claim.text("claim_id"))).await;
    assert_eq!(answer.status, 200);
    answer.text("durability").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replicated_claim_says_so_and_says_less_while_its_replica_is_stopped() {
    let primary = PrivateRedis::start(&[]).await;
    let replica = PrivateRedis::replica_of(&primary, &[]).await;
    let (_installation, node) = on(&primary).await;
    let campaign = asking_for(&node, "replicated").await;
    let alice = node.claim_with_key(&campaign, "alice", "k").await;
    assert_eq!((alice.outcome().as_str(), alice.text("durability")), ("201", "replicated"));
    assert_eq!(get(&node, &alice).await, "replicated");

    replica.freeze();
    let asked = std::time::Instant::now();
    let bob = node.claim_with_key(&campaign, "bob", "k").await;
    assert_eq!((bob.outcome().as_str(), bob.text("durability")), ("201", "memory"));
    let limit = std::time::Duration::from_millis(u64::from(2 * WAIT_MS_MAX));
    assert!(asked.elapsed() < limit, "{:?}", asked.elapsed());
    assert_eq!(get(&node, &alice).await, "memory", "what holds now is less");
    let replayed = node.claim_with_key(&campaign, "alice", "k").await;
    assert_eq!((replayed.header("idempotency-replayed"), replayed.text("durability")), (Some("true"), "memory"));

    replica.thaw();
    assert_eq!(claim(&node, &campaign, "carol").await, "replicated");
    assert_eq!(get(&node, &alice).await, "replicated");
    // Bob was told memory, and hears no more than that from then on: by replay, by reading, by list, by give-back.
    let replayed = node.claim_with_key(&campaign, "bob", "k").await;
    assert_eq!((replayed.status, replayed.text("durability")), (201, "memory"));
    assert_eq!(get(&node, &bob).await, "memory");
    let mine = node.as_user("bob", Method::GET, &format!("/v1/campaigns/{campaign}/claims/mine")).await;
    assert_eq!(mine.body["items"][0]["durability"], "memory");
    assert_eq!(node.give_back(&bob).await.text("durability"), "memory");
    assert_eq!(node.give_back(&alice).await.text("durability"), "replicated");
    let page = node.as_operator(Method::GET, &format!("/v1/campaigns/{campaign}/claims")).await;
    let told: Vec<&str> =
        page.body["items"].as_array().unwrap().iter().map(|it| it["durability"].as_str().unwrap()).collect();
    assert_eq!(told, ["replicated", "memory", "replicated"]);
    node.audit_ok(&campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_replica_or_a_log_an_answer_says_memory_whatever_is_asked_for() {
    let redis = PrivateRedis::start(&[]).await;
    let (_installation, node) = on(&redis).await;
    for durability in ["memory", "fsynced", "replicated"] {
        let campaign = asking_for(&node, durability).await;
        assert_eq!(claim(&node, &campaign, "alice").await, "memory");
        assert_eq!(node.view(&campaign).await.text("durability"), durability, "what is asked for stays as it was");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fsynced_is_said_while_each_write_is_synced_and_not_a_second_longer() {
    let redis = PrivateRedis::start(&SYNCED).await;
    let (_installation, node) = on(&redis).await;
    let synced = asking_for(&node, "fsynced").await;
    let alice = node.claim_with_key(&synced, "alice", "k").await;
    assert_eq!(alice.text("durability"), "fsynced");
    assert_eq!(claim(&node, &asking_for(&node, "memory").await, "alice").await, "memory", "no more than asked for");
    let replicated = asking_for(&node, "replicated").await;
    assert_eq!(claim(&node, &replicated, "alice").await, "fsynced", "what was reached, though less than asked for");

    for (setting, bad, good) in
        [("appendfsync", "everysec", "always"), ("no-appendfsync-on-rewrite", "yes", "no"), ("appendonly", "no", "yes")]
    {
        redis.cli(&["config", "set", setting, bad]);
        let since = std::time::Instant::now();
        eventually("an answer says memory", async || get(&node, &alice).await == "memory").await;
        assert!(since.elapsed() < std::time::Duration::from_secs(4), "{setting}: {:?}", since.elapsed());
        assert_eq!(claim(&node, &synced, &format!("{setting}-bad")).await, "memory");
        redis.cli(&["config", "set", setting, good]);
        eventually("an answer says fsynced", async || get(&node, &alice).await == "fsynced").await;
        assert_eq!(claim(&node, &synced, &format!("{setting}-good")).await, "fsynced");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_settings_may_not_be_read_nothing_is_called_fsynced() {
    let redis = PrivateRedis::start(&SYNCED).await;
    redis.cli(&["acl", "setuser", "onrush", "on", ">secret", "~*", "&*", "+@all", "-config"]);
    let url = redis.url().replace("redis://", "redis://onrush:secret@");
    let installation = Installation::with(|config| config.redis.url = url).await;
    let node = installation.node(Role::All).await;
    assert_eq!(claim(&node, &asking_for(&node, "fsynced").await, "alice").await, "memory");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_fsynced_claim_outlives_a_killed_redis_and_a_changed_one_is_noticed_after_the_reconnect() {
    let mut redis = PrivateRedis::start(&SYNCED).await;
    let (_installation, node) = on(&redis).await;
    let campaign = asking_for(&node, "fsynced").await;
    let alice = node.claim_with_key(&campaign, "alice", "k").await;
    assert_eq!(alice.text("durability"), "fsynced");
    redis.kill();
    redis.start_again(&["--appendonly", "yes", "--appendfsync", "everysec"]).await;
    eventually("claims go on", async || node.claim_with_key(&campaign, "bob", "k").await.status == 201).await;
    assert_eq!(get(&node, &alice).await, "memory");
    assert_eq!(node.claim_with_key(&campaign, "bob", "k").await.text("durability"), "memory");
    node.audit_ok(&campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_called_replicated_is_there_when_the_primary_is_lost() {
    let mut primary = PrivateRedis::start(&[]).await;
    let replica = PrivateRedis::replica_of(&primary, &[]).await;
    let (mut installation, node) = on(&primary).await;
    let campaign = asking_for(&node, "replicated").await;
    let mut told = Vec::new();
    for user in 0..200 {
        let answer = node.claim_with_key(&campaign, &format!("user-{user}"), "k").await;
        assert_eq!((answer.outcome().as_str(), answer.text("durability")), ("201", "replicated"));
        told.push(answer);
    }
    primary.kill();
    replica.cli(&["replicaof", "no", "one"]);
    installation.config.redis.url = replica.url();
    // Each answer would wait for replicas that there are none of.
    installation.config.redis.wait_ms_max = 5;
    let other = installation.node(Role::All).await;
    for (user, first) in told.iter().enumerate() {
        let again = other.claim_with_key(&campaign, &format!("user-{user}"), "k").await;
        assert_eq!((again.status, again.text("claim_id")), (201, first.text("claim_id")));
        assert_eq!(again.text("durability"), "memory", "there is no replica any more");
    }
    other.audit_ok(&campaign).await;
}

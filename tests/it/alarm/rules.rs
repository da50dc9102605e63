//! Each rule: CRITICAL when what it watches is bad, UNKNOWN when that cannot be seen, and healthy again.

use std::collections::BTreeSet;

use onrush::alarm::{Alarm, State, read_board};
use onrush::app::Role;
use onrush::config::{Config, Thresholds};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Chat, alarm, quick};
use crate::support::installation::{Installation, TestNode};
use crate::support::private_redis::PrivateRedis;
use crate::support::stores::{Stores, eventually};
use crate::support::switch::Switch;

/// The database by way of a switch that can lead nowhere: the switch, and its address.
async fn by_way_of_a_switch() -> (Switch, String) {
    let config = crate::support::names::config();
    let (before, name) = config.postgres.url.rsplit_once('/').unwrap();
    let (user, _) = before.rsplit_once('@').unwrap();
    let switch = Switch::to(Some(postgres_port(&config))).await;
    let url = format!("{user}@127.0.0.1:{}/{name}", switch.port);
    (switch, url)
}

fn postgres_port(config: &Config) -> u16 {
    let url = &config.postgres.url;
    url.rsplit_once('/').unwrap().0.rsplit_once(':').unwrap().1.parse().unwrap()
}

fn brisk(config: &mut Config) {
    quick(config, String::new());
    config.alarm.read_timeout_ms = 400;
    config.alarm.node_gone_ms = 1_000;
    config.health.report_every_ms = 100;
    config.relay.sweep_ms = 50;
    config.redis.command_timeout_ms = 1_000;
    config.redis.reconnect_ms = 20;
    config.redis.fence_settle_ms = 100;
    config.redis.fence_retry_ms = 50;
}

async fn states(alarm: &Alarm, stores: &Stores, rules: &[&str]) -> BTreeSet<&'static str> {
    alarm.tick().await.unwrap();
    let board = read_board(&stores.redis, &stores.config.alarm).await;
    let found = board.iter().filter(|rule| rules.contains(&rule.rule)).map(|rule| match rule.state {
        State::Healthy => "HEALTHY",
        State::Caution => "CAUTION",
        State::Critical => "CRITICAL",
        State::Unknown => "UNKNOWN",
    });
    found.collect()
}

async fn rule(node: &TestNode, name: &str) -> Value {
    let board = node.as_operator(Method::GET, "/v1/ops/alarms").await;
    board.body["rules"].as_array().unwrap().iter().find(|rule| rule["rule"] == name).unwrap().clone()
}

async fn becomes(node: &TestNode, name: &str, state: &str) {
    eventually(&format!("{name} is {state}"), async || rule(node, name).await["state"] == state).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_of_the_database() {
    const RULES: [&str; 6] = [
        "dead_letters_waiting",
        "contradictions",
        "audits_broken",
        "feed_outbox_waiting_s",
        "feed_outbox_failed",
        "feed_unmended",
    ];
    let (switch, url) = by_way_of_a_switch().await;
    let stores = Stores::with(|config| {
        brisk(config);
        config.postgres.url = url;
        config.postgres.acquire_timeout_ms = 300;
        config.alarm.window_ms = 60_000;
    })
    .await;
    let alarm = alarm(&stores).await;
    assert_eq!(states(&alarm, &stores, &RULES).await, ["HEALTHY"].into());
    for statement in [
        super::LETTER,
        "INSERT INTO contradictions (campaign_id, generation, fact_no, fact) VALUES ('SUMMER', 1, 1, '{}')",
        "INSERT INTO broken_audits (campaign_id, finding) VALUES ('SUMMER', 'missing 1')",
        "INSERT INTO post_outbox (post_id, message, created_at) VALUES (1, '{}', now() - interval '10 minutes')",
        "INSERT INTO post_outbox (post_id, message, state) VALUES (2, '{}', 'failed')",
        "UPDATE post_reconciliation SET unmended = 1",
    ] {
        sqlx::query(statement).execute(&stores.database).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    assert_eq!(states(&alarm, &stores, &RULES).await, ["CRITICAL"].into());
    let board = read_board(&stores.redis, &stores.config.alarm).await;
    let named: Vec<&str> = board.iter().filter(|rule| rule.campaigns == ["SUMMER"]).map(|rule| rule.rule).collect();
    assert_eq!(named, ["contradictions", "audits_broken"]);
    let port = postgres_port(&crate::support::names::config());
    switch.turn(None);
    assert_eq!(states(&alarm, &stores, &RULES).await, ["UNKNOWN"].into());
    switch.turn(Some(port));
    for statement in [
        "UPDATE dead_letters SET state = 'replayed'",
        "DELETE FROM contradictions",
        "DELETE FROM broken_audits",
        "DELETE FROM post_outbox",
        "UPDATE post_reconciliation SET unmended = 0, unmended_before = 0",
    ] {
        eventually("the database is back", async || sqlx::query(statement).execute(&stores.database).await.is_ok())
            .await;
    }
    eventually("all are healthy", async || states(&alarm, &stores, &RULES).await == ["HEALTHY"].into()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_campaign_by_its_name() {
    let redis = PrivateRedis::start(&["--appendonly", "no"]).await;
    let chat = Chat::default();
    let url = chat.open().await;
    let (switch, database_url) = by_way_of_a_switch().await;
    let installation = Installation::with(|config| {
        brisk(config);
        config.alarm.webhook_url = url;
        config.alarm.runbook_url = "https://runbook.example/onrush".into();
        config.redis.url = redis.url();
        config.postgres.url = database_url;
        config.postgres.acquire_timeout_ms = 300;
    })
    .await;
    let mut redis = redis;
    let node = installation.node(Role::All).await;
    becomes(&node, "campaigns_lost", "HEALTHY").await;
    let campaign = node.campaign(5, json!({})).await;
    assert_eq!(node.claim(&campaign, "alice").await.status, 201);
    node.audit_ok(&campaign).await;
    // Another Redis without its keys, and nobody who says what it should have.
    let port = postgres_port(&crate::support::names::config());
    switch.turn(None);
    redis.kill();
    redis.start_again(&["--appendonly", "no"]).await;
    becomes(&node, "campaigns_lost", "UNKNOWN").await;
    switch.turn(Some(port));
    becomes(&node, "campaigns_lost", "CRITICAL").await;
    assert_eq!(rule(&node, "campaigns_lost").await["campaigns"], json!([campaign]));
    let line = format!(
        "Onrush: CRITICAL: campaigns_lost is 1 (critical from 1): {campaign} https://runbook.example/onrush#campaigns_lost"
    );
    eventually("the chat knows which one and where to look", async || {
        chat.told().iter().any(|told| told.lines().any(|told| told == line))
    })
    .await;
    crate::fence::rebuild(&installation, &campaign).await;
    becomes(&node, "campaigns_lost", "HEALTHY").await;
}

/// Kafka is away from the beginning, for the only worker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_that_wait_in_an_outbox_by_their_age_and_number() {
    let redis = PrivateRedis::start(&[]).await;
    let mut installation = Installation::with(|config| {
        brisk(config);
        config.redis.url = redis.url();
        config.campaign.outbox_facts_max = 10;
        config.alarm.outbox_oldest_s = Thresholds { caution: 1, critical: 2 };
        config.alarm.lag_oldest_s = Thresholds { caution: 1, critical: 2 };
    })
    .await;
    // Without Kafka nobody verifies Redis: somebody did before.
    let first = installation.node(Role::All).await;
    let campaign = first.campaign(100, json!({})).await;
    first.audit_ok(&campaign).await;
    first.stop().await;
    let brokers = std::mem::replace(&mut installation.config.kafka.brokers, "127.0.0.1:1".into());
    let blind = installation.node(Role::All).await;
    for user in 0..8 {
        assert_eq!(blind.claim(&campaign, &format!("user-{user}")).await.status, 201);
    }
    becomes(&blind, "outbox_percent", "CRITICAL").await;
    becomes(&blind, "outbox_oldest_s", "CRITICAL").await;
    becomes(&blind, "lag_records", "UNKNOWN").await;
    becomes(&blind, "lag_oldest_s", "UNKNOWN").await;
    let ready = blind.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["missing"]), (200, &json!(["kafka"])));
    assert_eq!(rule(&blind, "outbox_oldest_s").await["campaigns"], json!([campaign]));
    blind.stop().await;

    installation.config.kafka.brokers = brokers;
    let worker = installation.node(Role::Work).await;
    let watcher = installation.node(Role::Serve).await;
    for rule in ["outbox_percent", "outbox_oldest_s", "lag_records", "lag_oldest_s"] {
        becomes(&watcher, rule, "HEALTHY").await;
    }
    assert_eq!(watcher.get("/readyz").await.body["missing"], json!([]));
    worker.stop().await;
    // Nobody looks at them any more.
    becomes(&watcher, "outbox_percent", "UNKNOWN").await;
    becomes(&watcher, "outbox_oldest_s", "UNKNOWN").await;
}

/// The ledger's database is away, and Kafka keeps what it cannot write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_that_wait_in_kafka_by_their_age_and_number() {
    let (switch, database_url) = by_way_of_a_switch().await;
    let installation = Installation::with(|config| {
        brisk(config);
        config.postgres.url = database_url;
        config.postgres.acquire_timeout_ms = 300;
        config.alarm.lag_records = Thresholds { caution: 1, critical: 5 };
        config.alarm.lag_oldest_s = Thresholds { caution: 1, critical: 2 };
    })
    .await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(100, json!({})).await;
    node.audit_ok(&campaign).await;
    let port = postgres_port(&crate::support::names::config());
    switch.turn(None);
    for user in 0..20 {
        assert_eq!(node.claim(&campaign, &format!("user-{user}")).await.status, 201);
    }
    becomes(&node, "lag_records", "CRITICAL").await;
    becomes(&node, "lag_oldest_s", "CRITICAL").await;
    becomes(&node, "dead_letters_waiting", "UNKNOWN").await;
    switch.turn(Some(port));
    becomes(&node, "lag_records", "HEALTHY").await;
    becomes(&node, "lag_oldest_s", "HEALTHY").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_that_fail_and_memory_that_ends() {
    let redis = PrivateRedis::start(&[]).await;
    let installation = Installation::with(|config| {
        brisk(config);
        config.redis.url = redis.url();
        config.alarm.window_ms = 1_500;
    })
    .await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(100, json!({})).await;
    becomes(&node, "claims_failed_percent", "HEALTHY").await;
    becomes(&node, "redis_memory_percent", "HEALTHY").await;
    redis.cli(&["config", "set", "maxmemory", "1"]);
    for user in 0..40 {
        assert_eq!(node.claim(&campaign, &format!("user-{user}")).await.outcome(), "503 unavailable");
    }
    becomes(&node, "claims_failed_percent", "CRITICAL").await;
    becomes(&node, "redis_memory_percent", "CRITICAL").await;
    eventually("it is not ready", async || {
        let ready = node.get("/readyz").await;
        ready.status == 503 && ready.body["missing"] == json!(["redis: refuses writes"])
    })
    .await;
    redis.freeze();
    for name in onrush::config::Alarm::RULES {
        becomes(&node, name, "UNKNOWN").await;
    }
    let figures = node.get("/metrics").await.body.as_str().unwrap().to_owned();
    assert!(figures.contains("onrush_alarm_state{rule=\"lag_records\"}"), "{figures}");
    redis.thaw();
    redis.cli(&["config", "set", "maxmemory", "0"]);
    becomes(&node, "claims_failed_percent", "HEALTHY").await;
    becomes(&node, "redis_memory_percent", "HEALTHY").await;
    eventually("it is ready again", async || node.get("/readyz").await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_are_gone_are_seen_by_who_serves_and_loops_that_restart() {
    let redis = PrivateRedis::start(&[]).await;
    let installation = Installation::with(|config| {
        brisk(config);
        config.redis.url = redis.url();
        config.alarm.window_ms = 2_000;
        config.alarm.workers_gone_s = Thresholds { caution: 1, critical: 2 };
        config.alarm.audits_late_s = Thresholds { caution: 1, critical: 3 };
        config.audit.every_ms = 100;
        config.dead_letters.dead_retries_max = 0;
        config.supervisor.restart_ms = 10;
    })
    .await;
    let watcher = installation.node(Role::Serve).await;
    // None was ever there.
    becomes(&watcher, "workers_gone_s", "CRITICAL").await;
    becomes(&watcher, "audits_late_s", "UNKNOWN").await;
    let worker = installation.node(Role::Work).await;
    for name in ["workers_gone_s", "audits_late_s", "loops_restarted"] {
        becomes(&watcher, name, "HEALTHY").await;
    }
    for _ in 0..5 {
        let restarts = worker.loops().restarts();
        assert!(worker.loops().break_loop("quarantine"));
        eventually("it begins anew", async || worker.loops().restarts() > restarts).await;
    }
    becomes(&watcher, "loops_restarted", "CRITICAL").await;
    becomes(&watcher, "loops_restarted", "HEALTHY").await;
    worker.stop().await;
    becomes(&watcher, "workers_gone_s", "CRITICAL").await;
    becomes(&watcher, "audits_late_s", "CRITICAL").await;
    redis.freeze();
    for name in ["workers_gone_s", "audits_late_s", "loops_restarted"] {
        becomes(&watcher, name, "UNKNOWN").await;
    }
    redis.thaw();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thresholds_change_on_all_nodes_without_a_restart() {
    let installation = Installation::with(|config| {
        brisk(config);
        config.alarm.window_ms = 300;
    })
    .await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let database = onrush::database::open(&installation.config.postgres).unwrap();
    sqlx::query(super::LETTER).execute(&database).await.unwrap();
    becomes(&nodes[1], "dead_letters_waiting", "CRITICAL").await;
    let change = json!({"rules": {"dead_letters_waiting": {"caution": 5, "critical": 9}}, "window_ms": 400});
    let changed = nodes[0].operator_sends(Method::PATCH, "/v1/ops/alarms", &change).await;
    assert_eq!((changed.status, &changed.body["window_ms"]), (200, &json!(400)));
    becomes(&nodes[1], "dead_letters_waiting", "HEALTHY").await;
    assert_eq!(rule(&nodes[1], "dead_letters_waiting").await["critical"], 9);
    for (body, pointer) in [
        (
            json!({"rules": {"dead_letters_waiting": {"caution": 5, "critical": 4}}}),
            "/rules/dead_letters_waiting/caution",
        ),
        (json!({"rules": {"dead_letters_waiting": {"caution": 5}}}), "/rules/dead_letters_waiting/critical"),
        (json!({"rules": {"no_such_rule": {"caution": 1, "critical": 1}}}), "/rules/no_such_rule"),
        (json!({"pending_ms": -1}), "/pending_ms"),
    ] {
        let refused = nodes[0].operator_sends(Method::PATCH, "/v1/ops/alarms", &body).await;
        assert_eq!((refused.status, &refused.body["errors"][0]["pointer"]), (400, &json!(pointer)), "{refused:?}");
    }
    assert_eq!(rule(&nodes[0], "dead_letters_waiting").await["critical"], 9, "what is refused changes nothing");
}

/// Whoever is told of a rule finds under its name what to do.
#[test]
fn every_rule_is_in_the_runbook() {
    let runbook = std::fs::read_to_string("docs/runbook.md").unwrap();
    let headings: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let missing: Vec<_> = onrush::config::Alarm::RULES.into_iter().filter(|rule| !headings.contains(rule)).collect();
    assert_eq!(missing, [""; 0]);
}

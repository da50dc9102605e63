//! Each fault alone, in mid-rush: what clients were told is so, at the end.

use std::time::Duration;

use faults::evidence::rows;
use faults::installation::{Role, Store};
use faults::request::{Asked, Request};
use testkit::client::token;
use testkit::patience::Patience;
use testkit::redis::Fsync;

use crate::support::{Scene, Set, USUAL, run};

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_server_killed_in_mid_rush_takes_no_promise_with_it() {
    run(async {
        let mut scene = Scene::set("server_killed", 1, USUAL).await;
        scene.begin();
        scene.until_given(50).await;
        scene.servers[1].kill().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        scene.installation.revive(&scene.servers[1]).await.unwrap();
        scene.ends_well().await;
    });
}

/// The one that has the campaign cannot be told from outside, so both are stopped in turn.
#[test]
fn a_relay_stopped_past_its_lease_loses_and_doubles_nothing() {
    run(async {
        let mut scene = Scene::set("relay_stopped", 2, Set { settings: &[("RELAY__LEASE_MS", "700")], ..USUAL }).await;
        scene.begin();
        scene.until_given(20).await;
        for worker in &scene.workers {
            worker.pause(Duration::from_millis(1_500)).await.unwrap();
        }
        scene.ends_well().await;
    });
}

#[test]
fn claims_go_on_while_kafka_is_dead_for_ten_seconds_and_all_arrive() {
    run(async {
        let set = Set { alone: true, rush: Duration::from_secs(8), plenty: true, ..USUAL };
        let mut scene = Scene::set("kafka_killed", 3, set).await;
        scene.begin();
        scene.until_given(50).await;
        scene.installation.stores.kafka.kill();
        let given = scene.rush.history.count(201);
        scene.until_given(given + 50).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        scene.installation.stores.kafka.start_again(&scene.installation.stores.checkout).await.unwrap();
        let unanswered = scene.rush.history.count(503) + scene.rush.history.count(0);
        assert_eq!(unanswered, 0, "claims do not need Kafka");
        scene.ends_well().await;
    });
}

#[test]
fn claims_go_on_while_postgres_is_dead_for_ten_seconds_and_all_arrive() {
    run(async {
        let set = Set { alone: true, rush: Duration::from_secs(8), plenty: true, ..USUAL };
        let mut scene = Scene::set("postgres_killed", 4, set).await;
        scene.begin();
        scene.until_given(50).await;
        scene.installation.stores.postgres.kill();
        let given = scene.rush.history.count(201);
        scene.until_given(given + 50).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        scene.installation.stores.postgres.start_again().await.unwrap();
        let unanswered = scene.rush.history.count(503) + scene.rush.history.count(0);
        assert_eq!(unanswered, 0, "claims do not need the database");
        scene.ends_well().await;
    });
}

/// The proxy holds every commit of offsets: what is in the database then is read again by whoever comes next.
#[test]
fn a_worker_killed_between_database_and_offsets_leaves_each_fact_once() {
    run(async {
        let mut scene = Scene::set("offsets_held", 5, USUAL).await;
        for worker in &scene.workers {
            worker.proxy(Store::Kafka).hold_offset_commits();
        }
        scene.begin();
        scene.until_given(100).await;
        for worker in &scene.workers {
            let patience = Patience::new("a commit is held", PATIENCE);
            while worker.proxy(Store::Kafka).held_offset_commits() == 0 {
                patience.wait().await.unwrap();
            }
        }
        assert!(
            !rows(&scene.installation, &scene.rush.campaign).await.unwrap().is_empty(),
            "something is in the database"
        );
        for worker in &scene.workers {
            worker.kill().await;
            // A commit that is still under way when its sender is dead must not get through.
            worker.proxy(Store::Kafka).cut();
            worker.proxy(Store::Kafka).clear();
            scene.installation.revive(worker).await.unwrap();
        }
        let patience = Patience::new("facts come again", PATIENCE);
        while doubles(&scene).await < 1.0 {
            patience.wait().await.unwrap();
        }
        scene.ends_well().await;
    });
}

/// Facts that were rows already when they came from Kafka.
async fn doubles(scene: &Scene) -> f64 {
    let mut sum = 0.0;
    for worker in &scene.workers {
        sum += worker.metric("onrush_ledger_doubles_total").await.unwrap_or(0.0);
    }
    sum
}

#[test]
fn a_group_rebalanced_in_mid_batch_loses_and_doubles_nothing() {
    run(async {
        let mut scene = Scene::set("rebalanced", 6, USUAL).await;
        scene.begin();
        scene.until_given(20).await;
        for _ in 0..2 {
            let passer_by = scene.installation.node(Role::Work, "passer-by").await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
            passer_by.terminate().await.unwrap();
        }
        scene.ends_well().await;
    });
}

#[test]
fn redis_killed_and_started_with_its_log_forgets_nothing_that_was_answered() {
    run(async {
        let mut scene = Scene::set("redis_killed", 7, Set { fsync: Fsync::Always, ..USUAL }).await;
        scene.begin();
        for given in [30, 60] {
            scene.until_given(given).await;
            scene.installation.without_redis(Duration::from_millis(300)).await.unwrap();
        }
        scene.ends_well().await;
    });
}

/// The client library sends again what was under way when its connection broke. The attempt's id makes both one.
#[test]
fn a_reply_lost_on_its_way_gives_nobody_a_second_unit() {
    run(async {
        let mut scene = Scene::set("replies_lost", 8, Set { plenty: true, ..USUAL }).await;
        scene.begin();
        for given in [10, 40, 70, 100] {
            scene.until_given(given).await;
            for server in &scene.servers {
                server.proxy(Store::Redis).lose_replies(2);
            }
        }
        scene.finish().await;
        let lost: usize = scene.servers.iter().map(|server| server.proxy(Store::Redis).lost_replies()).sum();
        assert!(lost >= 4, "{lost} replies were lost");
        scene.ends_well().await;
    });
}

#[test]
fn scripts_forgotten_in_mid_rush_are_loaded_again() {
    run(async {
        let mut scene = Scene::set("scripts_forgotten", 9, USUAL).await;
        scene.begin();
        for given in [20, 50, 80] {
            scene.until_given(given).await;
            scene.installation.redis().forget_scripts().await.unwrap();
        }
        scene.finish().await;
        let unanswered = scene.rush.history.count(503) + scene.rush.history.count(0);
        assert_eq!(unanswered, 0, "a script that Redis does not know is loaded, and nobody notices");
        scene.ends_well().await;
    });
}

/// `outbox_facts_max` is 1,000, and one of these is that the campaign was created: 999 claims fit.
#[test]
fn what_kafka_cannot_take_is_refused_before_a_unit_is_taken() {
    run(async {
        let set =
            Set { settings: &[("CAMPAIGN__OUTBOX_FACTS_MAX", "1000")], plenty: true, without_kafka: true, ..USUAL };
        let scene = Scene::set("outbox_full", 10, set).await;
        let mut claims = tokio::task::JoinSet::new();
        for user in 0..999 {
            let rush = scene.rush.clone();
            claims.spawn(async move { rush.claim(&format!("early-{user}"), "key").await.unwrap().unwrap().status });
        }
        while let Some(status) = claims.join_next().await {
            assert_eq!(status.unwrap(), 201);
        }
        let asked = Asked::Claim { key: Some("key".into()) };
        let late = Request { user: "late".into(), token: token("late").unwrap(), asked };
        for node in 0..2 {
            let answer = scene.rush.ask(node, &late).await.unwrap();
            assert_eq!((answer.status, answer.code()), (503, "unavailable"), "{answer:?}");
        }
        for worker in &scene.workers {
            worker.proxy(Store::Kafka).clear();
        }
        let installation = &scene.installation;
        installation.settle(Some(&scene.rush.campaign), PATIENCE).await.unwrap().unwrap();
        assert_eq!(
            rows(installation, &scene.rush.campaign).await.unwrap().len(),
            999,
            "the refused claim took no unit"
        );
        let answer = scene.rush.claim("late", "key").await.unwrap().unwrap();
        assert_eq!((answer.status, answer.body["number"].as_u64()), (201, Some(1_000)), "{answer:?}");
        scene.ends_well().await;
    });
}

//! Records that cannot become rows, from the first refusal to the row that they are in the end.

use std::time::{Duration, Instant};

use onrush::app::Role;
use onrush::database::{self, Database};
use onrush::dead_letters::{DeadLetters, Which};
use onrush::facts::Kind;
use onrush::kafka::Offsets;
use onrush::ledger::{Quarantine, Step, Tick};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Row;

use super::writer::{tick_until, write_all};
use crate::support::installation::{Installation, TestNode};
use crate::support::stores::{Stores, eventually, fact};
use crate::support::topic;

const LETTERS: &str = "/v1/ops/dead-letters";
const REPLAY: &str = "/v1/ops/dead-letters/replay";
const DISCARD: &str = "/v1/ops/dead-letters/discard";

/// The database refuses this user's claims until `mend`.
async fn refuse(database: &Database, user: &str) {
    let add = format!("ALTER TABLE claims ADD CONSTRAINT refused CHECK (user_id <> '{user}')");
    sqlx::query(sqlx::AssertSqlSafe(add)).execute(database).await.unwrap();
}

async fn mend(database: &Database) {
    sqlx::query("ALTER TABLE claims DROP CONSTRAINT refused").execute(database).await.unwrap();
}

async fn letters(node: &TestNode) -> Vec<Value> {
    let page = node.as_operator(Method::GET, LETTERS).await;
    assert_eq!((page.status, &page.body["next"]), (200, &Value::Null), "{page:?}");
    page.body["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_fact_waits_for_an_operator_and_is_a_row_after_the_replay() {
    let installation = Installation::new().await;
    let node = installation.node(Role::All).await;
    let database = database::open(&installation.config.postgres).unwrap();
    refuse(&database, "bob").await;
    let campaign = node.campaign(10, json!({})).await;
    for user in ["alice", "bob", "carol"] {
        assert_eq!(node.claim(&campaign, user).await.outcome(), "201");
    }
    eventually("it is listed", async || letters(&node).await.len() == 1).await;
    let rows = || async {
        let users: Vec<String> =
            sqlx::query_scalar("SELECT user_id FROM claims WHERE campaign_id = $1 ORDER BY number")
                .bind(&campaign)
                .fetch_all(&database)
                .await
                .unwrap();
        users
    };
    assert_eq!(rows().await, ["alice", "carol"]);
    let letter = letters(&node).await.remove(0);
    assert_eq!((letter["attempts"].as_u64(), letter["state"].as_str()), (Some(4), Some("waiting")), "{letter}");
    assert_eq!((&letter["record_form"], &letter["record"]["claim"]["user"]), (&json!("json"), &json!("bob")));
    assert_eq!(letter["origin"]["topic"], json!(installation.config.kafka.facts_topic));
    assert!(letter["reason"].as_str().unwrap().contains("refused"), "{letter}");
    // Listed a moment before its offset is committed: until then it counts as on its way.
    eventually("it is missing", async || node.audit(&campaign).await.number("missing") == 1).await;
    assert_eq!(node.audit(&campaign).await.text("verdict"), "broken");

    // Sent back too early it is a new letter.
    let id = letter["id"].as_str().unwrap();
    let replayed = node.operator_sends(Method::POST, REPLAY, &json!({"ids": [id]})).await;
    assert_eq!((replayed.status, &replayed.body), (200, &json!({"replayed": 1})));
    eventually("it is there again", async || letters(&node).await.len() == 2).await;
    assert_eq!(letters(&node).await[0]["state"], json!("replayed"));
    assert_ne!(letters(&node).await[1]["id"], letter["id"]);

    mend(&database).await;
    let replayed = node.operator_sends(Method::POST, REPLAY, &json!({"all": true})).await;
    assert_eq!(replayed.body, json!({"replayed": 1}));
    node.audit_ok(&campaign).await;
    assert_eq!(rows().await, ["alice", "bob", "carol"]);
    // There is nothing left to send, and what was sent is not sent again.
    assert_eq!(node.operator_sends(Method::POST, REPLAY, &json!({"all": true})).await.body, json!({"replayed": 0}));
    assert_eq!(node.operator_sends(Method::POST, REPLAY, &json!({"ids": [id]})).await.body, json!({"replayed": 0}));
    let metrics = node.get("/metrics").await.body.as_str().unwrap().to_owned();
    assert!(metrics.contains("onrush_ledger_dead_letters_total"), "{metrics}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_fact_is_tried_three_times_more_with_growing_pauses_and_holds_nobody_up() {
    let stores = Stores::with(|config| config.dead_letters.retry_ms = 500).await;
    refuse(&stores.database, "user-2").await;
    for number in 1..=3 {
        topic::put(&stores, 0, &fact("c", number, Kind::Claimed, number).to_json()).await;
    }
    let offsets = Offsets::new(&stores.config.kafka).unwrap();
    let ends = offsets.ends().await.unwrap();
    let mut writer = stores.writer();
    assert_eq!(tick_until(&mut writer, 2).await, 2);
    let begin = Instant::now();
    assert_eq!(stores.count("SELECT count(*) FROM claims").await, 2, "its neighbours are rows");
    // Later records go on becoming rows, and nothing is committed past it.
    topic::put(&stores, 0, &fact("c", 4, Kind::Claimed, 4).to_json()).await;
    assert_eq!(tick_until(&mut writer, 1).await, 1);
    assert_eq!(stores.count("SELECT count(*) FROM claims").await, 3);
    eventually("what comes before it is committed", async || offsets.lag(&ends).await.unwrap() == 2).await;
    assert!(begin.elapsed() < Duration::from_millis(3_300), "too slow to tell");

    assert_eq!(tick_until(&mut writer, 1).await, 1);
    // 500 + 1,000 + 2,000 from the first refusal on.
    let lasted = begin.elapsed();
    assert!((3_300..10_000).contains(&lasted.as_millis()), "set aside after {lasted:?}");
    eventually("all is committed", async || offsets.lag(&ends).await.unwrap() == 0).await;
    writer.close().await;
    stores.copy_letters(1).await;
    assert_eq!(stores.count("SELECT attempts::bigint FROM dead_letters").await, 4);
    assert_eq!(stores.count("SELECT record_offset FROM dead_letters").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_tried_three_times_more_before_it_waits_and_is_one_letter() {
    let installation = Installation::with(|config| {
        config.dead_letters.retries_max = 1;
        config.dead_letters.dead_retries_max = 3;
    })
    .await;
    let node = installation.node(Role::All).await;
    let database = database::open(&installation.config.postgres).unwrap();
    refuse(&database, "bob").await;
    let campaign = node.campaign(10, json!({})).await;
    for user in ["alice", "bob", "carol"] {
        assert_eq!(node.claim(&campaign, user).await.outcome(), "201");
    }
    eventually("it is listed", async || letters(&node).await.len() == 1).await;
    let letter = letters(&node).await.remove(0);
    // Twice in the topic of facts, three times as a dead letter.
    assert_eq!(
        (letter["attempts"].as_u64(), &letter["origin"]["topic"]),
        (Some(5), &json!(installation.config.kafka.facts_topic))
    );
    let origin = letter["origin"]["offset"].as_u64().unwrap();
    assert!(origin < 4, "it is where it was at first: {letter}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_whose_fault_is_mended_meanwhile_needs_no_operator() {
    let stores = Stores::with(|config| {
        config.dead_letters.retries_max = 0;
        config.dead_letters.dead_retries_max = 3;
    })
    .await;
    refuse(&stores.database, "user-1").await;
    stores.publish(&[fact("c", 1, Kind::Claimed, 1)]).await;
    assert_eq!(write_all(&stores, 1).await, 1);
    mend(&stores.database).await;
    let mut ingester =
        onrush::dead_letters::Ingester::new(stores.database.clone(), stores.producer.clone(), &stores.config);
    eventually("it is sent back", async || ingester.tick().await.unwrap() == 1).await;
    ingester.close().await;
    assert_eq!(write_all(&stores, 1).await, 1);
    assert_eq!(stores.count("SELECT count(*) FROM claims").await, 1);
    assert_eq!(stores.count("SELECT count(*) FROM dead_letters").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn discarded_letters_stay_in_the_list_with_the_reason_and_are_sent_nowhere() {
    let stores = Stores::with(|config| config.dead_letters.retries_max = 0).await;
    for number in 0..3 {
        topic::put(&stores, 0, format!("no fact {number}").as_bytes()).await;
    }
    assert_eq!(write_all(&stores, 3).await, 3);
    stores.copy_letters(3).await;
    let installation = Installation::with(|config| {
        config.postgres.schema.clone_from(&stores.config.postgres.schema);
        config.kafka.facts_topic.clone_from(&stores.config.kafka.facts_topic);
    })
    .await;
    let node = installation.node(Role::Serve).await;
    for bad in [
        json!({"ids": ["0-0"]}),
        json!({"reason": "r"}),
        json!({"ids": [], "reason": "r"}),
        json!({"ids": ["0-0"], "reason": ""}),
        json!({"all": true, "reason": "r"}),
    ] {
        assert_eq!(node.operator_sends(Method::POST, DISCARD, &bad).await.outcome(), "400 invalid_request", "{bad}");
    }
    let unknown = node.operator_sends(Method::POST, DISCARD, &json!({"ids": ["0-0", "9-9"], "reason": "r"})).await;
    assert_eq!(unknown.outcome(), "404 not_found");
    let body = json!({"ids": ["0-0", "0-2"], "reason": "a test wrote it"});
    assert_eq!(node.operator_sends(Method::POST, DISCARD, &body).await.body, json!({"discarded": 2}));
    assert_eq!(node.operator_sends(Method::POST, DISCARD, &body).await.body, json!({"discarded": 0}));
    let listed = letters(&node).await;
    let states: Vec<&str> = listed.iter().map(|letter| letter["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["discarded", "waiting", "discarded"]);
    assert_eq!((&listed[0]["discard_reason"], &listed[1]["discarded_at"]), (&json!("a test wrote it"), &Value::Null));
    assert!(listed[0]["discarded_at"].is_string(), "{listed:?}");
    assert_eq!(node.operator_sends(Method::POST, REPLAY, &json!({"all": true})).await.body, json!({"replayed": 1}));
    assert_eq!(node.operator_sends(Method::POST, REPLAY, &json!({"ids": ["0-0"]})).await.body, json!({"replayed": 0}));
    let nobody = node.as_user("alice", Method::POST, DISCARD).await;
    assert_eq!(nobody.outcome(), "403 forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_the_database_takes_at_the_second_try_is_no_dead_letter() {
    let stores = Stores::new().await;
    refuse(&stores.database, "user-2").await;
    stores.publish(&[fact("c", 1, Kind::Claimed, 1), fact("c", 2, Kind::Claimed, 2)]).await;
    let mut writer = stores.writer();
    assert_eq!(tick_until(&mut writer, 1).await, 1);
    mend(&stores.database).await;
    assert_eq!(tick_until(&mut writer, 1).await, 1);
    writer.close().await;
    assert_eq!(stores.count("SELECT count(*) FROM claims").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_committed_past_poison_before_kafka_has_it_as_a_dead_letter() {
    let stores = Stores::with(|config| config.dead_letters.retries_max = 0).await;
    for number in 1..=3 {
        topic::put(&stores, 0, &fact("c", number, Kind::Claimed, number).to_json()).await;
    }
    refuse(&stores.database, "user-2").await;
    let offsets = Offsets::new(&stores.config.kafka).unwrap();
    let ends = offsets.ends().await.unwrap();
    // A producer that reaches nobody.
    let mut nowhere = stores.config.kafka.clone();
    nowhere.brokers = "127.0.0.1:1".into();
    nowhere.delivery_timeout_ms = 1_000;
    let cut_off = std::sync::Arc::new(onrush::kafka::Producer::new(&nowhere).unwrap());
    let mut writer = onrush::ledger::Writer::new(stores.database.clone(), cut_off, &stores.config);
    assert_eq!(tick_until(&mut writer, 2).await, 2);
    eventually("it was tried in vain", async || matches!(writer.tick().await, Tick::Wrote(0))).await;
    writer.close().await;
    assert_eq!(offsets.lag(&ends).await.unwrap(), 2);
    assert_eq!(stores.count("SELECT count(*) FROM claims").await, 2);

    // Another worker begins at the poison.
    assert_eq!(write_all(&stores, 2).await, 2);
    assert_eq!(offsets.lag(&ends).await.unwrap(), 0);
    stores.copy_letters(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_after_setting_a_record_aside_leaves_one_letter() {
    let stores = Stores::with(|config| config.dead_letters.retries_max = 0).await;
    topic::put(&stores, 0, b"\xff").await;
    let mut dying = stores.writer();
    eventually("it is set aside", async || matches!(dying.write_batch().await, Ok(Step::InDatabase(_)))).await;
    dying.close().await;
    assert_eq!(write_all(&stores, 1).await, 1);
    topic::put(&stores, 1, b"another").await;
    assert_eq!(write_all(&stores, 1).await, 1);
    stores.copy_letters(2).await;
    let rows = sqlx::query("SELECT id, record FROM dead_letters ORDER BY position");
    let rows = rows.fetch_all(&stores.database).await.unwrap();
    let letters: Vec<(String, Vec<u8>)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(letters, [("0-0".into(), b"\xff".to_vec()), ("0-2".into(), b"another".to_vec())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_come_in_pages_and_a_replay_says_exactly_what_it_wants() {
    let stores = Stores::with(|config| config.dead_letters.retries_max = 0).await;
    for number in 0..5 {
        topic::put(&stores, 0, format!("no fact {number}").as_bytes()).await;
    }
    assert_eq!(write_all(&stores, 5).await, 5);
    stores.copy_letters(5).await;
    let installation = Installation::with(|config| {
        config.postgres.schema.clone_from(&stores.config.postgres.schema);
        config.kafka.facts_topic.clone_from(&stores.config.kafka.facts_topic);
    })
    .await;
    let node = installation.node(Role::Serve).await;
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = node.as_operator(Method::GET, &format!("{LETTERS}?limit=2{after}")).await;
        seen.extend(page.body["items"].as_array().unwrap().iter().map(|letter| letter["id"].clone()));
        let Some(next) = page.body["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen, ["0-0", "0-1", "0-2", "0-3", "0-4"].map(Value::from));
    let first = node.as_operator(Method::GET, &format!("{LETTERS}?limit=1")).await.body["items"][0].clone();
    assert_eq!((&first["record_form"], &first["record"]), (&json!("base64"), &json!("bm8gZmFjdCAw")));

    for bad in [
        json!({}),
        json!({"ids": [], "surprise": 1}),
        json!({"ids": []}),
        json!({"ids": [1]}),
        json!({"ids": "0-0"}),
        json!({"all": false}),
        json!({"all": true, "ids": ["0-0"]}),
    ] {
        let answer = node.operator_sends(Method::POST, REPLAY, &bad).await;
        assert_eq!(answer.outcome(), "400 invalid_request", "{bad}");
    }
    let unknown = node.operator_sends(Method::POST, REPLAY, &json!({"ids": ["0-0", "9-9"]})).await;
    assert_eq!(unknown.outcome(), "404 not_found");
    assert_eq!(stores.count("SELECT count(*) FROM dead_letters WHERE state = 'waiting'").await, 5, "nothing replayed");
    // The same letter twice in one request is one letter.
    let twice = node.operator_sends(Method::POST, REPLAY, &json!({"ids": ["0-0", "0-0", "0-1"]})).await;
    assert_eq!(twice.body, json!({"replayed": 2}));
    let again = DeadLetters::new(stores.database.clone(), stores.producer.clone(), &stores.config);
    assert_eq!(again.replay(&Which::All).await.unwrap(), Some(3));
    assert_eq!(topic::read(&stores, 10).await.len(), 10, "five, and the same five again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_contradiction_the_campaign_takes_no_claims() {
    let installation = Installation::new().await;
    let node = installation.node(Role::All).await;
    let (campaign, other) = (node.campaign(10, json!({})).await, node.campaign(10, json!({})).await);
    assert_eq!(node.claim(&campaign, "alice").await.outcome(), "201");
    node.audit_ok(&campaign).await;
    let producer = onrush::kafka::Producer::new(&installation.config.kafka).unwrap();
    // Fact 2 is alice's.
    let published = producer.publish(&[fact(&campaign, 2, Kind::Claimed, 1)]).await;
    assert_eq!(published.acknowledged, 1);
    let mut users = 0;
    eventually("claims are refused", async || {
        users += 1;
        node.claim(&campaign, &format!("user-{users}")).await.outcome() == "503 unavailable"
    })
    .await;
    assert_eq!(node.claim(&other, "alice").await.outcome(), "201");
    let database = database::open(&installation.config.postgres).unwrap();
    eventually("that is written down", async || {
        let halted = "SELECT count(*) FROM contradictions WHERE halted_at IS NOT NULL";
        sqlx::query_scalar::<_, i64>(halted).fetch_one(&database).await.unwrap() == 1
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_is_halted_when_redis_is_back_and_not_if_it_was_rebuilt_since() {
    let stores = Stores::new().await;
    let (campaign, rebuilt) = (stores.put("contradicted", 5).await, stores.put("rebuilt", 5).await);
    let key = stores.redis.keys().of(&rebuilt).campaign();
    let next: onrush::redis::Script<1> =
        onrush::redis::Script::new("next", "--\n-- KEYS[1]\nreturn redis.call('HSET', KEYS[1], 'generation', 2)");
    stores.redis.call(&next, &rebuilt, [key], Vec::new()).await.unwrap();
    for id in ["contradicted", "rebuilt", "unknown"] {
        let insert = "INSERT INTO contradictions (campaign_id, generation, fact_no, fact) VALUES ($1, 1, 1, '{}')";
        sqlx::query(insert).bind(id).execute(&stores.database).await.unwrap();
    }
    // As after a crash between the record and the halt: it is still on the list.
    let quarantine = Quarantine::new(stores.redis.clone(), stores.database.clone(), std::sync::Arc::default());
    assert_eq!(quarantine.tick().await.unwrap(), 1);
    assert_eq!(quarantine.tick().await.unwrap(), 0);
    assert_eq!(stores.field(&campaign, "lost").await, "contradiction");
    assert_eq!(stores.field(&rebuilt, "lost").await, "");
    assert_eq!(stores.field(&"unknown".parse().unwrap(), "lost").await, "");
    assert_eq!(stores.count("SELECT count(*) FROM contradictions WHERE halted_at IS NULL").await, 0);
}

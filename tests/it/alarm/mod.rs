//! Who is told of what goes wrong, and how often.

mod rules;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use onrush::alarm::{Alarm, Settings, Snapshot, State, Watched, read_board};
use onrush::app::Role;
use onrush::campaign::Campaigns;
use onrush::config::Config;
use onrush::ledger::OutboxesSeen;
use onrush::nodes::Report;
use reqwest::Method;
use serde_json::Value;

use crate::support::installation::Installation;
use crate::support::stores::{Stores, eventually};

/// A chat that keeps what it is told, unless it is out of order.
#[derive(Clone, Default)]
pub(crate) struct Chat {
    told: Arc<Mutex<Vec<String>>>,
    refuses: Arc<Mutex<bool>>,
}

impl Chat {
    /// Its address.
    pub(crate) async fn open(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let chat = self.clone();
        let hook = post(async move |axum::Json(message): axum::Json<Value>| {
            if *chat.refuses.lock().unwrap() {
                return StatusCode::INTERNAL_SERVER_ERROR;
            }
            chat.told.lock().unwrap().push(message["text"].as_str().unwrap().to_owned());
            StatusCode::OK
        });
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", hook)).await.unwrap() });
        url
    }

    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    fn refuses(&self, refuses: bool) {
        *self.refuses.lock().unwrap() = refuses;
    }
}

pub(crate) fn quick(config: &mut Config, url: String) {
    config.alarm.every_ms = 50;
    config.alarm.pending_ms = 0;
    config.alarm.window_ms = 300;
    config.alarm.webhook_url = url;
}

/// Of a worker that is there, and sees nothing.
pub(crate) async fn alarm(stores: &Stores) -> Alarm {
    let Ok(now) = stores.redis.time().await else { panic!("no Redis") };
    let report =
        Report { at: now.0, since: now.0, works: true, outboxes: Some(OutboxesSeen::default()), ..Report::default() };
    let report = serde_json::to_string(&report).unwrap();
    stores.redis.set_fields(&stores.redis.keys().nodes(), vec![("it".into(), report)]).await.unwrap();
    alarm_of(stores, &stores.config)
}

/// With these settings, whoever else is there.
pub(crate) fn alarm_of(stores: &Stores, config: &Config) -> Alarm {
    let database = onrush::database::open(&config.postgres).unwrap();
    let redis = || stores.redis.clone();
    let campaigns = Arc::new(Campaigns::new(redis(), database.clone(), config.campaign.clone()));
    let snapshot = Snapshot::new(redis(), database.clone(), campaigns, config).unwrap();
    Alarm::new(redis(), snapshot, database, Arc::new(Settings::new(config.alarm.clone()))).unwrap()
}

const LETTER: &str =
    "INSERT INTO dead_letters (topic, partition, record_offset, reason, record) VALUES ('t', 0, 0, 'r', '')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_tell_once_of_a_critical_rule_and_once_of_its_recovery() {
    let chat = Chat::default();
    let url = chat.open().await;
    let installation = Installation::with(|config| {
        quick(config, url);
        // Nodes that have just come have not looked at everything yet.
        config.alarm.pending_ms = 2_000;
    })
    .await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::All).await];
    let database = onrush::database::open(&installation.config.postgres).unwrap();
    let state = async |node: usize| {
        let board = nodes[node].as_operator(Method::GET, "/v1/ops/alarms").await;
        let rules = board.body["rules"].as_array().unwrap().clone();
        rules.into_iter().find(|rule| rule["rule"] == "dead_letters_waiting").unwrap()
    };
    eventually("it is healthy", async || state(0).await["since"].is_string()).await;
    assert_eq!((&state(0).await["state"], &state(0).await["critical"]), (&"HEALTHY".into(), &1.into()));
    sqlx::query(LETTER).execute(&database).await.unwrap();
    eventually("it is critical", async || state(1).await["state"] == "CRITICAL").await;
    assert_eq!(state(0).await["value"], 1);
    eventually("the chat knows", async || !chat.told().is_empty()).await;
    // Many more looks.
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(chat.told(), ["Onrush: CRITICAL: dead_letters_waiting is 1 (critical from 1)"]);
    let metrics = nodes[0].get("/metrics").await.body.as_str().unwrap().to_owned();
    assert!(metrics.contains("onrush_alarm_state{rule=\"dead_letters_waiting\"}"), "{metrics}");

    sqlx::query("UPDATE dead_letters SET state = 'replayed'").execute(&database).await.unwrap();
    eventually("it is healthy again", async || state(0).await["state"] == "HEALTHY").await;
    eventually("the chat knows that, too", async || chat.told().len() > 1).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(chat.told()[1..], ["Onrush: recovered: dead_letters_waiting is 0"]);
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_chat_does_not_take_is_tried_again_and_given_up_at_last() {
    let chat = Chat::default();
    let url = chat.open().await;
    let stores = Stores::with(|config| {
        quick(config, url);
        config.alarm.tries_max = 3;
    })
    .await;
    let alarm = alarm(&stores).await;
    assert_eq!(alarm.tick().await.unwrap(), Watched::Sent(0));
    sqlx::query(LETTER).execute(&stores.database).await.unwrap();
    chat.refuses(true);
    assert_eq!(alarm.tick().await.unwrap(), Watched::NotTold);
    chat.refuses(false);
    assert_eq!(alarm.tick().await.unwrap(), Watched::Sent(1));
    assert_eq!(alarm.tick().await.unwrap(), Watched::Sent(0));
    assert_eq!(chat.told().len(), 1);

    sqlx::query("DELETE FROM dead_letters").execute(&stores.database).await.unwrap();
    chat.refuses(true);
    eventually("it is healthy", async || alarm.tick().await.unwrap() == Watched::NotTold).await;
    assert_eq!(alarm.tick().await.unwrap(), Watched::NotTold);
    assert_eq!(alarm.tick().await.unwrap(), Watched::NotTold);
    assert_eq!(alarm.tick().await.unwrap(), Watched::Sent(0), "given up");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_its_rules_are_unknown_and_that_is_told_once() {
    let chat = Chat::default();
    let url = chat.open().await;
    let stores = Stores::with(|config| quick(config, url)).await;
    sqlx::query(LETTER).execute(&stores.database).await.unwrap();
    let first = alarm(&stores).await;
    assert_eq!(first.tick().await.unwrap(), Watched::Sent(1));
    assert_eq!(alarm(&stores).await.tick().await.unwrap(), Watched::AnotherNode);
    // It is told to stop, and another one takes over.
    let stopped = tokio_util::sync::CancellationToken::new();
    stopped.cancel();
    first.run(stopped).await;
    let mut away = stores.config.clone();
    away.postgres.url = "postgres://onrush@127.0.0.1:1/onrush".into();
    away.postgres.acquire_timeout_ms = 100;
    let blind = alarm_of(&stores, &away);
    assert_eq!(blind.tick().await.unwrap(), Watched::Sent(6), "the rules of the database");
    for _ in 0..3 {
        assert_eq!(blind.tick().await.unwrap(), Watched::Sent(0));
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let board = read_board(&stores.redis, &stores.config.alarm).await;
    assert_eq!((board[0].rule, board[0].state, board[0].value), ("dead_letters_waiting", State::Unknown, Some(1)));
    let told = chat.told()[1].clone();
    let line = "Onrush: UNKNOWN: dead_letters_waiting cannot be computed; the last value was 1";
    assert!(told.lines().any(|told| told == line), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_nobody_deals_with_hides_no_later_one() {
    let chat = Chat::default();
    let url = chat.open().await;
    let stores = Stores::with(|config| quick(config, url)).await;
    let alarm = alarm(&stores).await;
    stores.execute(LETTER).await;
    assert_eq!(alarm.tick().await.unwrap(), Watched::Sent(1));
    // One is discarded, another comes: as many as before.
    stores.execute("UPDATE dead_letters SET state = 'discarded'").await;
    stores
        .execute(
            "INSERT INTO dead_letters (topic, partition, record_offset, reason, record) VALUES ('t', 0, 1, 'r', '')",
        )
        .await;
    eventually("the new one is told of", async || alarm.tick().await.unwrap() == Watched::Sent(1)).await;
    assert_eq!(chat.told()[1..], ["Onrush: still CRITICAL, and there is a new one: dead_letters_waiting is 1"]);
    // Nothing new, for many windows.
    for _ in 0..20 {
        assert_eq!(alarm.tick().await.unwrap(), Watched::Sent(0));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

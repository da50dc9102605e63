//! Loops that end before their time: seen at once, working again soon, or the end of the process.

use std::process::Stdio;
use std::time::{Duration, Instant};

use onrush::app::Role;
use onrush::config::FeedLane;
use onrush::supervise::LoopState;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::installation::{Installation, TestNode};
use crate::support::process::Process;
use crate::support::stores::eventually;

/// Within which a loop's end is seen, and within which it works again: a second and five, and a margin for a busy machine.
const SEEN: Duration = Duration::from_secs(1 + MARGIN_S);
const BACK: Duration = Duration::from_secs(5 + MARGIN_S);
const MARGIN_S: u64 = 10;

async fn loop_of(node: &TestNode, name: &str) -> Value {
    let ready = node.get("/readyz").await;
    ready.body["loops"].as_array().unwrap().iter().find(|view| view["name"] == name).unwrap().clone()
}

/// How often this node's loop has ended before its time.
fn restarts_of(node: &TestNode, name: &str) -> u64 {
    node.loops().loops().iter().find(|view| view.name == name).unwrap().restarts
}

/// What a metric of this loop says.
async fn figure(node: &TestNode, metric: &str, name: &str) -> u64 {
    let text = node.get("/metrics").await.body.as_str().unwrap().to_owned();
    let line = format!("{metric}{{loop=\"{name}\"}} ");
    text.lines().find_map(|found| found.strip_prefix(&line)).unwrap().parse().unwrap()
}

async fn does_everything(node: &TestNode, other: &TestNode, which: u32) {
    // The relay, the writer, the audit.
    let campaign = node.campaign(3, json!({})).await;
    assert_eq!(node.claim(&campaign, "alice").await.status, 201);
    node.audit_ok(&campaign).await;
    // A change is told, and heard.
    let path = format!("/v1/campaigns/{campaign}/pause");
    assert_eq!(other.as_operator(Method::POST, &path).await.status, 200);
    eventually("the node has heard", async || node.view(&campaign).await.text("state") == "paused").await;
    // The waiting room admits.
    let waiting = json!({"admit": 10, "every_ms": 1000, "active_max": 5});
    let room = node.campaign(5, json!({"waiting": waiting})).await;
    let path = format!("/v1/campaigns/{room}/waiting");
    eventually("somebody is admitted", async || {
        node.as_user("bob", Method::POST, &path).await.text("state") == "admitted"
    })
    .await;
    // A post passes all lanes.
    let (author, word) = (format!("author-{which}"), format!("word{which}"));
    assert_eq!(node.as_user("reader", Method::PUT, &format!("/v1/subscriptions/{author}")).await.status, 204);
    let post = json!({"title": word, "body": "what there is"});
    let posted = node.send(node.request(Method::POST, "/v1/posts").bearer_auth(node.token(&author)).json(&post)).await;
    assert_eq!(posted.status, 201, "{posted:?}");
    eventually("it is delivered", async || {
        node.as_user("reader", Method::GET, "/v1/feed").await.body["items"].to_string().contains(&word)
    })
    .await;
    eventually("it is found", async || {
        node.get(&format!("/v1/search?q={word}")).await.body["items"].to_string().contains(&word)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_loop_that_breaks_is_seen_within_a_second_and_works_again_within_five() {
    let installation = Installation::with(|config| {
        config.feed.lanes = FeedLane::ALL.to_vec();
        config.alarm.every_ms = 100;
        // So that nobody misses it.
        config.supervisor.restart_ms = 600;
    })
    .await;
    let (node, other) = (installation.node(Role::All).await, installation.node(Role::Serve).await);
    does_everything(&node, &other, 0).await;
    let names: Vec<&str> = node.loops().loops().iter().map(|view| view.name).collect();
    assert!(names.len() >= 20, "{names:?}");
    for name in &names {
        assert_eq!(loop_of(&node, name).await["state"], "running");
        // The metrics are those of all nodes of this process; what the node says is its own.
        let (counted, restarts) = (figure(&node, "onrush_loop_restarts_total", name).await, restarts_of(&node, name));
        let broken_at = Instant::now();
        assert!(node.loops().break_loop(name));
        eventually("it is seen", async || restarts_of(&node, name) == restarts + 1).await;
        // While the server itself is down, the node cannot say so.
        if *name != "server" {
            assert_eq!(loop_of(&node, name).await["restarts"], restarts + 1, "{name}");
            assert!(figure(&node, "onrush_loop_restarts_total", name).await > counted, "{name}");
        }
        assert!(broken_at.elapsed() < SEEN, "{name} was seen after {:?}", broken_at.elapsed());
        let back = async || node.loops().loops().iter().all(|view| view.state == LoopState::Running);
        eventually("it runs again", back).await;
        eventually("it serves", async || node.client.try_send(node.request(Method::GET, "/readyz")).await.is_ok())
            .await;
        assert!(broken_at.elapsed() < BACK, "{name} ran again after {:?}", broken_at.elapsed());
        assert_eq!(restarts_of(&node, name), restarts + 1, "{name}");
        assert_eq!(loop_of(&node, name).await["ended"], "panicked: a test broke this loop");
    }
    does_everything(&node, &other, 1).await;
    eventually("the alarm has looked", async || {
        let board = node.as_operator(Method::GET, "/v1/ops/alarms").await;
        let rules = board.body["rules"].as_array().unwrap().clone();
        rules.iter().any(|rule| rule["rule"] == "loops_restarted" && rule["state"] == "CRITICAL")
    })
    .await;
    node.stop().await;
}

/// Without it the node does not know what it says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_not_ready_while_a_loop_is_down_that_serving_needs() {
    let installation = Installation::with(|config| config.supervisor.restart_ms = 3_000).await;
    let node = installation.node(Role::All).await;
    for (name, status) in [("campaigns", 503), ("relay", 200)] {
        assert!(node.loops().break_loop(name));
        eventually("it is seen", async || loop_of(&node, name).await["state"] == "restarting").await;
        let ready = node.get("/readyz").await;
        assert_eq!(ready.status, status, "{ready:?}");
        assert_eq!(ready.body["missing"].to_string().contains("loop: campaigns"), status == 503, "{ready:?}");
        eventually("it is back", async || node.get("/readyz").await.body["ready"] == json!(true)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_does_not_come_back_ends_the_process_which_says_which_and_why() {
    let installation = Installation::new().await;
    let mut command = Process::command(&installation, "all");
    command
        .env("ONRUSH__HTTP__LISTEN", "127.0.0.1:0")
        .env("ONRUSH__BENCH__BROKEN_LOOP", "relay")
        .env("ONRUSH__SUPERVISOR__RESTART_MS", "10")
        .env("ONRUSH__SUPERVISOR__RESTARTS_MAX", "3")
        .stderr(Stdio::piped());
    let ended = tokio::time::timeout(Duration::from_secs(30), command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    let line = said.lines().find(|line| line.contains("a loop does not come back; start the node again")).unwrap();
    assert!(line.contains("relay") && line.contains("a test broke this loop"), "{line}");
}

/// Who sends it requests has seen that before its listener is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_told_to_stop_is_first_not_ready_and_serves_on() {
    let installation = Installation::new().await;
    let mut process = Process::start_with(&installation, "all", |command| {
        command.env("ONRUSH__HTTP__LAME_DUCK_MS", "2500");
    })
    .await;
    let client = installation.client(&process.url);
    let campaign = client.campaign(5, json!({})).await;
    let began = Instant::now();
    let ended = tokio::spawn(async move { process.terminate().await });
    eventually("it is not ready", async || {
        let ready = client.get("/readyz").await;
        ready.status == 503 && ready.body["missing"] == json!(["this node is stopping"])
    })
    .await;
    assert_eq!(client.claim(&campaign, "alice").await.status, 201, "it serves on");
    assert!(ended.await.unwrap().success());
    assert!(began.elapsed() >= Duration::from_millis(2_500), "{:?}", began.elapsed());
}

/// Whatever a store does: /readyz answers within 500 ms, and says what is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_is_answered_at_once_while_a_store_hangs() {
    let redis = crate::support::private_redis::PrivateRedis::start(&[]).await;
    let installation = Installation::with(|config| config.redis.url = redis.url()).await;
    let node = installation.node(Role::Serve).await;
    assert_eq!(node.get("/readyz").await.status, 200);
    redis.freeze();
    let frozen = Instant::now();
    eventually("it is seen", async || {
        let asked = Instant::now();
        let ready = node.get("/readyz").await;
        // 500 ms, and a margin that is less than what a store would be waited for.
        assert!(asked.elapsed() < Duration::from_millis(1_500), "{:?}", asked.elapsed());
        ready.status == 503 && ready.body["missing"] == json!(["redis"])
    })
    .await;
    assert!(frozen.elapsed() < Duration::from_secs(10), "{:?}", frozen.elapsed());
    redis.thaw();
    eventually("it is ready again", async || node.get("/readyz").await.status == 200).await;
}

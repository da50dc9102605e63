//! What operators see and do: figures, stop and go, one let in out of turn.

use onrush::app::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::room::{assert_members, claim, figures, join, leave, look, open, pass_of, switch, until};
use crate::support::installation::{Answer, Client, Installation};
use crate::support::stores::{eventually, users};

async fn admit(client: &Client, campaign: &str, user: &str) -> Answer {
    let body = json!({"user_id": user});
    client.operator_sends(Method::POST, &format!("/v1/ops/waiting/{campaign}/admit"), &body).await
}

fn counts(answer: &Answer) -> [u64; 5] {
    ["waiting", "inside", "admitted", "no_shows", "left_queue"].map(|member| answer.number(member))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_figures_count_everybody_once_at_every_node() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let campaign = open(&nodes[0], 50, json!({"active_max": 2, "claim_pass_within_s": 3})).await;
    let empty = figures(&nodes[0], &campaign).await;
    assert_members(&empty, &["waiting", "inside", "admitted", "no_shows", "left_queue", "wait_s", "admitting"]);
    assert_eq!((counts(&empty), &empty.body["wait_s"]), ([0; 5], &json!({"p50": null, "p95": null})));
    assert_eq!(empty.body["admitting"], json!(true));
    for user in users(1, 8) {
        join(&nodes[0], &campaign, &user).await;
    }
    assert_eq!(counts(&figures(&nodes[1], &campaign).await), [6, 2, 2, 0, 0]);
    leave(&nodes[1], &campaign, "user-8").await;
    leave(&nodes[1], &campaign, "user-1").await;
    // One from the queue, one from inside, whose place user-3 takes, and does not pick the pass up.
    eventually("user-3 is let in", async || counts(&figures(&nodes[1], &campaign).await)[2] == 3).await;
    assert_eq!(counts(&figures(&nodes[0], &campaign).await), [4, 2, 3, 0, 1]);
    eventually("user-3 has not come", async || counts(&figures(&nodes[0], &campaign).await)[3] >= 1).await;
    let later = figures(&nodes[1], &campaign).await;
    assert!(later.body["wait_s"]["p50"].is_u64() && later.body["wait_s"]["p95"].is_u64(), "{later:?}");
    assert_eq!(look(&nodes[1], &campaign, "user-3").await.text("state"), "expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admission_stops_and_goes_on_at_all_nodes_and_passes_are_as_they_were() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let campaign = open(&nodes[0], 50, json!({"admit": 1_000, "every_ms": 1_000})).await;
    let pass = pass_of(&nodes[0], &campaign, "alice").await;
    assert_eq!(switch(&nodes[0], &campaign, "pause").await.body["admitting"], json!(false));
    assert_eq!(switch(&nodes[1], &campaign, "pause").await.body["admitting"], json!(false));
    for (index, user) in ["bob", "carol"].into_iter().enumerate() {
        let answer = join(&nodes[index], &campaign, user).await;
        assert_eq!((answer.status, answer.text("state")), (202, "waiting"), "{answer:?}");
    }
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    for node in &nodes {
        let answer = look(node, &campaign, "bob").await;
        assert_eq!((answer.text("state"), &answer.body["eta_s"]), ("waiting", &Value::Null), "{answer:?}");
    }
    assert_eq!(claim(&nodes[1], &campaign, "alice", &pass).await.outcome(), "201");
    assert_eq!(switch(&nodes[1], &campaign, "resume").await.body["admitting"], json!(true));
    until(&nodes[0], &campaign, "carol", "admitted").await;
    until(&nodes[1], &campaign, "bob", "admitted").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_can_be_let_in_beyond_the_pace_but_neither_beyond_the_cap_nor_the_units() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let campaign = open(&nodes[0], 3, json!({"admit": 1, "every_ms": 3_600_000, "active_max": 3})).await;
    let first = pass_of(&nodes[0], &campaign, "first").await;
    for user in users(1, 5) {
        assert_eq!(join(&nodes[0], &campaign, &user).await.status, 202);
    }
    // One who waits: those behind move up.
    let answer = admit(&nodes[1], &campaign, "user-3").await;
    assert_eq!((answer.status, counts(&answer)), (200, [4, 2, 2, 0, 0]), "{answer:?}");
    let pass = until(&nodes[0], &campaign, "user-3", "admitted").await.text("pass").to_owned();
    eventually("user-5 has moved up", async || look(&nodes[0], &campaign, "user-5").await.number("ahead") == 3).await;
    assert_eq!(look(&nodes[1], &campaign, "user-2").await.number("ahead"), 1);
    // One who never joined, and again: once.
    assert_eq!(admit(&nodes[0], &campaign, "guest").await.status, 200);
    assert_eq!(counts(&admit(&nodes[1], &campaign, "guest").await), [4, 3, 3, 0, 0]);
    let guest = until(&nodes[1], &campaign, "guest", "admitted").await.text("pass").to_owned();
    // Three are inside.
    let full = admit(&nodes[0], &campaign, "user-5").await;
    assert_eq!(full.outcome(), "503 unavailable", "{full:?}");
    assert!(full.header("retry-after").is_some());
    assert_eq!(admit(&nodes[0], &campaign, "stranger").await.outcome(), "503 unavailable");
    assert_eq!(look(&nodes[0], &campaign, "stranger").await.outcome(), "404 not_found");
    assert_eq!(look(&nodes[0], &campaign, "user-5").await.number("place"), 6);
    for (user, pass) in [("first", &first), ("user-3", &pass), ("guest", &guest)] {
        assert_eq!(claim(&nodes[0], &campaign, user, pass).await.outcome(), "201", "{user}");
    }
    assert_eq!(admit(&nodes[1], &campaign, "user-5").await.outcome(), "503 unavailable", "sold out");
    assert_eq!(look(&nodes[1], &campaign, "user-5").await.text("state"), "sold_out");
}

//! How many are ahead, and how long it takes: never more than was told before, whichever node is asked and however; and a
//! time only where somebody can say it.

use std::collections::BTreeMap;
use std::time::Duration;

use onrush::app::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::room::{join, join_all_at_once, leave, look, open, pass_of, path, show, switch};
use crate::support::installation::{Answer, Client, Installation};
use crate::support::stores::{eventually, users};

/// What each of those who wait was told last, and their last ticket.
#[derive(Default)]
struct StatusBody(BTreeMap<String, (u64, String)>);

impl StatusBody {
    /// Takes an answer in. `false`: they do not wait any more.
    fn hears(&mut self, user: &str, answer: &Answer, how: &str) -> bool {
        let Some(ahead) = answer.body["ahead"].as_u64() else { return false };
        let before = self.0.get(user).map_or(u64::MAX, |(ahead, _)| *ahead);
        assert!(ahead <= before, "{user} was told {before}, and now {ahead} by {how}: {answer:?}");
        self.0.insert(user.to_owned(), (ahead, answer.text("ticket").to_owned()));
        true
    }
}

/// A stream that is read to its end: what it said of the people ahead, in order.
async fn listen(client: Client, campaign: String, ticket: String) -> Vec<u64> {
    let at = format!("{}/events?ticket={ticket}", path(&campaign));
    let mut response = client.request(Method::GET, &at).send().await.unwrap();
    let mut heard = String::new();
    // Until the room is closed.
    while let Ok(Some(chunk)) = response.chunk().await {
        heard.push_str(&String::from_utf8_lossy(&chunk));
    }
    let bodies = heard.lines().filter_map(|line| line.strip_prefix("data: "));
    bodies.filter_map(|body| serde_json::from_str::<Value>(body).unwrap()["ahead"].as_u64()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_waits_is_told_of_more_people_ahead_than_before_by_any_node() {
    let installation = Installation::new().await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(installation.node(Role::Serve).await);
    }
    let clients: Vec<&Client> = nodes.iter().map(|node| &node.client).collect();
    let campaign = open(&nodes[0], 1_000, json!({"admit": 2, "every_ms": 200})).await;
    let crowd = users(1, 90);
    let mut told = StatusBody::default();
    let joined = join_all_at_once(&clients, &campaign, &crowd).await;
    let mut streams = Vec::new();
    for (index, (user, answer)) in crowd.iter().zip(&joined).enumerate() {
        if told.hears(user, answer, "joining") && index % 2 == 0 {
            let (client, ticket) = (nodes[(index + 1) % 3].client.clone(), answer.text("ticket").to_owned());
            let first = answer.number("ahead");
            streams.push((first, tokio::spawn(listen(client, campaign.clone(), ticket))));
        }
    }
    let mut asked = 0_usize;
    for round in 0..6 {
        for (index, user) in crowd.iter().enumerate() {
            let Some((_, ticket)) = told.0.get(user).cloned() else { continue };
            if index % 11 == round {
                leave(&nodes[index % 3], &campaign, user).await;
                told.0.remove(user);
                continue;
            }
            asked += 1;
            let node = &nodes[(index + asked) % 3];
            let (answer, how) = match asked % 3 {
                0 => (look(node, &campaign, user).await, "asking without a ticket"),
                1 => (show(node, &campaign, user, &ticket).await, "asking with a ticket"),
                _ => (join(node, &campaign, user).await, "joining again"),
            };
            if !told.hears(user, &answer, how) {
                told.0.remove(user);
            }
        }
    }
    assert!(asked > 100, "{asked} asked while they waited");
    nodes[0].as_operator(Method::POST, &format!("/v1/campaigns/{campaign}/close")).await;
    let mut changes = 0;
    for (first, stream) in streams {
        let heard = stream.await.unwrap();
        let all: Vec<u64> = std::iter::once(first).chain(heard).collect();
        assert!(all.is_sorted_by(|before, after| before >= after), "{all:?}");
        changes += all.len();
    }
    assert!(changes > 90, "{changes} were heard of");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_behind_a_window_that_is_used_up_is_told_to_wait_for_the_next() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let campaign = open(&nodes[0], 1_000, json!({"admit": 2, "every_ms": 30_000})).await;
    // Both nodes have seen the room while it was empty.
    for node in &nodes {
        assert_eq!(look(node, &campaign, "nobody").await.outcome(), "404 not_found");
    }
    assert_eq!(join(&nodes[0], &campaign, "alice").await.text("state"), "admitted");
    assert_eq!(join(&nodes[0], &campaign, "bob").await.text("state"), "admitted");
    for (index, (user, windows)) in [("carol", 1), ("dave", 1), ("erin", 2), ("frank", 2)].into_iter().enumerate() {
        let answer = join(&nodes[(index + 1) % 2], &campaign, user).await;
        let eta = answer.number("eta_s");
        assert!((30 * windows - 15..=30 * windows).contains(&eta), "{user}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_full_room_that_nobody_leaves_and_behind_the_last_unit_no_time_is_told() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    // Three came in at once, which says nothing of when the next may.
    let full = open(&node, 50, json!({"active_max": 3})).await;
    for user in users(1, 3) {
        assert_eq!(join(&node, &full, &user).await.text("state"), "admitted");
    }
    join(&node, &full, "waits").await;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let answer = look(&node, &full, "waits").await;
        assert_eq!((answer.number("ahead"), &answer.body["eta_s"]), (0, &Value::Null), "{answer:?}");
    }
    leave(&node, &full, "user-1").await;
    join(&node, &full, "behind").await;
    eventually("one who left says how fast it goes", async || {
        look(&node, &full, "behind").await.body["eta_s"].as_u64().is_some_and(|eta| eta >= 1)
    })
    .await;

    // Two units and a pace: the third may never have one.
    let scarce = open(&node, 2, json!({"admit": 1, "every_ms": 60_000})).await;
    assert_eq!(join(&node, &scarce, "first").await.text("state"), "admitted");
    let second = join(&node, &scarce, "second").await;
    assert!((45..=60).contains(&second.number("eta_s")), "{second:?}");
    assert_eq!(join(&node, &scarce, "third").await.body["eta_s"], Value::Null);

    // An operator has stopped it.
    switch(&node, &scarce, "pause").await;
    assert_eq!(look(&node, &scarce, "second").await.body["eta_s"], Value::Null);
    switch(&node, &scarce, "resume").await;
    assert!(look(&node, &scarce, "second").await.body["eta_s"].is_u64());
    pass_of(&node, &scarce, "first").await;
}

//! Tickets: what makes a poll cheap, and nothing else.

use std::process::Stdio;

use futures::StreamExt;
use futures::stream::iter;
use onrush::app::Role;
use reqwest::Method;
use serde_json::json;

use super::room::{join, look, open, path, show};
use crate::support::installation::{Answer, Client, Installation};
use crate::support::private_redis::PrivateRedis;
use crate::support::process::Process;
use crate::support::stores::users;

/// How often Redis was asked how somebody stands: nothing else that a quiet room does looks for a member's score.
fn questions(redis: &PrivateRedis) -> u64 {
    let info = redis.cli(&["info", "commandstats"]);
    let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_zscore:calls="));
    line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

/// All of them ask, ten times each, with their tickets or without.
async fn poll(client: &Client, campaign: &str, joined: &[(String, Answer)], with_ticket: bool) {
    let polls = (0..joined.len() * 10).map(|index| {
        let (user, answer) = &joined[index % joined.len()];
        async move {
            let heard = if with_ticket {
                show(client, campaign, user, answer.text("ticket")).await
            } else {
                look(client, campaign, user).await
            };
            assert_eq!(heard.number("place"), answer.number("place"), "{user}: {heard:?}");
            assert_eq!(heard.number("ahead"), answer.number("ahead"), "{user}: {heard:?}");
        }
    });
    iter(polls).buffer_unordered(8).collect::<Vec<()>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_with_tickets_cost_redis_nothing() {
    let redis = PrivateRedis::start(&[]).await;
    let installation = Installation::with(|config| config.redis.url = redis.url()).await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 5, json!({"active_max": 1})).await;
    join(&node, &campaign, "first").await;
    let mut joined = Vec::new();
    for user in users(1, 30) {
        let answer = join(&node, &campaign, &user).await;
        joined.push((user, answer));
    }
    let before = questions(&redis);
    poll(&node, &campaign, &joined, true).await;
    let with = questions(&redis) - before;
    poll(&node, &campaign, &joined, false).await;
    let without = questions(&redis) - before - with;
    assert!(without >= 300, "300 polls without tickets asked Redis {without} times");
    // Not one, unless this machine was so busy that what the node knew had become older than a second.
    assert!(with <= 30, "300 polls with tickets asked Redis {with} times");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_that_is_forged_or_anothers_says_nothing() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 5, json!({"active_max": 1})).await;
    let other = open(&node, 5, json!({"active_max": 1})).await;
    for campaign in [&campaign, &other] {
        assert_eq!(join(&node, campaign, "first").await.text("state"), "admitted");
    }
    let alice = join(&node, &campaign, "alice").await;
    let bob = join(&node, &campaign, "bob").await;
    let elsewhere = join(&node, &other, "bob").await;
    let mut flipped = bob.text("ticket").to_owned().into_bytes();
    flipped[10] = if flipped[10] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(flipped).unwrap();
    for (context, ticket) in [
        ("another user's", alice.text("ticket")),
        ("another campaign's", elsewhere.text("ticket")),
        ("forged", &forged),
        ("garbage", "x.y.z"),
        ("nothing", ""),
    ] {
        let heard = show(&node, &campaign, "bob", ticket).await;
        assert_eq!((heard.status, heard.number("place"), heard.number("ahead")), (200, 3, 1), "{context}: {heard:?}");
        assert_eq!(heard.text("ticket"), bob.text("ticket"), "{context}: bob's own");
        let stranger = show(&node, &campaign, "stranger", ticket).await;
        assert_eq!(stranger.outcome(), "404 not_found", "{context}");
    }
    assert_eq!(show(&node, &campaign, "bob", bob.text("ticket")).await.text("ticket"), bob.text("ticket"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_an_address_a_ticket_is_for_events_of_its_campaign_alone() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 5, json!({"active_max": 1})).await;
    let other = open(&node, 5, json!({"active_max": 1})).await;
    let ticket = join(&node, &campaign, "alice").await.text("ticket").to_owned();
    let at = path(&campaign);
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let at = format!("{at}?ticket={ticket}");
        assert_eq!(node.as_user("alice", method.clone(), &at).await.outcome(), "400 invalid_request", "{method}");
        assert_eq!(node.send(node.request(method, &at)).await.outcome(), "401 unauthenticated");
    }
    let events = async |campaign: &str, query: &str| {
        let response = node.request(Method::GET, &format!("{}/events?{query}", path(campaign))).send().await.unwrap();
        response.status().as_u16()
    };
    assert_eq!(events(&campaign, &format!("ticket={ticket}")).await, 200);
    assert_eq!(events(&other, &format!("ticket={ticket}")).await, 403);
    assert_eq!(events(&campaign, "ticket=x.y.z").await, 401);
    assert_eq!(events(&campaign, "ticket=").await, 401);
    assert_eq!(events(&campaign, &format!("ticket={ticket}&surprise=1")).await, 400);
    assert_eq!(events(&campaign, &format!("ticket={ticket}&ticket={ticket}")).await, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_tickets_nor_passes_get_into_the_log() {
    let installation = Installation::new().await;
    let folder = std::env::temp_dir().join(crate::support::names::unique("onrush-log"));
    let log = std::fs::File::create(&folder).unwrap();
    let (out, err) = (log.try_clone().unwrap(), log);
    let mut process = Process::start_with(&installation, "serve", |command| {
        command.env("ONRUSH__TELEMETRY__LOG", "debug").stdout(Stdio::from(out)).stderr(Stdio::from(err));
    })
    .await;
    let client = installation.client(&process.url);
    let campaign = open(&client, 5, json!({"active_max": 1})).await;
    let first = join(&client, &campaign, "first").await;
    let ticket = join(&client, &campaign, "alice").await.text("ticket").to_owned();
    show(&client, &campaign, "alice", &ticket).await;
    let events = client.request(Method::GET, &format!("{}/events?ticket={ticket}", path(&campaign)));
    let mut response = events.send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.chunk().await.unwrap().unwrap();
    drop(response);
    super::room::claim(&client, &campaign, "first", first.text("pass")).await;
    assert!(process.terminate().await.success());
    let text = std::fs::read_to_string(&folder).unwrap();
    assert!(text.contains("route=\"/v1/campaigns\""), "the log is on: {text}");
    for (context, secret) in
        [("the ticket", ticket.as_str()), ("the pass", first.text("pass")), ("its ticket", first.text("ticket"))]
    {
        let tail = secret.rsplit('.').next().unwrap();
        assert!(!text.contains(secret) && !text.contains(tail), "{context} is in the log");
    }
    std::fs::remove_file(&folder).unwrap();
}

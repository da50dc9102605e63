//! Stores that die under a queue: what is told meanwhile is true, and afterwards it goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use onrush::app::Role;
use serde_json::json;

use super::room::{claim, figures, join, join_all_at_once, leave, look, open, pass_of, show, switch, until};
use crate::support::installation::{Answer, Client, Installation};
use crate::support::private_redis::{PrivateCluster, PrivateRedis};
use crate::support::stores::{PATIENCE, eventually, users};

/// What one visitor heard until they were let in.
struct Heard {
    place: u64,
    passes: BTreeSet<String>,
    refusals: usize,
}

/// Asks until let in, with the ticket every other time; whatever is told has to be the truth.
async fn ask(client: Client, campaign: String, user: String, joined: Answer) -> Heard {
    let (place, mut ahead) = (joined.number("place"), joined.number("ahead"));
    let mut heard = Heard { place, passes: BTreeSet::new(), refusals: 0 };
    let begin = Instant::now();
    for turn in 0.. {
        assert!(begin.elapsed() < PATIENCE, "{user} is not let in");
        let answer = if turn % 2 == 0 {
            show(&client, &campaign, &user, joined.text("ticket")).await
        } else {
            look(&client, &campaign, &user).await
        };
        match (answer.status, answer.text("state")) {
            (503, _) => heard.refusals += 1,
            (200, "waiting") => {
                assert_eq!(answer.number("place"), place, "{answer:?}");
                // Nobody leaves or comes in between: the number of people ahead only falls.
                assert!(answer.number("ahead") <= ahead, "{ahead} ahead before: {answer:?}");
                ahead = answer.number("ahead");
            }
            (200, "admitted") => {
                heard.passes.insert(answer.text("pass").to_owned());
                return heard;
            }
            _ => panic!("{answer:?}"),
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_killed_in_mid_queue_and_comes_back_has_the_queue_as_it_was() {
    let options = ["--appendonly", "yes"];
    let mut redis = PrivateRedis::start(&options).await;
    let installation = Installation::with(|config| {
        config.redis.url = redis.url();
        config.redis.command_timeout_ms = 300;
    })
    .await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let campaign = open(&nodes[0], 1_000, json!({"admit": 50, "every_ms": 1_000})).await;
    switch(&nodes[0], &campaign, "pause").await;
    let clients: Vec<&Client> = nodes.iter().map(|node| &node.client).collect();
    let crowd = users(1, 300);
    let joined = join_all_at_once(&clients, &campaign, &crowd).await;
    let places: BTreeSet<u64> = joined.iter().map(|answer| answer.number("place")).collect();
    assert_eq!(places, (1..=300).collect());
    switch(&nodes[1], &campaign, "resume").await;
    let began = Instant::now();
    let visits: Vec<_> = crowd
        .iter()
        .zip(joined)
        .enumerate()
        .map(|(index, (user, answer))| {
            tokio::spawn(ask(clients[index % 2].clone(), campaign.clone(), user.clone(), answer))
        })
        .collect();
    eventually("some are let in", async || figures(&nodes[0], &campaign).await.number("admitted") >= 100).await;
    redis.kill();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    redis.start_again(&options).await;

    let heard: Vec<Heard> = join_all(visits).await.into_iter().map(Result::unwrap).collect();
    // 300 by 50 a second, and not faster because of what happened.
    assert!(began.elapsed() >= Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(heard.iter().any(|heard| heard.refusals > 0), "nobody noticed that Redis was away");
    assert!(heard.iter().all(|heard| heard.passes.len() == 1));
    let figures = figures(&nodes[1], &campaign).await;
    assert_eq!((figures.number("admitted"), figures.number("waiting"), figures.number("inside")), (300, 0, 300));
    // The pass says whose place it was for: each once.
    let mut numbers = BTreeMap::new();
    for heard in &heard {
        let payload = heard.passes.first().unwrap().split('.').nth(1).unwrap().to_owned();
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(claims["jti"], format!("1.{}", heard.place));
        assert!(numbers.insert(heard.place, claims["sub"].clone()).is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_ask_says_so_instead_of_an_old_position() {
    let redis = PrivateRedis::start(&[]).await;
    let installation = Installation::with(|config| {
        config.redis.url = redis.url();
        config.redis.command_timeout_ms = 1_000;
    })
    .await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 5, json!({"active_max": 1})).await;
    let pass = pass_of(&node, &campaign, "alice").await;
    let ticket = join(&node, &campaign, "bob").await.text("ticket").to_owned();
    assert_eq!(show(&node, &campaign, "bob", &ticket).await.status, 200);
    redis.freeze();
    // What the node has may be told for a second, and then not any more.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for answer in [
        show(&node, &campaign, "bob", &ticket).await,
        look(&node, &campaign, "bob").await,
        join(&node, &campaign, "bob").await,
        join(&node, &campaign, "carol").await,
        claim(&node, &campaign, "alice", &pass).await,
        figures(&node, &campaign).await,
    ] {
        assert_eq!(answer.outcome(), "503 unavailable", "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    redis.thaw();
    eventually("it goes on by itself", async || show(&node, &campaign, "bob", &ticket).await.status == 200).await;
    assert_eq!(show(&node, &campaign, "bob", &ticket).await.number("place"), 2);
    eventually("claims, too", async || claim(&node, &campaign, "alice", &pass).await.status != 503).await;
    let bob = until(&node, &campaign, "bob", "admitted").await;
    assert_eq!(claim(&node, &campaign, "bob", bob.text("pass")).await.outcome(), "201");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_has_all_of_a_room_in_one_place() {
    let cluster = PrivateCluster::start().await;
    let installation = Installation::with(|config| config.redis.url = cluster.url()).await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let mut campaigns = Vec::new();
    for _ in 0..4 {
        campaigns.push(open(&nodes[0], 10, json!({"active_max": 2})).await);
    }
    let campaigns = Arc::new(campaigns);
    let visits = (0..40).map(|index| {
        let (client, campaigns) = (nodes[index % 2].client.clone(), Arc::clone(&campaigns));
        tokio::spawn(async move {
            let (campaign, user) = (&campaigns[index % 4], format!("user-{}", index / 4));
            let pass = pass_of(&client, campaign, &user).await;
            let claimed = claim(&client, campaign, &user, &pass).await;
            assert_eq!(claimed.outcome(), "201", "{claimed:?}");
        })
    });
    for visit in join_all(visits).await {
        visit.unwrap();
    }
    for campaign in campaigns.iter() {
        let figures = figures(&nodes[1], campaign).await;
        assert_eq!((figures.number("admitted"), figures.number("waiting"), figures.number("inside")), (10, 0, 0));
        nodes[0].audit_ok(campaign).await;
        assert_eq!(join(&nodes[1], campaign, "late").await.text("state"), "sold_out");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_hear_no_messages_of_each_other_still_let_the_next_in() {
    let installation = Installation::with(|config| config.bench.without_messages = true).await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let campaign = open(&nodes[0], 5, json!({"active_max": 1})).await;
    let pass = pass_of(&nodes[0], &campaign, "alice").await;
    for (index, user) in ["bob", "carol"].into_iter().enumerate() {
        eventually("the node knows the campaign", async || nodes[index].view(&campaign).await.status == 200).await;
        assert_eq!(join(&nodes[index], &campaign, user).await.status, 202);
    }
    assert_eq!(claim(&nodes[0], &campaign, "alice", &pass).await.outcome(), "201");
    until(&nodes[1], &campaign, "bob", "admitted").await;
    leave(&nodes[1], &campaign, "bob").await;
    let carol = until(&nodes[0], &campaign, "carol", "admitted").await;
    assert_eq!(claim(&nodes[1], &campaign, "carol", carol.text("pass")).await.outcome(), "201");
}

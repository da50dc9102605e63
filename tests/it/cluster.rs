//! A real cluster of three primaries with a replica each: campaigns in different slots, and a primary that dies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use onrush::app::{Node, Role};
use onrush::redis::Keys;
use reqwest::Method;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::installation::{Answer, Client, Installation};
use crate::support::private_redis::PrivateCluster;
use crate::support::stores::eventually;

async fn on(cluster: &PrivateCluster) -> Installation {
    Installation::with(|config| {
        config.redis.url = cluster.url();
        // Many tests share two cores: a replica that runs must not seem to be stopped.
        config.redis.wait_ms_max = 500;
    })
    .await
}

fn key_of(installation: &Installation, campaign: &str) -> String {
    Keys::new(&installation.config.redis.key_prefix).of(&campaign.parse().unwrap()).campaign()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn campaigns_in_different_slots_are_each_sold_exactly() {
    let mut cluster = PrivateCluster::start().await;
    let installation = on(&cluster).await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let mut campaigns = Vec::new();
    let mut primaries = BTreeSet::new();
    while primaries.len() < 3 || campaigns.len() < 6 {
        let durability = if campaigns.len() % 2 == 0 { "memory" } else { "replicated" };
        let campaign = nodes[0].campaign(100, json!({"durability": durability})).await;
        primaries.insert(cluster.primary_of(&key_of(&installation, &campaign)).port);
        campaigns.push((campaign, durability));
    }
    // Every primary forgets its scripts; each is loaded again where it is needed.
    for node in &cluster.nodes {
        node.cli(&["script", "flush"]);
    }
    let calls = (0..campaigns.len() * 300).map(|index| {
        let (client, campaign) = (nodes[index % 2].client.clone(), campaigns[index % campaigns.len()].0.clone());
        let user = format!("user-{}", index / campaigns.len() / 2);
        tokio::spawn(async move { (campaign.clone(), client.claim(&campaign, &user).await) })
    });
    let mut granted: BTreeMap<String, Vec<Answer>> = BTreeMap::new();
    for (campaign, answer) in join_all(calls).await.into_iter().map(Result::unwrap) {
        match answer.outcome().as_str() {
            "201" => granted.entry(campaign).or_default().push(answer),
            "409 sold_out" | "409 limit_reached" => {}
            _ => panic!("{answer:?}"),
        }
    }
    for (campaign, durability) in &campaigns {
        let mut numbers: Vec<u64> = granted[campaign].iter().map(|answer| answer.number("number")).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
        assert!(granted[campaign].iter().all(|answer| answer.text("durability") == *durability));
        let audit = nodes[0].audit_ok(campaign).await;
        assert_eq!((audit.number("rows"), audit.number("doubled"), audit.number("live")), (100, 0, 100));
    }
    // What one node changes the other hears, whichever server each of them listens to.
    let (campaign, _) = &campaigns[0];
    let path = format!("/v1/campaigns/{campaign}");
    assert_eq!(nodes[0].operator_sends(Method::PATCH, &path, &json!({"stock": 101})).await.status, 200);
    eventually("the other node has heard", async || nodes[1].view(campaign).await.number("stock") == 101).await;
    assert_eq!(nodes[1].claim(campaign, "late").await.outcome(), "201");
    let page = nodes[1].as_operator(Method::GET, &format!("{path}/claims?limit=100")).await;
    assert_eq!(page.body["items"].as_array().unwrap().len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_primary_that_throws_keys_away_makes_the_cluster_unfit() {
    let mut cluster = PrivateCluster::start().await;
    let installation = on(&cluster).await;
    // A key of each third of the slots.
    for key in ["b", "c", "a"] {
        let primary = cluster.primary_of(key);
        primary.cli(&["config", "set", "maxmemory-policy", "allkeys-lru"]);
        let refused = Node::start(installation.config.clone(), Role::Serve).await.err().map(|error| error.to_string());
        assert!(refused.as_ref().is_some_and(|error| error.contains("noeviction")), "{}: {refused:?}", primary.port);
        primary.cli(&["config", "set", "maxmemory-policy", "noeviction"]);
    }
    installation.node(Role::Serve).await.stop().await;
}

/// Users without an end, on both nodes; each is asked for once more, with the same key, when the outcome was unknown.
async fn rush(
    client: Client,
    campaign: String,
    stream: usize,
    told: Arc<AtomicUsize>,
    over: CancellationToken,
) -> Vec<Answer> {
    let mut heard = Vec::new();
    let mut user = 0;
    while !over.is_cancelled() {
        let answer = client.claim_with_key(&campaign, &format!("user-{stream}-{user}"), "k").await;
        if answer.status == 503 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        assert_eq!(answer.status, 201, "{answer:?}");
        told.fetch_add(1, Ordering::Relaxed);
        heard.push(answer);
        user += 1;
    }
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_dies_in_mid_rush_takes_no_replicated_claim_with_it_and_claims_go_on() {
    let mut cluster = PrivateCluster::start().await;
    let installation = on(&cluster).await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let campaign = nodes[0].campaign(1_000_000, json!({"durability": "replicated"})).await;
    let (told, over) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let streams: Vec<_> = (0..32)
        .map(|stream| {
            let client = nodes[stream % 2].client.clone();
            tokio::spawn(rush(client, campaign.clone(), stream, Arc::clone(&told), over.clone()))
        })
        .collect();
    eventually("the rush is under way", async || told.load(Ordering::Relaxed) > 1_000).await;
    let primary = cluster.primary_of(&key_of(&installation, &campaign));
    let killed = primary.port;
    primary.kill();
    let so_far = told.load(Ordering::Relaxed);
    let mut verdict = String::new();
    eventually("claims go on, or are refused for a reason", async || {
        nodes[0].audit(&campaign).await.text("verdict").clone_into(&mut verdict);
        told.load(Ordering::Relaxed) > so_far + 500 || verdict == "broken"
    })
    .await;
    over.cancel();
    let heard: Vec<Answer> = join_all(streams).await.into_iter().flat_map(Result::unwrap).collect();
    let survivor = cluster.nodes.iter().find(|node| node.port != killed).unwrap();
    assert!(survivor.cli(&["cluster", "info"]).contains("cluster_state:ok"));

    let mut numbers = BTreeMap::new();
    for answer in &heard {
        if let Some(other) = numbers.insert(answer.number("number"), answer.text("user_id").to_owned()) {
            panic!("{} and {other} were both told number {}", answer.text("user_id"), answer.number("number"));
        }
    }
    let before: Vec<_> = heard.iter().filter(|answer| answer.text("durability") == "replicated").collect();
    assert!(before.len() >= 1_000, "{} of {}", before.len(), heard.len());
    if verdict == "broken" {
        // The primary died between a script and its replication: loud, and nothing that was lost was called replicated.
        let memory = heard.iter().filter(|answer| answer.text("durability") == "memory").count();
        assert!(memory > 0, "all that was told was replicated, and yet the campaign is lost");
        return;
    }
    let last = nodes[1].claim(&campaign, "last").await;
    assert_eq!((last.status, last.text("durability")), (201, "memory"), "the new primary has no replica");
    let audit = nodes[1].audit_ok(&campaign).await;
    assert_eq!((audit.number("live"), audit.number("doubled"), audit.number("gaps")), (heard.len() as u64 + 1, 0, 0));
}

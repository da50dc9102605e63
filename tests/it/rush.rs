//! Many at once: never oversold, never undersold, each once, numbered in order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use onrush::app::Role;
use serde_json::json;

use crate::support::installation::{Answer, Client, Installation};

/// All of these at the same time; the answers come in the order of the requests.
async fn rush(requests: impl IntoIterator<Item = (Client, String, String)>) -> Vec<Answer> {
    let calls = requests
        .into_iter()
        .map(|(client, campaign, user)| tokio::spawn(async move { client.claim(&campaign, &user).await }));
    join_all(calls).await.into_iter().map(Result::unwrap).collect()
}

fn outcomes(answers: &[Answer]) -> BTreeMap<String, usize> {
    answers.iter().fold(BTreeMap::new(), |mut counts, answer| {
        *counts.entry(answer.outcome()).or_default() += 1;
        counts
    })
}

fn numbers(answers: &[Answer]) -> Vec<u64> {
    let mut numbers: Vec<u64> =
        answers.iter().filter(|answer| answer.status == 201).map(|answer| answer.number("number")).collect();
    numbers.sort_unstable();
    numbers
}

fn counts<const N: usize>(expected: [(&str, usize); N]) -> BTreeMap<String, usize> {
    expected.into_iter().map(|(outcome, count)| (outcome.to_owned(), count)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_users_and_a_hundred_units_leave_none() {
    let installation = Installation::new().await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(100, json!({})).await;
    let answers = rush((0..100).map(|user| (node.client.clone(), campaign.clone(), format!("user-{user}")))).await;
    assert_eq!(outcomes(&answers), counts([("201", 100)]));
    assert_eq!(numbers(&answers), (1..=100).collect::<Vec<_>>());
    let view = node.view(&campaign).await;
    assert_eq!((view.number("left"), view.number("claimed"), view.text("state")), (0, 100, "sold_out"));
    let audit = node.audit_ok(&campaign).await;
    assert_eq!((audit.number("rows"), audit.number("live")), (100, 100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_users_and_ten_units_give_the_numbers_one_to_ten() {
    let installation = Installation::new().await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(10, json!({})).await;
    let answers = rush((0..30).map(|user| (node.client.clone(), campaign.clone(), format!("user-{user}")))).await;
    assert_eq!(outcomes(&answers), counts([("201", 10), ("409 sold_out", 20)]));
    assert_eq!(numbers(&answers), (1..=10).collect::<Vec<_>>());
    node.audit_ok(&campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_and_five_tries_each_give_a_thousand_users_one_unit_each() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let campaign = nodes[0].campaign(1_000, json!({})).await;
    // A user's tries go to both nodes, and stand next to each other.
    let requests = (0..25_000).map(|index| {
        let client = nodes[index % 2].client.clone();
        (client, campaign.clone(), format!("user-{}", index / 5))
    });
    // As many at a time as a test may have sockets for.
    let requests: Vec<_> = requests.collect();
    let mut answers = Vec::new();
    for wave in requests.chunks(2_500) {
        answers.extend(rush(wave.to_vec()).await);
    }
    let granted: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(granted.len(), 1_000, "{:?}", outcomes(&answers));
    assert_eq!(numbers(&answers), (1..=1_000).collect::<Vec<_>>());
    let users: BTreeSet<_> = granted.iter().map(|answer| answer.text("user_id").to_owned()).collect();
    assert_eq!(users.len(), 1_000, "somebody has two");
    for answer in &answers {
        assert!(["201", "409 limit_reached", "409 sold_out"].contains(&answer.outcome().as_str()), "{answer:?}");
    }
    let audit = nodes[1].audit_ok(&campaign).await;
    assert_eq!((audit.number("rows"), audit.number("doubled"), audit.number("oversold")), (1_000, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_two_holds_against_five_tries_at_once() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let campaign = nodes[0].campaign(1_000, json!({"per_user_limit": 2})).await;
    let requests =
        (0..500).map(|index| (nodes[index % 2].client.clone(), campaign.clone(), format!("user-{}", index / 5)));
    let answers = rush(requests).await;
    assert_eq!(outcomes(&answers), counts([("201", 200), ("409 limit_reached", 300)]));
    for answer in answers.iter().filter(|answer| answer.status == 409) {
        let held = answer.body["claims"].as_array().unwrap();
        assert_eq!(held.len(), 2, "{answer:?}");
        assert!(held.iter().all(|claim| claim["coupon_code"].is_string() && claim["state"] == "live"));
    }
    node_holds_two_each(&nodes[1].client, &campaign).await;
    nodes[0].audit_ok(&campaign).await;
}

async fn node_holds_two_each(client: &Client, campaign: &str) {
    for user in 0..100 {
        let path = format!("/v1/campaigns/{campaign}/claims/mine");
        let mine = client.as_user(&format!("user-{user}"), reqwest::Method::GET, &path).await;
        assert_eq!(mine.body["items"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_raised_in_mid_rush_is_sold_to_the_last_unit() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let campaign = nodes[0].campaign(100, json!({})).await;
    let raised = {
        let (client, path) = (nodes[0].client.clone(), format!("/v1/campaigns/{campaign}"));
        tokio::spawn(async move {
            for stock in [200, 300, 500] {
                let answer = client.operator_sends(reqwest::Method::PATCH, &path, &json!({"stock": stock})).await;
                assert_eq!((answer.status, answer.number("stock")), (200, stock));
            }
        })
    };
    let first =
        rush((0..1_500).map(|user| (nodes[user % 2].client.clone(), campaign.clone(), format!("user-{user}")))).await;
    raised.await.unwrap();
    // Who came before a raise may have been refused; who comes after the last one is not, while units are left.
    let sold = numbers(&first).len();
    let rest =
        rush((1_500..2_500).map(|user| (nodes[0].client.clone(), campaign.clone(), format!("user-{user}")))).await;
    assert_eq!(numbers(&rest).len(), 500 - sold);
    let all: Vec<Answer> = first.into_iter().chain(rest).collect();
    assert_eq!(numbers(&all), (1..=500).collect::<Vec<_>>());
    let audit = nodes[0].audit_ok(&campaign).await;
    assert_eq!((audit.number("stock"), audit.number("rows")), (500, 500));
}

/// Invariant 2: whoever claims after a give-back was answered gets the unit, at once on that node, and a lease later on
/// any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_was_given_back_is_refused_to_nobody() {
    let installation = Installation::new().await;
    let lease = Duration::from_millis(installation.config.claim.latch_lease_ms);
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let campaign = nodes[0].campaign(1, json!({})).await;
    let mut claim = nodes[0].claim(&campaign, "user-0").await;
    for turn in 1..=100_usize {
        let (giver, taker) = (&nodes[turn % 2], &nodes[turn / 2 % 2]);
        for node in &nodes {
            assert_eq!(node.claim(&campaign, "nobody").await.outcome(), "409 sold_out");
        }
        assert_eq!(giver.give_back(&claim).await.outcome(), "200");
        if !std::ptr::eq(giver, taker) {
            tokio::time::sleep(lease).await;
        }
        claim = taker.claim(&campaign, &format!("user-{turn}")).await;
        assert_eq!((claim.outcome().as_str(), claim.number("number")), ("201", turn as u64 + 1));
    }
    let audit = nodes[0].audit_ok(&campaign).await;
    assert_eq!((audit.number("live"), audit.number("given_back"), audit.number("left")), (1, 100, 0));
}

/// Invariants 1 and 2 while units come back all the time: what is refused was not free, and in the end all is sold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_and_give_backs_at_once_keep_the_stock_exact() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let campaign = nodes[0].campaign(20, json!({"per_user_limit": 1})).await;
    let users = (0..60).map(|user| {
        let (client, campaign) = (nodes[user % 2].client.clone(), campaign.clone());
        tokio::spawn(async move {
            for _ in 0..15 {
                let claim = client.claim(&campaign, &format!("user-{user}")).await;
                if claim.status == 201 {
                    assert_eq!(client.give_back(&claim).await.outcome(), "200");
                } else {
                    assert_eq!(claim.outcome(), "409 sold_out");
                }
            }
        })
    });
    join_all(users).await.into_iter().for_each(Result::unwrap);
    let view = nodes[0].view(&campaign).await;
    assert_eq!((view.number("left"), view.number("claimed")), (20, 0));
    let last = rush((0..30).map(|user| (nodes[0].client.clone(), campaign.clone(), format!("late-{user}")))).await;
    assert_eq!(outcomes(&last), counts([("201", 20), ("409 sold_out", 10)]));
    nodes[0].audit_ok(&campaign).await;
}

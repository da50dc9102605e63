//! A draw from its announcement to the last one who was let in, recomputed from what is public.

use std::collections::BTreeMap;

use fred::prelude::{ClientLike, KeysInterface};
use onrush::app::Role;
use onrush::hex::{from_hex, to_hex};
use onrush::redis::Keys;
use onrush::waiting::{PublishedDraw, seed_hash};
use serde_json::{Value, json};

use super::ends::RoomKeys;
use super::room::{in_ms, join, join_all_at_once, leave, look, members, show, switch, time};
use crate::support::installation::{Client, Installation};
use crate::support::stores::{eventually, users};

/// The list as the lottery has kept it for operators.
async fn kept_list(installation: &Installation, campaign: &str, list_hash: &str) -> String {
    let url = fred::types::config::Config::from_url(&installation.config.redis.url).unwrap();
    let client = fred::clients::Client::new(url, None, None, None);
    client.init().await.unwrap();
    let keys = Keys::new(&installation.config.redis.key_prefix).of(&campaign.parse().unwrap());
    let list: String = client.get(keys.draw_list(list_hash)).await.unwrap();
    client.quit().await.unwrap();
    list
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_before_the_opening_is_drawn_and_anybody_can_check_it() {
    let installation = Installation::new().await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(installation.node(Role::Serve).await);
    }
    let clients: Vec<&Client> = nodes.iter().map(|node| &node.client).collect();
    let opens_at = in_ms(5_000);
    let waiting = json!({"admit": 10, "every_ms": 500, "order": "draw", "claim_pass_within_s": 600});
    let campaign = nodes[0].campaign(100, json!({"opens_at": opens_at, "waiting": waiting})).await;
    let draw_path = format!("/v1/campaigns/{campaign}/draw");
    let announced = nodes[0].get(&draw_path).await;
    assert_eq!(
        (announced.text("state"), announced.text("draws_at")),
        ("announced", opens_at.as_str()),
        "{announced:?}"
    );
    for secret in ["n", "list_hash", "seed", "drawn_at"] {
        assert_eq!(announced.body[secret], Value::Null, "{secret} is public too early");
    }
    let crowd = users(1, 50);
    let joined = join_all_at_once(&clients, &campaign, &crowd).await;
    for answer in &joined {
        assert_eq!((answer.status, answer.text("state"), answer.text("draws_at")), (202, "waiting", opens_at.as_str()));
        for member in ["place", "ahead", "eta_s"] {
            assert_eq!(answer.body[member], Value::Null, "{member}: {answer:?}");
        }
        assert_eq!(answer.header("retry-after").unwrap().parse(), Ok(answer.number("poll_after_s")));
    }
    let gone = &crowd[10..15];
    for user in gone {
        leave(&nodes[1], &campaign, user).await;
        assert_eq!(look(&nodes[1], &campaign, user).await.text("state"), "expired");
    }
    switch(&nodes[2], &campaign, "pause").await;
    let mut drawn = announced.clone();
    eventually("it is drawn", async || {
        drawn = nodes[1].get(&draw_path).await;
        drawn.text("state") == "drawn"
    })
    .await;
    let late = users(51, 55);
    for (index, user) in late.iter().enumerate() {
        let answer = join(&nodes[0], &campaign, user).await;
        assert_eq!(answer.number("place"), 51 + index as u64, "behind all who were drawn: {answer:?}");
    }

    // What was published holds together, with the list too.
    assert_eq!(drawn.body["seed_hash"], announced.body["seed_hash"], "the seed was promised");
    assert_eq!(to_hex(&seed_hash(&from_hex(drawn.text("seed")).unwrap())), drawn.text("seed_hash"));
    assert_eq!(drawn.number("n"), 50);
    assert!(time(&drawn, "drawn_at") >= time(&drawn, "draws_at"));
    for node in &nodes {
        eventually("every node says the same", async || node.get(&draw_path).await.body == drawn.body).await;
    }
    let list = kept_list(&installation, &campaign, drawn.text("list_hash")).await;
    let published: PublishedDraw = serde_json::from_value(drawn.body.clone()).unwrap();
    let confirmed = published.confirm(Some(list.as_bytes())).unwrap();
    assert_eq!(confirmed.users, Some(45));
    let numbers: BTreeMap<&str, u64> = list
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(number, user)| (user, number.parse().unwrap()))
        .collect();

    // Everybody's place is the one that was drawn for their number, at every node, with a ticket and without.
    let mut in_order: BTreeMap<u64, String> = BTreeMap::new();
    for (index, user) in crowd.iter().enumerate() {
        let node = &nodes[index % 3];
        if gone.contains(user) {
            assert_eq!(look(node, &campaign, user).await.text("state"), "expired");
            assert!(!numbers.contains_key(user.as_str()));
            continue;
        }
        let place = confirmed.draw.place_of(numbers[user.as_str()]).unwrap();
        eventually("the node knows the order", async || look(node, &campaign, user).await.body["place"].is_u64()).await;
        assert_eq!(look(node, &campaign, user).await.number("place"), place, "{user}");
        assert_eq!(show(node, &campaign, user, joined[index].text("ticket")).await.number("place"), place, "{user}");
        assert!(in_order.insert(place, user.clone()).is_none(), "place {place} was drawn twice");
    }
    for (index, user) in late.iter().enumerate() {
        in_order.insert(51 + index as u64, user.clone());
    }
    // People who left are not ahead of anybody.
    for (ahead, (place, user)) in in_order.iter().enumerate() {
        let answer = look(&nodes[ahead % 3], &campaign, user).await;
        assert_eq!((answer.number("place"), answer.number("ahead")), (*place, ahead as u64), "{user}");
    }

    // Ten at a time, in the drawn order.
    switch(&nodes[0], &campaign, "resume").await;
    let in_order: Vec<String> = in_order.into_values().collect();
    let mut inside = 0;
    eventually("all are let in, in the order of their places", async || {
        let mut states = Vec::new();
        for (index, user) in in_order.iter().enumerate() {
            let answer = look(&nodes[index % 3], &campaign, user).await;
            states.push(answer.text("state") == "admitted");
            assert!(members(&answer).contains("ticket"), "{answer:?}");
        }
        // Asked in order, while they are let in in order: who is asked later may be inside already, and nobody before.
        let first_outside = states.iter().position(|is_inside| !is_inside).unwrap_or(states.len());
        let skipped = states[first_outside..].iter().filter(|is_inside| **is_inside).count();
        assert!(skipped == 0 || first_outside >= inside, "{states:?}");
        inside = first_outside;
        inside == in_order.len()
    })
    .await;
    assert_eq!(look(&nodes[0], &campaign, gone[0].as_str()).await.text("state"), "expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_who_comes_and_goes_before_a_draw_neither_delays_it_nor_makes_it_longer() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let waiting = json!({"active_max": 100, "order": "draw", "claim_pass_within_s": 600});
    let more = json!({"opens_at": in_ms(6_000), "waiting": waiting});
    let (short, long) = (nodes[0].campaign(50, more.clone()).await, nodes[0].campaign(50, more).await);
    for campaign in [&short, &long] {
        for user in ["alice", "bob", "restless"] {
            assert_eq!(join(&nodes[0], campaign, user).await.status, 202);
        }
    }
    for turn in 0..40 {
        leave(&nodes[turn % 2], &short, "restless").await;
        assert_eq!(join(&nodes[(turn + 1) % 2], &short, "restless").await.status, 202);
    }
    // As nodes have given them that gave a new number each time.
    leave(&nodes[0], &long, "restless").await;
    RoomKeys::of(&installation, &long).await.set("number", 100_000).await;
    for user in ["carol", "dave"] {
        assert_eq!(join(&nodes[0], &long, user).await.status, 202);
    }
    for (campaign, n, people) in
        [(&short, 3, vec!["alice", "bob", "restless"]), (&long, 100_002, vec!["alice", "bob", "carol", "dave"])]
    {
        let mut drawn = None;
        eventually("it is drawn", async || {
            let answer = nodes[1].get(&format!("/v1/campaigns/{campaign}/draw")).await;
            let is_drawn = answer.text("state") == "drawn";
            drawn = is_drawn.then_some(answer);
            is_drawn
        })
        .await;
        let drawn = drawn.unwrap();
        assert_eq!(drawn.number("n"), n);
        // At the opening, and not seconds later: nothing is computed or written for a number that nobody has.
        assert!(time(&drawn, "drawn_at") - time(&drawn, "draws_at") < 2_500, "{drawn:?}");
        for user in people {
            super::room::until(&nodes[1], campaign, user, "admitted").await;
        }
        // Who comes later is behind all of them, with nobody between.
        assert_eq!(join(&nodes[1], campaign, "late").await.text("state"), "admitted");
    }
    assert_eq!(look(&nodes[0], &long, "restless").await.text("state"), "expired");
}

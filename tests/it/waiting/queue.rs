//! Places: one each, in the order of joining, kept until one's turn comes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use onrush::app::Role;
use serde_json::json;
use tokio::sync::Barrier;

use super::room::{claim, figures, join, join_all_at_once, look, open, switch, time, until};
use crate::support::installation::{Answer, Client, Installation};
use crate::support::stores::{eventually, users};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_ten_times_at_once_has_one_place() {
    let installation = Installation::new().await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(installation.node(Role::Serve).await);
    }
    let campaign = open(&nodes[0], 5, json!({"active_max": 1})).await;
    assert_eq!(join(&nodes[0], &campaign, "first").await.text("state"), "admitted");
    let barrier = Arc::new(Barrier::new(10));
    let joins = (0..10).map(|index| {
        let (client, campaign, barrier) = (nodes[index % 3].client.clone(), campaign.clone(), Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            join(&client, &campaign, "alice").await
        })
    });
    for answer in join_all(joins).await.into_iter().map(Result::unwrap) {
        assert_eq!((answer.status, answer.number("place"), answer.number("ahead")), (202, 2, 0), "{answer:?}");
    }
    assert_eq!(join(&nodes[1], &campaign, "bob").await.number("place"), 3, "no number was used up");
    assert_eq!(figures(&nodes[2], &campaign).await.number("waiting"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_who_join_at_once_at_three_nodes_get_the_places_from_one_to_five_hundred() {
    let installation = Installation::new().await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(installation.node(Role::Serve).await);
    }
    let campaign = open(&nodes[0], 1_000, json!({"admit": 100, "every_ms": 1_000})).await;
    switch(&nodes[0], &campaign, "pause").await;
    let clients: Vec<&Client> = nodes.iter().map(|node| &node.client).collect();
    let answers = join_all_at_once(&clients, &campaign, &users(1, 500)).await;
    let mut places = BTreeSet::new();
    for answer in &answers {
        assert_eq!((answer.status, answer.text("state")), (202, "waiting"), "{answer:?}");
        let place = answer.number("place");
        assert_eq!(answer.number("ahead"), place - 1, "{answer:?}");
        assert!(places.insert(place), "place {place} was given twice");
    }
    assert_eq!(places, (1..=500).collect());
    // Every node says the same of everybody.
    for (index, answer) in answers.iter().enumerate().step_by(50) {
        let looked = look(&nodes[(index + 1) % 3], &campaign, &format!("user-{}", index + 1)).await;
        assert_eq!(looked.number("place"), answer.number("place"));
        assert_eq!(looked.number("ahead"), answer.number("place") - 1);
    }
}

/// What one of the crowd went through.
struct Story {
    place: u64,
    admitted: Option<i64>,
    claim: Option<(Answer, Instant)>,
    sold_out: Option<Instant>,
}

/// Asks until served or told that nothing is left.
async fn visit(client: Client, campaign: String, user: String, place: u64) -> Story {
    let mut story = Story { place, admitted: None, claim: None, sold_out: None };
    let begin = Instant::now();
    loop {
        assert!(begin.elapsed() < Duration::from_mins(1), "{user} hears nothing");
        let answer = look(&client, &campaign, &user).await;
        match answer.text("state") {
            "waiting" => assert_eq!(answer.number("place"), place, "{answer:?}"),
            "admitted" => {
                story.admitted = Some(time(&answer, "expires_at"));
                let claimed = claim(&client, &campaign, &user, answer.text("pass")).await;
                assert_eq!(claimed.outcome(), "201", "{user} was let in: {claimed:?}");
                story.claim = Some((claimed, Instant::now()));
                return story;
            }
            "sold_out" => {
                story.sold_out = Some(Instant::now());
                return story;
            }
            _ => panic!("{answer:?}"),
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_units_go_to_the_first_thirty_and_the_others_hear_within_a_second() {
    const EVERY_MS: i64 = 1_000;
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let campaign = open(&nodes[0], 30, json!({"admit": 10, "every_ms": EVERY_MS})).await;
    // The first one alone: their pass is picked up at the moment of the admission, and tells it.
    let first = join(&nodes[0], &campaign, "user-1").await;
    assert_eq!(first.text("state"), "admitted");
    let began = time(&first, "expires_at");
    let clients: Vec<&Client> = nodes.iter().map(|node| &node.client).collect();
    let crowd = users(2, 100);
    let joined = join_all_at_once(&clients, &campaign, &crowd).await;
    let mut visits = vec![tokio::spawn(visit(nodes[1].client.clone(), campaign.clone(), "user-1".into(), 1))];
    let mut places = BTreeSet::from([1]);
    for (index, answer) in joined.iter().enumerate() {
        // Who was let in at once is not told a place: their numbers are among the first ten.
        let place = answer.body["place"].as_u64().unwrap_or(0);
        assert!(place == 0 || places.insert(place), "place {place} was given twice");
        visits.push(tokio::spawn(visit(clients[index % 2].clone(), campaign.clone(), crowd[index].clone(), place)));
    }
    assert_eq!(places.iter().filter(|place| **place > 10).count(), 90);
    let stories: Vec<Story> = join_all(visits).await.into_iter().map(Result::unwrap).collect();

    let served: Vec<&Story> = stories.iter().filter(|story| story.claim.is_some()).collect();
    assert_eq!(served.len(), 30);
    assert!(served.iter().all(|story| story.place <= 30), "somebody was let in out of turn");
    for story in &served {
        let earliest = began + EVERY_MS * i64::try_from(story.place.saturating_sub(1) / 10).unwrap();
        let at = story.admitted.unwrap();
        assert!(at >= earliest, "place {} was let in {} ms too early", story.place, earliest - at);
    }
    let last = served.iter().map(|story| story.claim.as_ref().unwrap().1).max().unwrap();
    for story in stories.iter().filter(|story| story.claim.is_none()) {
        let late = story.sold_out.unwrap().saturating_duration_since(last);
        // A second, the time between two questions, and what a busy machine takes.
        assert!(late < Duration::from_secs(3), "place {} heard after {late:?}", story.place);
    }

    // A unit comes back: it is for the next in turn, and nobody has lost their place.
    let back = nodes[0].give_back(&served[7].claim.as_ref().unwrap().0).await;
    assert_eq!(back.status, 200);
    let of_place = |place: u64| {
        let index = stories.iter().position(|story| story.place == place).unwrap();
        format!("user-{}", index + 1)
    };
    let pass = until(&nodes[1], &campaign, &of_place(31), "admitted").await.text("pass").to_owned();
    for place in [32, 99] {
        eventually("the others go on waiting", async || {
            let answer = until(&nodes[0], &campaign, &of_place(place), "waiting").await;
            assert_eq!(answer.number("place"), place, "{answer:?}");
            answer.number("ahead") == place - 32
        })
        .await;
    }
    assert_eq!(claim(&nodes[1], &campaign, &of_place(31), &pass).await.outcome(), "201");
    until(&nodes[0], &campaign, &of_place(32), "sold_out").await;
    nodes[0].audit_ok(&campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_lets_all_behind_move_up_by_one_and_no_more() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let campaign = open(&nodes[0], 50, json!({"active_max": 1})).await;
    for user in users(1, 10) {
        join(&nodes[0], &campaign, &user).await;
    }
    for user in ["user-4", "user-7"] {
        super::room::leave(&nodes[1], &campaign, user).await;
    }
    for (user, place, ahead) in [("user-2", 2, 0), ("user-3", 3, 1), ("user-5", 5, 2), ("user-10", 10, 6)] {
        for node in &nodes {
            eventually("they have moved up", async || {
                let answer = look(node, &campaign, user).await;
                assert_eq!(answer.number("place"), place, "{answer:?}");
                assert!(answer.number("ahead") >= ahead, "too far: {answer:?}");
                answer.number("ahead") == ahead
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_estimate_follows_the_pace_and_whoever_is_far_from_the_front_is_told_to_ask_less_often() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let campaign = open(&nodes[0], 1_000, json!({"admit": 10, "every_ms": 10_000})).await;
    let clients: Vec<&Client> = nodes.iter().map(|node| &node.client).collect();
    let joined = join_all_at_once(&clients, &campaign, &users(1, 205)).await;
    let inside = joined.iter().filter(|answer| answer.text("state") == "admitted").count();
    assert!(inside >= 1, "the first may enter on joining");
    let mut rhythms = BTreeSet::new();
    for (index, answer) in joined.iter().enumerate() {
        let Some(place) = answer.body["place"].as_u64().filter(|place| [11, 51, 105, 205].contains(place)) else {
            continue;
        };
        let looked = look(clients[index % 2], &campaign, &format!("user-{}", index + 1)).await;
        let eta = looked.number("eta_s");
        // Whole windows from the first admission on, less the time since.
        let windows = (place - 1) / 10 * 10;
        assert!((windows.saturating_sub(8)..=windows).contains(&eta), "place {place}: {looked:?}");
        let poll = looked.number("poll_after_s");
        assert!((2..=eta / 10 + eta / 100 + 2).contains(&poll), "place {place}: {looked:?}");
        assert_eq!(looked.header("retry-after").unwrap(), poll.to_string());
        rhythms.insert((place, poll));
    }
    let rhythms: Vec<(u64, u64)> = rhythms.into_iter().collect();
    assert_eq!(rhythms.len(), 4);
    assert!(rhythms[3].1 > rhythms[0].1 && rhythms[3].1 >= 15, "{rhythms:?}");
}

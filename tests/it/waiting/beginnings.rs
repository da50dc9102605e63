//! Beginnings and ends of a room: how many it takes, who may be in it, and what of it is left when its campaign ends, goes on
//! or begins anew.

use std::sync::Arc;
use std::time::Duration;

use onrush::app::Role;
use onrush::database;
use onrush::rebuild::{Rebuilder, Rebuilt};
use onrush::redis::Redis;
use reqwest::Method;
use serde_json::json;

use super::room::{claim, figures, in_ms, join, leave, look, open, pass_of, patch, path, show, until};
use crate::support::installation::Installation;
use crate::support::stores::{self, eventually, users};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_takes_no_more_than_it_may_and_who_has_a_place_keeps_it() {
    let installation = Installation::with(|config| config.waiting.places_max = 3).await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 50, json!({"active_max": 1})).await;
    for user in users(1, 3) {
        assert!(join(&node, &campaign, &user).await.status < 300);
    }
    let refused = join(&node, &campaign, "user-4").await;
    assert_eq!(refused.outcome(), "503 unavailable");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(look(&node, &campaign, "user-4").await.outcome(), "404 not_found");
    assert_eq!(join(&node, &campaign, "user-3").await.number("place"), 3);
    leave(&node, &campaign, "user-2").await;
    assert_eq!(join(&node, &campaign, "user-2").await.number("place"), 4, "who was there before may come again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_of_any_letters_go_through_places_passes_and_tickets_unharmed() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let campaign = open(&nodes[0], 50, json!({"active_max": 3})).await;
    let long = "u".repeat(128);
    let names = ["친구 & co", "1:2:a", "a,b;c=d/e", "\"quoted\" \\ back", "100%", "-1", long.as_str()];
    for (index, user) in names.into_iter().enumerate() {
        let ticket = join(&nodes[0], &campaign, user).await.text("ticket").to_owned();
        let admitted = until(&nodes[1], &campaign, user, "admitted").await;
        assert_eq!(show(&nodes[1], &campaign, user, &ticket).await.body["pass"], admitted.body["pass"], "{user}");
        let events = format!("{}/events?ticket={ticket}", path(&campaign));
        assert_eq!(nodes[0].request(Method::GET, &events).send().await.unwrap().status(), 200, "{user}");
        let claimed = claim(&nodes[0], &campaign, user, admitted.text("pass")).await;
        assert_eq!((claimed.number("number"), claimed.text("user_id")), (index as u64 + 1, user));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_closed_at_its_time_goes_on_when_it_is_given_a_later_one() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let more = json!({"closes_at": in_ms(3_000), "waiting": {"active_max": 1}});
    let campaign = node.campaign(5, more).await;
    let pass = pass_of(&node, &campaign, "alice").await;
    let ticket = join(&node, &campaign, "bob").await.text("ticket").to_owned();
    until(&node, &campaign, "bob", "closed").await;
    assert_eq!(show(&node, &campaign, "bob", &ticket).await.body, json!({"state": "closed"}));
    assert_eq!(join(&node, &campaign, "carol").await.outcome(), "410 closed");
    assert_eq!(claim(&node, &campaign, "alice", &pass).await.outcome(), "410 closed");
    assert_eq!(figures(&node, &campaign).await.body["admitting"], json!(false));
    assert_eq!(patch(&node, &campaign, &json!({"closes_at": null})).await.status, 200);
    assert_eq!(claim(&node, &campaign, "alice", &pass).await.outcome(), "201");
    let bob = until(&node, &campaign, "bob", "admitted").await;
    assert_eq!(claim(&node, &campaign, "bob", bob.text("pass")).await.outcome(), "201");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_units_let_more_people_in_and_the_reserve_those_who_wait_for_a_unit_to_come_back() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let campaign = open(&nodes[0], 1, json!({"admit": 100, "every_ms": 100})).await;
    let pass = pass_of(&nodes[0], &campaign, "alice").await;
    for user in ["bob", "carol", "dave"] {
        assert_eq!(join(&nodes[0], &campaign, user).await.text("state"), "waiting", "one unit, one inside");
    }
    assert_eq!(patch(&nodes[1], &campaign, &json!({"waiting": {"reserve": 1}})).await.status, 200);
    until(&nodes[0], &campaign, "bob", "admitted").await;
    assert_eq!(look(&nodes[0], &campaign, "carol").await.text("state"), "waiting");
    assert_eq!(claim(&nodes[1], &campaign, "alice", &pass).await.outcome(), "201");
    until(&nodes[0], &campaign, "carol", "sold_out").await;
    assert_eq!(patch(&nodes[0], &campaign, &json!({"stock": 2})).await.status, 200);
    // One unit and the reserve: two.
    for user in ["carol", "dave"] {
        until(&nodes[1], &campaign, user, "admitted").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_that_was_rebuilt_has_an_empty_room_and_what_was_signed_before_is_worth_nothing() {
    // A rebuild waits for what a relay may have in hand: as long as a delivery may take.
    let installation = Installation::with(|config| config.kafka.delivery_timeout_ms = 1_000).await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let campaign = open(&nodes[0], 5, json!({"active_max": 2})).await;
    let alice = pass_of(&nodes[0], &campaign, "alice").await;
    let bob = pass_of(&nodes[0], &campaign, "bob").await;
    let ticket = join(&nodes[0], &campaign, "carol").await.text("ticket").to_owned();
    assert_eq!(claim(&nodes[0], &campaign, "alice", &alice).await.outcome(), "201");
    nodes[0].audit_ok(&campaign).await;
    stores::delete_campaign(&installation.config, &campaign).await;
    eventually("the nodes notice", async || look(&nodes[1], &campaign, "bob").await.status == 503).await;
    assert_eq!(join(&nodes[0], &campaign, "dave").await.outcome(), "503 unavailable");
    assert_eq!(claim(&nodes[0], &campaign, "bob", &bob).await.outcome(), "503 unavailable");
    let redis = Arc::new(Redis::connect(&installation.config.redis).await.unwrap());
    let tables = database::open(&installation.config.postgres).unwrap();
    let rebuilder = Rebuilder::new(redis, tables, &installation.config).unwrap();
    let rebuilt = rebuilder.rebuild(&campaign.parse().unwrap(), Duration::from_secs(30)).await.unwrap();
    assert!(matches!(rebuilt, Some(Rebuilt::Done { generation: 2, .. })), "{rebuilt:?}");

    eventually("the room is empty", async || {
        let figures = figures(&nodes[0], &campaign).await;
        figures.status == 200 && figures.number("inside") == 0
    })
    .await;
    assert_eq!(claim(&nodes[0], &campaign, "bob", &bob).await.outcome(), "403 pass_required");
    for node in &nodes {
        eventually("the old place is gone", async || {
            show(node, &campaign, "carol", &ticket).await.text("state") == "expired"
        })
        .await;
    }
    let carol = join(&nodes[1], &campaign, "carol").await;
    assert_eq!(carol.text("state"), "admitted", "the first one of the new room: {carol:?}");
    assert_eq!(claim(&nodes[0], &campaign, "carol", carol.text("pass")).await.outcome(), "201");
}

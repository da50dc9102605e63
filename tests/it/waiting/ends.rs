//! What is left of a room when it is over, and what is worth when it begins again what was given out before.

use fred::prelude::{ClientLike, HashesInterface, KeysInterface};
use onrush::app::Role;
use onrush::redis::Keys;
use reqwest::Method;
use serde_json::{Value, json};

use super::room::{claim, figures, in_ms, join, leave, look, open, pass_of, patch, path, show, until};
use crate::support::installation::{Client, Installation};
use crate::support::stores::eventually;

/// The keys of a room, behind the back of all nodes.
pub(super) struct RoomKeys {
    redis: fred::clients::Client,
    names: Vec<String>,
}

impl RoomKeys {
    pub(super) async fn of(installation: &Installation, campaign: &str) -> Self {
        let url = fred::types::config::Config::from_url(&installation.config.redis.url).unwrap();
        let redis = fred::clients::Client::new(url, None, None, None);
        redis.init().await.unwrap();
        let keys = Keys::new(&installation.config.redis.key_prefix).of(&campaign.parse().unwrap());
        Self { redis, names: keys.waiting_room()[1..].to_vec() }
    }

    /// Those that are there, with how long they are kept: -1 without end.
    pub(super) async fn kept(&self) -> Vec<(String, i64)> {
        let mut kept = Vec::new();
        for name in &self.names {
            let ms: i64 = self.redis.pttl(name).await.unwrap();
            if ms != -2 {
                kept.push((name.clone(), ms));
            }
        }
        kept
    }

    /// They go, as at the end of their time.
    async fn vanish(&self) {
        let _: i64 = self.redis.unlink(self.names.clone()).await.unwrap();
    }

    pub(super) async fn set(&self, field: &str, value: i64) {
        let _: i64 = self.redis.hset(&self.names[0], (field, value)).await.unwrap();
    }
}

async fn close(node: &Client, campaign: &str) {
    let closed = node.as_operator(Method::POST, &format!("/v1/campaigns/{campaign}/close")).await;
    assert_eq!(closed.status, 200, "{closed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_a_room_go_when_it_is_over_whoever_was_last_and_though_nobody_asks() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let mut rooms = Vec::new();
    for last in ["claims", "leaves the inside", "leaves the queue", "waits", "is inside"] {
        let campaign = open(&node, 5, json!({"admit": 1, "every_ms": 3_600_000})).await;
        let pass = pass_of(&node, &campaign, "alice").await;
        join(&node, &campaign, "bob").await;
        let keys = RoomKeys::of(&installation, &campaign).await;
        assert!(keys.kept().await.iter().all(|(_, ms)| *ms == -1), "{last}: not before it is over");
        match last {
            "claims" => assert_eq!(claim(&node, &campaign, "alice", &pass).await.outcome(), "201"),
            "leaves the inside" => leave(&node, &campaign, "alice").await,
            _ => {}
        }
        if last != "waits" {
            leave(&node, &campaign, "bob").await;
        }
        if last == "leaves the queue" {
            leave(&node, &campaign, "alice").await;
        }
        close(&node, &campaign).await;
        rooms.push((last, keys));
    }
    for (last, keys) in rooms {
        eventually("they are kept for a day only", async || {
            let kept = keys.kept().await;
            assert!(kept.len() >= 4, "{last}: {kept:?}");
            kept.iter().all(|(_, ms)| (1..=86_400_000).contains(ms))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_a_room_after_its_time_and_who_comes_late_makes_nothing_that_stays() {
    let installation = Installation::with(|config| config.waiting.keep_closed_ms = 500).await;
    let node = installation.node(Role::Serve).await;
    let more = json!({"closes_at": in_ms(1_500), "waiting": {"active_max": 1}});
    let campaign = node.campaign(5, more).await;
    pass_of(&node, &campaign, "alice").await;
    let ticket = join(&node, &campaign, "bob").await.text("ticket").to_owned();
    let keys = RoomKeys::of(&installation, &campaign).await;
    assert!(keys.kept().await.len() >= 4);
    eventually("nothing is left", async || keys.kept().await.is_empty()).await;
    assert_eq!(show(&node, &campaign, "bob", &ticket).await.body, json!({"state": "closed"}));
    assert_eq!(look(&node, &campaign, "bob").await.outcome(), "404 not_found", "nobody knows of them any more");
    leave(&node, &campaign, "alice").await;
    assert_eq!(join(&node, &campaign, "carol").await.outcome(), "410 closed");
    eventually("nothing is left again", async || keys.kept().await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_goes_on_after_its_end_is_kept_again_also_if_nobody_is_in_it() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let more = json!({"closes_at": in_ms(1_200), "waiting": {"active_max": 1}});
    let campaign = node.campaign(5, more).await;
    join(&node, &campaign, "alice").await;
    leave(&node, &campaign, "alice").await;
    let keys = RoomKeys::of(&installation, &campaign).await;
    let all = async |kept: bool| keys.kept().await.iter().all(|(_, ms)| (*ms == -1) == kept);
    eventually("it is over", async || all(false).await).await;
    assert_eq!(patch(&node, &campaign, &json!({"closes_at": null})).await.status, 200);
    eventually("it goes on", async || all(true).await).await;
    assert_eq!(join(&node, &campaign, "bob").await.text("state"), "admitted");
    assert_eq!(join(&node, &campaign, "carol").await.number("place"), 3, "in the same life");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_another_life_of_a_room_an_old_ticket_and_an_old_pass_are_nobodys() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let campaign = nodes[0].campaign(50, json!({"per_user_limit": 2, "waiting": {"active_max": 2}})).await;
    let old_pass = pass_of(&nodes[0], &campaign, "alice").await;
    join(&nodes[0], &campaign, "bob").await;
    let carol = join(&nodes[0], &campaign, "carol").await;
    let dave = join(&nodes[1], &campaign, "dave").await;
    assert_eq!((carol.number("place"), dave.number("place")), (3, 4));
    let keys = RoomKeys::of(&installation, &campaign).await;
    keys.vanish().await;

    // The new one has numbers from 1 again, and others have them: alice the 1, dave the 3.
    let alice = join(&nodes[0], &campaign, "alice").await;
    assert_eq!(alice.text("state"), "admitted");
    assert_ne!(alice.text("pass"), old_pass);
    join(&nodes[0], &campaign, "erin").await;
    assert_eq!(join(&nodes[1], &campaign, "dave").await.number("place"), 3);
    for place in 4..8 {
        assert_eq!(join(&nodes[1], &campaign, &format!("user-{place}")).await.number("place"), place);
    }
    for node in &nodes {
        let shown = show(node, &campaign, "carol", carol.text("ticket")).await;
        assert_eq!(shown.body, json!({"state": "expired"}), "somebody else has the place");
        let shown = show(node, &campaign, "dave", dave.text("ticket")).await;
        assert_eq!((shown.number("place"), shown.number("ahead")), (3, 0), "asked by the user, not by the old number");
        let at = format!("{}/events?ticket={}", path(&campaign), carol.text("ticket"));
        let heard = node.request(Method::GET, &at).send().await.unwrap().text().await.unwrap();
        assert!(heard.contains("data: {\"state\":\"expired\"}") && !heard.contains("place"), "{heard}");
        let refused = claim(node, &campaign, "alice", &old_pass).await;
        assert_eq!(refused.outcome(), "403 pass_required", "{refused:?}");
    }
    for node in &nodes {
        assert_eq!(claim(node, &campaign, "alice", alice.text("pass")).await.outcome(), "201");
    }
}

/// A node from before there were lives writes none, and signs none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_older_node_has_given_out_stays_good_in_its_room() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 50, json!({"active_max": 1})).await;
    let keys = RoomKeys::of(&installation, &campaign).await;
    // The room as an older node has begun it.
    keys.set("generation", 1).await;
    let pass = pass_of(&node, &campaign, "alice").await;
    let bob = join(&node, &campaign, "bob").await;
    let payload = |token: &str| -> Value {
        use base64::Engine;
        let part = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(payload(&pass)["life"], Value::Null, "as older nodes sign it");
    assert_eq!(show(&node, &campaign, "bob", bob.text("ticket")).await.number("place"), 2);
    assert_eq!(claim(&node, &campaign, "alice", &pass).await.outcome(), "201");
    until(&node, &campaign, "bob", "admitted").await;
    // Its end, and another life: what was without one is of none.
    keys.vanish().await;
    assert_eq!(join(&node, &campaign, "carol").await.text("state"), "admitted");
    assert_eq!(join(&node, &campaign, "dave").await.number("place"), 2);
    assert_eq!(show(&node, &campaign, "bob", bob.text("ticket")).await.body, json!({"state": "expired"}));
    assert_eq!(payload(look(&node, &campaign, "carol").await.text("pass"))["life"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_campaign_keeps_its_room_and_a_closed_one_ends_it_although_it_was_paused() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 5, json!({"active_max": 1})).await;
    join(&node, &campaign, "alice").await;
    let paused = node.as_operator(Method::POST, &format!("/v1/campaigns/{campaign}/pause")).await;
    assert_eq!(paused.status, 200);
    let bob = join(&node, &campaign, "bob").await;
    assert_eq!((bob.text("state"), &bob.body["eta_s"]), ("waiting", &Value::Null), "{bob:?}");
    let keys = RoomKeys::of(&installation, &campaign).await;
    assert!(keys.kept().await.iter().all(|(_, ms)| *ms == -1));
    assert_eq!(figures(&node, &campaign).await.number("waiting"), 1);
    close(&node, &campaign).await;
    eventually("it ends", async || keys.kept().await.iter().all(|(_, ms)| *ms >= 0)).await;
    assert_eq!(look(&node, &campaign, "bob").await.text("state"), "closed");
}

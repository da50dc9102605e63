//! Nodes whose clocks are wrong, beside one whose clock is right: Redis' clock decides, and all of them say the same.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use onrush::clock::Millis;
use reqwest::Method;
use serde_json::{Value, json};

use super::room::{claim, in_ms, join, open, path, until};
use crate::support::installation::{Client, Installation};
use crate::support::process::Process;

const AHEAD_MS: [i64; 3] = [45_000, 0, -45_000];

/// Nodes that are 45 s fast, right, and 45 s slow.
async fn nodes(installation: &Installation) -> (Vec<Process>, Vec<Client>) {
    let mut nodes = Vec::new();
    for ahead_ms in AHEAD_MS {
        let ahead = |command: &mut tokio::process::Command| {
            command.env("ONRUSH__BENCH__CLOCK_AHEAD_MS", ahead_ms.to_string());
        };
        nodes.push(Process::start_with(installation, "serve", ahead).await);
    }
    let clients = nodes.iter().map(|node| installation.client(&node.url)).collect();
    (nodes, clients)
}

fn token(installation: &Installation, claims: &Value) -> String {
    let key = EncodingKey::from_secret(installation.config.auth.hs256_secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_is_good_until_its_time_by_redis_clock_whichever_node_is_asked() {
    let installation = Installation::new().await;
    let (_processes, clients) = nodes(&installation).await;
    for (node, ahead_ms) in clients.iter().zip(AHEAD_MS) {
        // Of two: who has one unit keeps the pass for another.
        let more = json!({"per_user_limit": 2, "waiting": {"active_max": 5, "pass_ttl_s": 8}});
        let campaign = clients[1].campaign(50, more).await;
        let admitted = join(node, &campaign, "alice").await;
        assert_eq!(admitted.text("state"), "admitted", "{ahead_ms}: {admitted:?}");
        let expires_at = Millis::parse(admitted.text("expires_at")).unwrap();
        // 8 s from now by the right clock, which this test has.
        assert!((expires_at.0 - Millis::now().0).abs() <= 8_500, "{ahead_ms}: {admitted:?}");
        let pass = admitted.text("pass");
        assert_eq!(claim(node, &campaign, "alice", pass).await.outcome(), "201", "{ahead_ms}");
        // Once it is over, it is over for all of them; a pass says its time in whole seconds.
        let left_ms = u64::try_from(expires_at.0 - Millis::now().0 + 1_050).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(left_ms)).await;
        for node in &clients {
            let refused = claim(node, &campaign, "alice", pass).await;
            assert_eq!(refused.outcome(), "403 pass_required", "{ahead_ms}: {refused:?}");
            assert!(refused.text("detail").ends_with("the pass has expired"), "{ahead_ms}: {refused:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_good_in_its_time_by_redis_clock_whichever_node_is_asked() {
    let installation = Installation::new().await;
    let (_processes, clients) = nodes(&installation).await;
    let campaign = open(&clients[1], 50, json!({"active_max": 5})).await;
    let now = Millis::now().0 / 1_000;
    for (claims, status) in [
        (json!({"sub": "alice", "exp": now + 40}), 200),
        (json!({"sub": "alice", "exp": now + 3_600, "nbf": now - 40}), 200),
        (json!({"sub": "alice", "exp": now - 1}), 401),
        (json!({"sub": "alice", "exp": now - 40}), 401),
        (json!({"sub": "alice", "exp": now + 3_600, "nbf": now + 40}), 401),
        (json!({"sub": "alice", "exp": now + 3_600, "nbf": "soon"}), 401),
    ] {
        for (node, ahead_ms) in clients.iter().zip(AHEAD_MS) {
            let at = format!("/v1/campaigns/{campaign}/claims/mine");
            let request = node.request(Method::GET, &at).bearer_auth(token(&installation, &claims));
            assert_eq!(node.send(request).await.status, status, "{ahead_ms}: {claims}");
        }
    }
    // The cookie of the page lives as long as the token, and not 45 s more or less.
    let soon = token(&installation, &json!({"sub": "alice", "exp": Millis::now().0 / 1_000 + 100}));
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for (node, ahead_ms) in clients.iter().zip(AHEAD_MS) {
        let answer = browser.get(format!("{}/rooms/{campaign}?token={soon}", node.url)).send().await.unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        let (_, after) = cookie.split_once("Max-Age=").unwrap_or_else(|| panic!("{ahead_ms}: {answer:?}"));
        let seconds: u64 = after.split(';').next().unwrap().parse().unwrap();
        assert!((60..=100).contains(&seconds), "{ahead_ms}: {cookie}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openings_estimates_and_ends_are_by_redis_clock_whichever_node_is_asked() {
    let installation = Installation::new().await;
    let (_processes, clients) = nodes(&installation).await;
    // Before the opening: each says how long from now, and none that it is open.
    let more = json!({"opens_at": in_ms(30_000), "waiting": {"active_max": 5}});
    let campaign = clients[1].campaign(5, more).await;
    for (node, ahead_ms) in clients.iter().zip(AHEAD_MS) {
        let refused = join(node, &campaign, "alice").await;
        assert_eq!(refused.outcome(), "409 not_open_yet", "{ahead_ms}");
        let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=40).contains(&seconds), "{ahead_ms}: {refused:?}");
    }
    // Ten may enter in ten seconds, and somebody has: the next hear of at most these.
    let campaign = open(&clients[1], 50, json!({"admit": 1, "every_ms": 20_000})).await;
    assert_eq!(join(&clients[1], &campaign, "first").await.text("state"), "admitted");
    for (node, ahead_ms) in clients.iter().zip(AHEAD_MS) {
        let user = format!("u{ahead_ms}");
        let answer = join(node, &campaign, &user).await;
        let turns = answer.number("ahead") + 1;
        let eta = answer.number("eta_s");
        assert!((20 * turns - 15..=20 * turns).contains(&eta), "{ahead_ms}: {answer:?}");
    }
    // A stream of one who is inside ends when the pass does, and not 45 s later.
    let campaign = open(&clients[1], 50, json!({"active_max": 5, "pass_ttl_s": 2})).await;
    for (node, ahead_ms) in clients.iter().zip(AHEAD_MS) {
        let user = format!("u{ahead_ms}");
        join(node, &campaign, &user).await;
        let at = format!("{}/events", path(&campaign));
        let response = node.request(Method::GET, &at).bearer_auth(node.token(&user)).send().await.unwrap();
        let heard = tokio::time::timeout(Duration::from_secs(12), response.text()).await.expect("it ends").unwrap();
        assert!(heard.contains("\"admitted\"") && heard.contains("\"expired\""), "{ahead_ms}: {heard}");
        until(node, &campaign, &user, "expired").await;
    }
}

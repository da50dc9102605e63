//! Who may claim: the pass, in all its good and bad forms.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{KeyInit, Mac};
use onrush::app::Role;
use onrush::clock::Millis;
use onrush::config::WaitingKey;
use reqwest::Method;
use serde_json::{Value, json};

use super::room::{claim, join, leave, look, open, pass_of, pressed, show, time, until};
use crate::support::installation::{Answer, Client, Installation};
use crate::support::stores::eventually;

fn assert_refused(answer: &Answer, campaign: &str, why: &str, context: &str) {
    assert_eq!(answer.outcome(), "403 pass_required", "{context}: {answer:?}");
    assert_eq!(answer.header("link"), Some(format!("</rooms/{campaign}>; rel=\"waiting-room\"").as_str()), "{context}");
    assert!(answer.text("detail").ends_with(why), "{context}: {answer:?}");
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The parts of a pass, read without a key.
fn parts(pass: &str) -> (Value, Value) {
    let mut parts = pass.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut json = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (json(), json())
}

/// The same with another header and the signature of another key.
fn signed(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    let signature = sign(text.as_bytes());
    format!("{text}.{}", b64(signature))
}

fn ed25519(seed: [u8; 32]) -> impl Fn(&[u8]) -> Vec<u8> {
    use ed25519_dalek::Signer;
    move |text| ed25519_dalek::SigningKey::from_bytes(&seed).sign(text).to_bytes().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_is_none_of_ours_is_refused_and_its_maker_learns_one_word() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 5, json!({"active_max": 5})).await;
    let good = pass_of(&node, &campaign, "alice").await;
    let (header, claims) = parts(&good);
    assert_eq!((&header["alg"], &claims["sub"], &claims["aud"]), (&json!("EdDSA"), &json!("alice"), &json!(campaign)));
    let jwks = node.get("/.well-known/jwks.json").await;
    assert_eq!(jwks.header("content-type"), Some("application/jwk-set+json"));
    let public = URL_SAFE_NO_PAD.decode(jwks.body["keys"][0]["x"].as_str().unwrap()).unwrap();
    assert_eq!(jwks.body["keys"][0]["kid"], header["kid"]);

    let flipped = |part: usize, at: usize| {
        let mut parts: Vec<Vec<u8>> = good.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
        parts[part][at] ^= 1;
        parts.iter().map(b64).collect::<Vec<_>>().join(".")
    };
    let hs256 = |secret: &[u8]| {
        let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": header["kid"]});
        signed(&header, &claims, |text| mac.chain_update(text).finalize().into_bytes().to_vec())
    };
    let mut unknown_key = header.clone();
    unknown_key["kid"] = json!("2");
    let mut no_key = header.clone();
    no_key.as_object_mut().unwrap().remove("kid");
    let own = ed25519([9; 32]);
    let other_user =
        json!({"iss": "onrush", "aud": campaign, "sub": "mallory", "jti": claims["jti"], "exp": claims["exp"]});
    let unsigned =
        format!("{}.{}.", b64(json!({"alg": "none", "kid": header["kid"]}).to_string()), b64(claims.to_string()));
    let bad = [
        ("a bit of the signature", flipped(2, 40)),
        ("the last bit of the claims", flipped(1, 30)),
        ("a bit of the header", flipped(0, 12)),
        ("garbage", "x.y.z".to_owned()),
        ("one word", "pass".to_owned()),
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
        ("too long", "a".repeat(5_000)),
        ("no text", "\u{e9}\u{e9}".to_owned()),
        ("alg none", unsigned.clone()),
        ("alg none with the signature", format!("{unsigned}{}", good.rsplit('.').next().unwrap())),
        ("HS256 with the public key", hs256(&public)),
        ("HS256 with the public key as text", hs256(jwks.body["keys"][0]["x"].as_str().unwrap().as_bytes())),
        ("another's key with our id", signed(&header, &claims, &own)),
        ("another's key, for another user", signed(&header, &other_user, &own)),
        ("an unknown key id", signed(&unknown_key, &claims, &own)),
        (
            "our signature with an unknown key id",
            good.replacen(good.split('.').next().unwrap(), &b64(unknown_key.to_string()), 1),
        ),
        ("no key id", signed(&no_key, &claims, &own)),
        ("without its signature", good.rsplit_once('.').unwrap().0.to_owned()),
        ("with a tail", format!("{good}.{}", b64("x"))),
        ("the user's token", node.token("alice")),
        ("the ticket", look(&node, &campaign, "alice").await.text("ticket").to_owned()),
    ];
    for (context, pass) in &bad {
        let value = reqwest::header::HeaderValue::from_bytes(pass.as_bytes()).unwrap();
        let request = node.claim_request(&campaign, "alice").header("Onrush-Pass", value);
        assert_refused(&node.send(request).await, &campaign, "the pass is not valid", context);
    }
    assert_refused(&node.claim(&campaign, "alice").await, &campaign, "no pass was sent", "none");
    let twice = pressed(&node, &campaign, "alice", &good).header("Onrush-Pass", &good);
    let twice = node.send(twice).await;
    assert_eq!(
        (twice.outcome().as_str(), &twice.body["errors"][0]["pointer"]),
        ("400 invalid_request", &json!("header/onrush-pass"))
    );
    assert_eq!(node.view(&campaign).await.number("left"), 5);
    assert_eq!(
        claim(&node, &campaign, "alice", &good).await.outcome(),
        "201",
        "after all this it is as good as before"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_of_ours_that_does_not_suit_is_refused_with_the_reason() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 5, json!({"active_max": 5})).await;
    let other = open(&node, 5, json!({"active_max": 5})).await;
    let (alice, bob) = (pass_of(&node, &campaign, "alice").await, pass_of(&node, &campaign, "bob").await);
    let elsewhere = pass_of(&node, &other, "alice").await;
    assert_refused(&claim(&node, &campaign, "alice", &bob).await, &campaign, "the pass is another user's", "bob's");
    assert_refused(&claim(&node, &campaign, "alice", &elsewhere).await, &campaign, "for another campaign", "elsewhere");
    assert_refused(
        &claim(&node, &campaign, "carol", &elsewhere).await,
        &campaign,
        "another user's",
        "whose comes first",
    );

    // Left, and come again: the old pass stays what it is.
    leave(&node, &campaign, "alice").await;
    assert_refused(&claim(&node, &campaign, "alice", &alice).await, &campaign, "the pass has ended", "left");
    let again = pass_of(&node, &campaign, "alice").await;
    assert_refused(
        &claim(&node, &campaign, "alice", &alice).await,
        &campaign,
        "the pass has ended",
        "of the first visit",
    );
    let claimed = claim(&node, &campaign, "alice", &again).await;
    assert_eq!(claimed.outcome(), "201");
    // The limit is reached: the pass has ended, also when the unit is given back.
    assert_eq!(claim(&node, &campaign, "alice", &again).await.outcome(), "409 limit_reached");
    assert_eq!(look(&node, &campaign, "alice").await.text("state"), "expired");
    assert_eq!(node.give_back(&claimed).await.status, 200);
    assert_refused(&claim(&node, &campaign, "alice", &again).await, &campaign, "the pass has ended", "limit reached");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_lasts_as_long_as_it_says_and_who_does_not_pick_it_up_in_time_is_no_show() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let spec = json!({"active_max": 1, "pass_ttl_s": 2, "claim_pass_within_s": 2});
    let campaign = open(&node, 5, spec).await;
    let answer = join(&node, &campaign, "alice").await;
    let (pass, until_ms) = (answer.text("pass").to_owned(), time(&answer, "expires_at"));
    assert!((until_ms - Millis::now().0) <= 2_100, "{answer:?}");
    let (_, claims) = parts(&pass);
    assert_eq!(claims["exp"], json!(until_ms.div_euclid(1_000) + i64::from(until_ms % 1_000 > 0)));
    // Bob waits and does not ask: his turn comes when alice's time is over, and goes.
    assert_eq!(join(&node, &campaign, "bob").await.status, 202);
    assert_eq!(join(&node, &campaign, "carol").await.status, 202);
    let wait = u64::try_from(until_ms - Millis::now().0 + 20).unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(wait)).await;
    // Redis refuses it at once, the signature from the next full second on.
    let answer = claim(&node, &campaign, "alice", &pass).await;
    assert_eq!(answer.outcome(), "403 pass_required", "{answer:?}");
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    assert_refused(&claim(&node, &campaign, "alice", &pass).await, &campaign, "the pass has expired", "late");
    assert_eq!(look(&node, &campaign, "alice").await.text("state"), "expired");
    until(&node, &campaign, "carol", "admitted").await;
    assert_eq!(look(&node, &campaign, "bob").await.text("state"), "expired");
    assert_eq!(super::room::figures(&node, &campaign).await.number("no_shows"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_nothing_is_left_all_passes_end_and_units_that_come_back_are_for_those_who_wait() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 1, json!({"active_max": 2, "reserve": 1})).await;
    let (alice, bob) = (pass_of(&node, &campaign, "alice").await, pass_of(&node, &campaign, "bob").await);
    assert_eq!(join(&node, &campaign, "carol").await.number("place"), 3);
    let claimed = claim(&node, &campaign, "alice", &alice).await;
    assert_eq!(claimed.outcome(), "201");
    assert_eq!(claim(&node, &campaign, "bob", &bob).await.outcome(), "409 sold_out", "stock comes before the pass");
    assert_eq!(claim(&node, &campaign, "dave", "x.y.z").await.outcome(), "409 sold_out");
    assert_eq!(node.give_back(&claimed).await.status, 200);
    assert_refused(&claim(&node, &campaign, "bob", &bob).await, &campaign, "the pass has ended", "sold out meanwhile");
    let carol = until(&node, &campaign, "carol", "admitted").await;
    assert_eq!(claim(&node, &campaign, "carol", carol.text("pass")).await.outcome(), "201");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_pass_works_at_every_node_until_the_limit_and_a_refusal_keeps_it() {
    let installation = Installation::new().await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(installation.node(Role::Serve).await);
    }
    let campaign = nodes[0].campaign(9, json!({"per_user_limit": 2, "waiting": {"active_max": 1}})).await;
    let pass = pass_of(&nodes[0], &campaign, "alice").await;
    for node in &nodes {
        assert_eq!(until(node, &campaign, "alice", "admitted").await.text("pass"), pass, "every node shows the same");
    }
    let switch = async |verb: &str| {
        let answer = nodes[2].as_operator(Method::POST, &format!("/v1/campaigns/{campaign}/{verb}")).await;
        assert_eq!(answer.status, 200);
    };
    switch("pause").await;
    assert_eq!(claim(&nodes[2], &campaign, "alice", &pass).await.outcome(), "409 paused");
    switch("resume").await;
    assert_eq!(join(&nodes[0], &campaign, "bob").await.status, 202);
    let first = nodes[1].send(pressed(&nodes[1], &campaign, "alice", &pass).header("Idempotency-Key", "k")).await;
    assert_eq!(first.outcome(), "201");
    assert_eq!(claim(&nodes[2], &campaign, "alice", &pass).await.outcome(), "201");
    assert_eq!(claim(&nodes[0], &campaign, "alice", &pass).await.outcome(), "409 limit_reached");
    // The next one comes in; the answer of before is given again to its key, with no pass and with a bad one.
    until(&nodes[2], &campaign, "bob", "admitted").await;
    let key = |client: &Client| client.claim_request(&campaign, "alice").header("Idempotency-Key", "k");
    let again = nodes[0].send(key(&nodes[0])).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(nodes[2].send(key(&nodes[2]).header("Onrush-Pass", "x")).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_is_used_and_what_the_old_one_signed_stays_good() {
    let before = Installation::new().await;
    let old = before.node(Role::Serve).await;
    let after = Installation {
        config: {
            let mut config = before.config.clone();
            config.waiting.pass_key_id = "2".into();
            config.waiting.pass_key_hex = "5a".repeat(32);
            config.waiting.pass_old_keys = vec![WaitingKey { key_id: "1".into(), key_hex: String::new() }];
            config
        },
    };
    let new = after.node(Role::Serve).await;
    let campaign = open(&old, 9, json!({"active_max": 2})).await;
    let old_pass = pass_of(&old, &campaign, "alice").await;
    eventually("the new node knows it", async || look(&new, &campaign, "alice").await.status == 200).await;
    let new_pass = pass_of(&new, &campaign, "bob").await;
    assert_eq!((&parts(&old_pass).0["kid"], &parts(&new_pass).0["kid"]), (&json!("1"), &json!("2")));
    let old_ticket = join(&old, &campaign, "carol").await.text("ticket").to_owned();
    let new_ticket = join(&new, &campaign, "dave").await.text("ticket").to_owned();
    assert!(old_ticket.starts_with("1.") && new_ticket.starts_with("2."), "{old_ticket} {new_ticket}");

    let shown = show(&new, &campaign, "carol", &old_ticket).await;
    assert_eq!((shown.number("place"), shown.text("ticket")), (3, old_ticket.as_str()), "it is shown again as it is");
    let events = new.request(Method::GET, &format!("/v1/campaigns/{campaign}/waiting/events?ticket={old_ticket}"));
    assert_eq!(events.send().await.unwrap().status(), 200);
    assert_eq!(show(&old, &campaign, "dave", &new_ticket).await.number("place"), 4, "who does not know it asks Redis");
    assert_refused(
        &claim(&old, &campaign, "bob", &new_pass).await,
        &campaign,
        "the pass is not valid",
        "an unknown key",
    );
    assert_eq!(claim(&new, &campaign, "alice", &old_pass).await.outcome(), "201");
    assert_eq!(claim(&new, &campaign, "bob", &new_pass).await.outcome(), "201");

    let jwks = new.get("/.well-known/jwks.json").await;
    let ids: Vec<&Value> = jwks.body["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert_eq!(ids, [&json!("2"), &json!("1")]);
    let known = old.get("/.well-known/jwks.json").await;
    assert_eq!(known.body["keys"][0], jwks.body["keys"][1], "the old key is the one that it was");
}

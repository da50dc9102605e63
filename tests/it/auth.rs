//! Who calls: key sets and their rotation, shared secrets and theirs, a gateway's word.

mod tokens;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use onrush::app::{Node, Role};
use onrush::clock::Millis;
use onrush::config::{AuthMode, CouponKey};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::installation::{Answer, Client, Installation};
use crate::support::names;
use crate::support::stores::eventually;

const RSA_1: &[u8] = include_bytes!("keys/rsa_1.der");
const RSA_2: &[u8] = include_bytes!("keys/rsa_2.der");
const EC: &[u8] = include_bytes!("keys/ec.der");
const ED: &[u8] = include_bytes!("keys/ed.der");

/// The public halves of these keys, as an issuer shows them.
fn key_set(kids: &[&str]) -> String {
    let all: Value = serde_json::from_str(include_str!("keys/jwks.json")).unwrap();
    let keys = all["keys"].as_array().unwrap().iter();
    let keys: Vec<_> = keys.filter(|key| kids.contains(&key["kid"].as_str().unwrap())).collect();
    assert_eq!(keys.len(), kids.len());
    json!({"keys": keys}).to_string()
}

fn signed(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey, expires_in_s: i64) -> String {
    let head = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    let claims = json!({"sub": "alice", "exp": Millis::now().0 / 1000 + expires_in_s});
    jsonwebtoken::encode(&head, &claims, key).unwrap()
}

async fn mine(client: &Client, campaign: &str, token: &str) -> Answer {
    client.send(client.request(Method::GET, &format!("/v1/campaigns/{campaign}/claims/mine")).bearer_auth(token)).await
}

/// A file below `.local/test/`, with a name of its own.
fn file(text: &str) -> std::path::PathBuf {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".local/test");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{}.json", names::unique("jwks")));
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_a_key_set_are_taken_by_kid_and_by_the_algorithm_of_their_key() {
    let path = file(&key_set(&["rsa-1", "ec", "ed"]));
    let installation = Installation::with(|config| config.auth.jwks_file = path.display().to_string()).await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(1, json!({})).await;
    let (rsa, rsa_2) = (EncodingKey::from_rsa_der(RSA_1), EncodingKey::from_rsa_der(RSA_2));
    let (ec, ed) = (EncodingKey::from_ec_der(EC), EncodingKey::from_ed_der(ED));
    for good in [
        signed(Algorithm::RS256, Some("rsa-1"), &rsa, 60),
        signed(Algorithm::ES256, Some("ec"), &ec, 60),
        signed(Algorithm::EdDSA, Some("ed"), &ed, 60),
        // The shared secret goes on beside them.
        node.token("alice"),
    ] {
        assert_eq!(mine(&node, &campaign, &good).await.outcome(), "200", "{good}");
    }
    // What anybody could sign: with the public key as it is known, in the forms that a careless server compares with.
    let set: Value = serde_json::from_str(&key_set(&["rsa-1"])).unwrap();
    let modulus = set["keys"][0]["n"].as_str().unwrap();
    let confusions = [modulus.as_bytes().to_vec(), set["keys"][0].to_string().into_bytes(), key_set(&["rsa-1"]).into()];
    let confused = confusions
        .iter()
        .flat_map(|secret| [None, Some("rsa-1")].map(|kid| (kid, EncodingKey::from_secret(secret))))
        .map(|(kid, secret)| signed(Algorithm::HS256, kid, &secret, 60));
    let bad = [
        signed(Algorithm::RS256, Some("rsa-1"), &rsa_2, 60),
        signed(Algorithm::RS256, Some("rsa-2"), &rsa_2, 60),
        signed(Algorithm::RS256, Some("ec"), &rsa, 60),
        signed(Algorithm::RS256, None, &rsa, 60),
        signed(Algorithm::RS256, Some("rsa-1"), &rsa, -1),
        signed(Algorithm::RS384, Some("rsa-1"), &rsa, 60),
        signed(Algorithm::PS256, Some("rsa-1"), &rsa, 60),
        signed(Algorithm::ES256, Some("ed"), &ec, 60),
        signed(Algorithm::HS256, None, &EncodingKey::from_secret(b""), 60),
    ];
    for bad in bad.into_iter().chain(confused) {
        let answer = mine(&node, &campaign, &bad).await;
        assert_eq!(answer.outcome(), "401 unauthenticated", "{bad}: {answer:?}");
        assert!(answer.header("www-authenticate").is_some_and(|it| it.contains("invalid_token")), "{answer:?}");
    }
}

/// The shared secret is empty where there is a key set and none was given: then no HS256 token is good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_shared_secret_an_empty_one_opens_nothing() {
    let path = file(&key_set(&["rsa-1"]));
    let installation = Installation::with(|config| {
        config.auth.jwks_file = path.display().to_string();
        config.auth.hs256_secret = String::new();
    })
    .await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(1, json!({})).await;
    let empty = signed(Algorithm::HS256, None, &EncodingKey::from_secret(b""), 60);
    assert_eq!(mine(&node, &campaign, &empty).await.status, 401);
    let good = signed(Algorithm::RS256, Some("rsa-1"), &EncodingKey::from_rsa_der(RSA_1), 60);
    assert_eq!(mine(&node, &campaign, &good).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_key_set_is_picked_up_without_a_restart_and_gone_keys_are_good_no_longer() {
    let path = file(&key_set(&["rsa-1"]));
    let installation = Installation::with(|config| {
        config.auth.jwks_file = path.display().to_string();
        config.auth.jwks_refresh_ms = 100;
    })
    .await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(1, json!({})).await;
    let old = signed(Algorithm::RS256, Some("rsa-1"), &EncodingKey::from_rsa_der(RSA_1), 60);
    let new = signed(Algorithm::RS256, Some("rsa-2"), &EncodingKey::from_rsa_der(RSA_2), 60);
    assert_eq!((mine(&node, &campaign, &old).await.status, mine(&node, &campaign, &new).await.status), (200, 401));
    std::fs::write(&path, "{ half a file").unwrap();
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(mine(&node, &campaign, &old).await.status, 200, "a set that cannot be read replaces none");
    std::fs::write(&path, key_set(&["rsa-2"])).unwrap();
    eventually("the new key is good", async || mine(&node, &campaign, &new).await.status == 200).await;
    assert_eq!(mine(&node, &campaign, &old).await.status, 401);
}

/// An issuer that serves a text which can be changed, and counts how often it was asked.
async fn issuer(text: String) -> (String, Arc<Mutex<(String, usize)>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let state = Arc::new(Mutex::new((text, 0)));
    let served = Arc::clone(&state);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _read = stream.read(&mut request).await;
            let body = {
                let mut state = served.lock().unwrap();
                state.1 += 1;
                state.0.clone()
            };
            let answer =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _written = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, state)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_kid_makes_an_address_be_asked_again_but_not_too_often() {
    let (url, issuer) = issuer(key_set(&["rsa-1"])).await;
    let installation = Installation::with(|config| {
        config.auth.jwks_url = url;
        config.auth.jwks_unknown_kid_ms = 500;
    })
    .await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(1, json!({})).await;
    let new = signed(Algorithm::RS256, Some("rsa-2"), &EncodingKey::from_rsa_der(RSA_2), 60);
    assert_eq!(mine(&node, &campaign, &new).await.status, 401);
    for kid in 0..50 {
        let unknown = signed(Algorithm::EdDSA, Some(&format!("kid-{kid}")), &EncodingKey::from_ed_der(ED), 60);
        assert_eq!(mine(&node, &campaign, &unknown).await.status, 401);
    }
    let asked = issuer.lock().unwrap().1;
    assert!(asked <= 4, "asked {asked} times for 51 tokens of unknown keys");
    issuer.lock().unwrap().0 = key_set(&["rsa-1", "rsa-2"]);
    eventually("the new key is good", async || mine(&node, &campaign, &new).await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_a_secret_before_the_present_one_are_good_until_it_is_removed() {
    let mut installation = Installation::new().await;
    let before = installation.node(Role::Serve).await;
    let campaign = before.campaign(1, json!({})).await;
    let old_token = before.token("alice");
    let old =
        std::mem::replace(&mut installation.config.auth.hs256_secret, "another secret, of 32 bytes or more".into());
    let without = installation.node(Role::Serve).await;
    assert_eq!(mine(&without, &campaign, &old_token).await.status, 401);
    installation.config.auth.hs256_secrets_old = vec![old];
    let with = installation.node(Role::Serve).await;
    assert_eq!(mine(&with, &campaign, &old_token).await.status, 200);
    assert_eq!(mine(&with, &campaign, &with.token("alice")).await.status, 200);
}

async fn named(client: &Client, campaign: &str, users: &[&str]) -> Answer {
    let request = client.request(Method::POST, &format!("/v1/campaigns/{campaign}/claims"));
    let request = users.iter().fold(request, |request, user| request.header("X-User-Id", user.as_bytes()));
    client.send(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_named_by_a_header_is_believed_from_the_gateway_only() {
    let trusting = |networks: &'static str| {
        Installation::with(move |config| {
            config.auth.mode = AuthMode::TrustedHeader;
            config.auth.trusted_proxies = vec![networks.parse().unwrap()];
        })
    };
    let installation = trusting("127.0.0.0/8").await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(10, json!({})).await;
    for user in ["alice", "민지"] {
        let answer = named(&node, &campaign, &[user]).await;
        assert_eq!((answer.outcome().as_str(), answer.text("user_id")), ("201", user));
    }
    for users in [&[][..], &["alice", "bob"], &["a\tb"], &[""]] {
        assert_eq!(named(&node, &campaign, users).await.outcome(), "401 unauthenticated", "{users:?}");
    }
    assert_eq!(mine(&node, &campaign, &node.token("alice")).await.status, 401, "a token is no word of the gateway's");
    assert_eq!(node.as_operator(Method::GET, &format!("/v1/campaigns/{campaign}/claims")).await.status, 200);

    let installation = trusting("10.0.0.0/8").await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(10, json!({})).await;
    assert_eq!(named(&node, &campaign, &["alice"]).await.outcome(), "401 unauthenticated");
    let request = node.request(Method::POST, &format!("/v1/campaigns/{campaign}/claims"));
    let forwarded = request.header("X-User-Id", "alice").header("X-Forwarded-For", "10.1.1.1");
    assert_eq!(node.send(forwarded.header("Forwarded", "for=10.1.1.1")).await.status, 401);
    assert_eq!(node.view(&campaign).await.number("left"), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_names_nobody_where_users_have_tokens() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(10, json!({})).await;
    assert_eq!(named(&node, &campaign, &["alice"]).await.outcome(), "401 unauthenticated");
    let answer = node.send(node.claim_request(&campaign, "bob").header("X-User-Id", "alice")).await;
    assert_eq!((answer.status, answer.text("user_id")), (201, "bob"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coupon_of_an_older_key_is_redeemed_and_new_codes_have_the_new_key() {
    let mut installation = Installation::new().await;
    let before = installation.node(Role::Serve).await;
    let campaign = before.campaign(10, json!({})).await;
    let code = before.claim(&campaign, "alice").await.text("coupon_code").to_owned();
    let coupon = &mut installation.config.coupon;
    coupon.old_keys = vec![CouponKey { key_id: coupon.key_id, key_hex: coupon.key_hex.clone() }];
    (coupon.key_id, coupon.key_hex) = (2, "08".repeat(32));
    let after = installation.node(Role::Serve).await;
    let redeem = async |code: &str| after.as_operator(Method::POST, &format!("/v1/coupons/{code}/redeem")).await;
    assert_eq!(redeem(&code).await.outcome(), "200");
    let new = after.claim(&campaign, "bob").await.text("coupon_code").to_owned();
    assert_eq!(before.as_operator(Method::GET, &format!("/v1/coupons/{new}")).await.status, 404, "not its key");
    assert_eq!(redeem(&new).await.outcome(), "200");

    installation.config.coupon.key_id = 1;
    let refused = Node::start(installation.config, Role::Serve).await.err().map(|error| error.to_string());
    assert!(refused.as_ref().is_some_and(|error| error.contains("must all differ")), "{refused:?}");
}

//! What tokens must say: headers that are understood, times that are some, for whom and from whom; and who cannot tell.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use onrush::app::Role;
use onrush::clock::Millis;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ED, RSA_1, RSA_2, file, issuer, key_set, mine, signed};
use crate::support::installation::Installation;
use crate::support::stores::eventually;

/// A token of the shared secret with this header and these claims, to the letter.
fn made(secret: &str, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_has_to_be_understood_and_is_not_is_refused_in_words() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(1, json!({})).await;
    let secret = &installation.config.auth.hs256_secret;
    let exp = Millis::now().0 / 1_000 + 60;
    let good = format!(r#"{{"sub":"alice","exp":{exp}}}"#);
    let with = |more: &str| format!(r#"{{"sub":"alice","exp":{exp},{more}}}"#);
    for (header, claims, words) in [
        (r#"{"alg":"HS256","crit":["foo"],"foo":1}"#, good.clone(), "crit"),
        (r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, good.clone(), "crit"),
        (r#"{"alg":"HS256","crit":[]}"#, good.clone(), "crit"),
        (r#"{"alg":"HS256","crit":7}"#, good.clone(), "crit"),
        (r#"{"alg":"HS256","b64":false}"#, good.clone(), "b64"),
        (r#"{"alg":"HS256","alg":"HS256"}"#, good.clone(), "twice"),
        (r#"{"alg":"hs256"}"#, good.clone(), "alg"),
        (r#"{"alg":"none"}"#, good.clone(), "alg"),
        (r#"{"alg":"HS256","kid":7}"#, good.clone(), "kid"),
        (r#"{"alg":"HS256","typ":"logout+jwt"}"#, good.clone(), "typ"),
        (HEADER, r#"{"sub":"alice","exp":1.7e26}"#.into(), "exp is no time"),
        (HEADER, r#"{"sub":"alice","exp":1e999}"#.into(), "exp is no time"),
        (HEADER, format!(r#"{{"sub":"alice","exp":"{exp}"}}"#), "exp is no time"),
        (HEADER, format!(r#"{{"sub":"alice","exp":{exp}000}}"#), "exp is no time"),
        (HEADER, r#"{"sub":"alice","exp":-1}"#.into(), "expired"),
        (HEADER, r#"{"sub":"alice"}"#.into(), "exp is missing"),
        (HEADER, with(r#""nbf":{"a":1}"#), "nbf is no time"),
        (HEADER, with(r#""nbf":99999999999"#), "not valid yet"),
        (HEADER, with(r#""sub":"bob""#), "twice"),
        (HEADER, with(&format!("\"x\":\"{}\"", "x".repeat(16_384))), "too long"),
    ] {
        let answer = mine(&node, &campaign, &made(secret, header, &claims)).await;
        assert_eq!(answer.outcome(), "401 unauthenticated", "{header} {claims}: {answer:?}");
        assert!(answer.text("detail").contains(words), "{header} {claims}: {answer:?}");
        assert!(answer.header("www-authenticate").is_some_and(|it| it.contains("invalid_token")), "{answer:?}");
    }
    let forged = made("another secret, of 32 bytes or more, too", HEADER, &good);
    assert!(mine(&node, &campaign, &forged).await.text("detail").contains("signature"));
    for claims in
        [good.clone(), with(r#""aud":"another-service","iss":7"#), format!(r#"{{"sub":"alice","exp":{exp}.5}}"#)]
    {
        assert_eq!(mine(&node, &campaign, &made(secret, HEADER, &claims)).await.outcome(), "200", "{claims}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_token_is_for_and_from_is_compared_where_that_is_set() {
    let installation = Installation::with(|config| {
        config.auth.audience = "onrush".into();
        config.auth.issuer = "https://id.example".into();
    })
    .await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(1, json!({})).await;
    let secret = &installation.config.auth.hs256_secret;
    let exp = Millis::now().0 / 1_000 + 60;
    let outcome = async |aud: &Value, iss: &Value| {
        let mut claims = json!({"sub": "alice", "exp": exp, "aud": aud, "iss": iss});
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let answer = mine(&node, &campaign, &made(secret, HEADER, &claims.to_string())).await;
        (answer.status, answer.text("detail").to_owned())
    };
    let (aud, iss) = (json!("onrush"), json!("https://id.example"));
    for good in [&aud, &json!(["x", "onrush"])] {
        assert_eq!(outcome(good, &iss).await.0, 200, "{good}");
    }
    for bad in [json!("another-service"), json!(["x"]), json!([]), json!(7), json!(["onrush", 7]), json!(null)] {
        let (status, detail) = outcome(&bad, &iss).await;
        assert!(status == 401 && detail.contains("aud"), "{bad}: {detail}");
    }
    for bad in [json!("https://other.example"), json!(["https://id.example"]), json!(null)] {
        let (status, detail) = outcome(&aud, &bad).await;
        assert!(status == 401 && detail.contains("iss"), "{bad}: {detail}");
    }
    // What this program makes for development is for and from whom it has to be.
    assert_eq!(node.claim(&campaign, "alice").await.outcome(), "201");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_key_voids_itself_alone_and_is_counted() {
    let good: Value = serde_json::from_str(&key_set(&["rsa-1"])).unwrap();
    let odd = [
        json!({"kty": "RSA", "kid": "odd", "x5c": "abc"}),
        json!({"kty": "RSA", "kid": "odd", "key_ops": "verify"}),
        json!({"kty": "OKP", "kid": 7}),
        json!(null),
        json!("text"),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "pq"}),
        json!({"kty": "EC", "crv": "secp256k1", "kid": "k1"}),
        json!({"kty": "OKP", "crv": "X25519", "kid": "x"}),
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "short", "x": "AAAA"}),
    ];
    let keys: Vec<Value> = odd[..4].iter().chain([&good["keys"][0]]).chain(&odd[4..]).cloned().collect();
    let path = file(&json!({"keys": keys}).to_string());
    let installation = Installation::with(|config| {
        config.auth.jwks_file = path.display().to_string();
        config.auth.jwks_refresh_ms = 100;
    })
    .await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(1, json!({})).await;
    let token = signed(Algorithm::RS256, Some("rsa-1"), &EncodingKey::from_rsa_der(RSA_1), 60);
    assert_eq!(mine(&node, &campaign, &token).await.outcome(), "200");
    let short = signed(Algorithm::EdDSA, Some("short"), &EncodingKey::from_ed_der(ED), 60);
    assert_eq!(mine(&node, &campaign, &short).await.outcome(), "401 unauthenticated");
    // One process has one collection of metrics: another test's node may write it in between.
    eventually("the nine are counted", async || {
        let metrics = node.get("/metrics").await;
        metrics.body.as_str().unwrap().lines().any(|line| line == "onrush_jwks_keys_left_out 9")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_kid_while_the_issuer_is_away_is_nobodys_fault_and_asked_again() {
    let (url, issuer) = issuer(key_set(&["rsa-1"])).await;
    let installation = Installation::with(|config| {
        config.auth.jwks_url = url;
        config.auth.jwks_unknown_kid_ms = 100;
    })
    .await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(1, json!({})).await;
    let known = signed(Algorithm::RS256, Some("rsa-1"), &EncodingKey::from_rsa_der(RSA_1), 60);
    let unknown = signed(Algorithm::RS256, Some("rsa-2"), &EncodingKey::from_rsa_der(RSA_2), 60);
    assert_eq!(mine(&node, &campaign, &unknown).await.outcome(), "401 unauthenticated");
    issuer.lock().unwrap().0 = "away".into();
    eventually("nobody can tell", async || mine(&node, &campaign, &unknown).await.status == 503).await;
    let untold = mine(&node, &campaign, &unknown).await;
    assert_eq!(untold.outcome(), "503 unavailable");
    assert!(untold.header("retry-after").is_some() && untold.header("www-authenticate").is_none(), "{untold:?}");
    assert_eq!(mine(&node, &campaign, &known).await.outcome(), "200", "what is known stays known");
    issuer.lock().unwrap().0 = key_set(&["rsa-1"]);
    eventually("it is told again", async || mine(&node, &campaign, &unknown).await.status == 401).await;
    issuer.lock().unwrap().0 = key_set(&["rsa-1", "rsa-2"]);
    eventually("it is known", async || mine(&node, &campaign, &unknown).await.status == 200).await;
}

/// From the very beginning: a node boots without its issuer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_set_that_was_never_read_is_away() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let installation = Installation::with(|config| config.auth.jwks_url = format!("http://{nowhere}/keys")).await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(1, json!({})).await;
    let token = signed(Algorithm::RS256, Some("rsa-1"), &EncodingKey::from_rsa_der(RSA_1), 60);
    assert_eq!(mine(&node, &campaign, &token).await.outcome(), "503 unavailable");
    assert_eq!(node.as_user("alice", Method::GET, &format!("/v1/campaigns/{campaign}/claims/mine")).await.status, 200);
}

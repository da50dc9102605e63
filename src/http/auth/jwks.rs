//! Which keys may sign users' tokens? The public keys of an issuer, from a file or an address, kept up to date.
//!
//! - A key says which algorithm it is for; what a token says of itself is only compared with that.
//! - A set that cannot be read leaves the one before in place; a key of it that cannot be read voids no other.
//! - "No such key" is said only after the source has said so. While it is away, nobody can tell.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::config;

/// What an issuer may send at most.
const BYTES_MAX: usize = 1 << 20;
/// RSA keys below 2,048 bits are not taken: the modulus in base64url.
const MODULUS_CHARACTERS_MIN: usize = 342;
const ED25519_BYTES: usize = 32;
/// Of the entries that were left out, so many are named in the log.
const LOGGED_MAX: usize = 10;

/// Why a set of keys could not be read.
#[derive(Debug, Error)]
pub enum JwksError {
    /// The file.
    #[error("auth.jwks_file {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// The address.
    #[error("auth.jwks_url: {0}")]
    Address(#[from] reqwest::Error),
    /// It answered something else than 200 with a document of a fit size.
    #[error("auth.jwks_url: status {0}, or more than {BYTES_MAX} bytes")]
    Answer(u16),
    /// No JSON Web Key Set.
    #[error("the key set is none: {0}")]
    Form(#[from] serde_json::Error),
    /// Not one key that users' tokens may be signed with.
    #[error("the key set has no key with a kid for RS256, ES256 or EdDSA")]
    Empty,
}

/// One key, and the one algorithm that it is for.
pub(crate) struct Key {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

/// By their ids. Of two keys of one id each is tried that has the token's algorithm.
type Keys = HashMap<String, Arc<[Key]>>;

/// What is known of an id.
pub(crate) enum Found {
    /// Its keys.
    Keys(Arc<[Key]>),
    /// There is none, by the source's own word.
    Unknown,
    /// The source could not be read when it was last tried.
    Untold,
}

/// The issuer's keys by their ids.
pub struct Jwks {
    source: Option<Source>,
    refresh: Duration,
    unknown_kid: Duration,
    keys: RwLock<Keys>,
    /// When the set was last asked for, and what came of it. Who holds it asks; the others wait for that one answer.
    asked: Mutex<Asked>,
    /// What was left out of the set that was read last.
    left_out: std::sync::Mutex<Vec<String>>,
}

struct Asked {
    at: Option<Instant>,
    failed: bool,
}

enum Source {
    File(PathBuf),
    Address { url: String, client: reqwest::Client },
}

impl Jwks {
    /// Reads the keys. A file must be good when the node boots; an address may be away, and is asked again.
    pub async fn start(config: &config::Auth) -> Result<Self, JwksError> {
        let millis = Duration::from_millis;
        let source = if !config.jwks_file.is_empty() {
            Some(Source::File(config.jwks_file.clone().into()))
        } else if !config.jwks_url.is_empty() {
            // An issuer that redirects elsewhere is not the one that was configured.
            let client = reqwest::Client::builder()
                .timeout(millis(config.jwks_timeout_ms))
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .build()?;
            Some(Source::Address { url: config.jwks_url.clone(), client })
        } else {
            None
        };
        let mut jwks = Self {
            source,
            refresh: millis(config.jwks_refresh_ms),
            unknown_kid: millis(config.jwks_unknown_kid_ms),
            keys: RwLock::default(),
            asked: Mutex::new(Asked { at: None, failed: false }),
            left_out: std::sync::Mutex::default(),
        };
        match (jwks.load().await, &jwks.source) {
            (Err(error), Some(Source::File(_))) => return Err(error),
            (Err(error), _) => {
                jwks.asked.get_mut().failed = true;
                tracing::warn!(%error, "JWKS could not be read yet: tokens are answered 503; trying again");
            }
            (Ok(()), _) => {}
        }
        Ok(jwks)
    }

    /// The keys of this id; for an id that is not known, after another look at the source, if that is not too soon.
    pub(crate) async fn find(&self, kid: &str) -> Found {
        if let Some(keys) = self.verified(kid) {
            return Found::Keys(keys);
        }
        let mut asked = self.asked.lock().await;
        // Another caller may have asked while this one waited.
        if let Some(keys) = self.verified(kid) {
            return Found::Keys(keys);
        }
        if asked.at.is_none_or(|at| at.elapsed() >= self.unknown_kid) {
            // Until the answer is there nobody can tell, also if who asks hangs up meanwhile.
            *asked = Asked { at: Some(Instant::now()), failed: true };
            let outcome = self.load().await;
            asked.failed = outcome.is_err();
            if let Err(error) = outcome {
                metrics::counter!("onrush_jwks_failures_total").increment(1);
                tracing::warn!(%error, "JWKS read");
            }
        }
        match self.verified(kid) {
            Some(keys) => Found::Keys(keys),
            None if asked.failed => Found::Untold,
            None => Found::Unknown,
        }
    }

    fn verified(&self, kid: &str) -> Option<Arc<[Key]>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).get(kid).cloned()
    }

    /// Reads the source again and again, until told to stop: keys that are gone from it are good no longer.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut look = interval(self.refresh);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is now, and the keys were just read.
        look.tick().await;
        if self.source.is_none() {
            return stop.cancelled().await;
        }
        while stop.run_until_cancelled(look.tick()).await.is_some() {
            let mut asked = self.asked.lock().await;
            let outcome = self.load().await;
            *asked = Asked { at: Some(Instant::now()), failed: outcome.is_err() };
            if let Err(error) = outcome {
                metrics::counter!("onrush_jwks_failures_total").increment(1);
                tracing::warn!(%error, "JWKS could not be read; the keys read before stay in use");
            }
        }
    }

    async fn load(&self) -> Result<(), JwksError> {
        let text = match &self.source {
            None => return Ok(()),
            Some(Source::File(path)) => {
                tokio::fs::read(path).await.map_err(|error| JwksError::File(path.clone(), error))?
            }
            Some(Source::Address { url, client }) => fetch(client, url).await?,
        };
        let set: Set = serde_json::from_slice(&text)?;
        let (keys, left_out) = sorted(&set.keys);
        self.tell(left_out);
        if keys.is_empty() {
            return Err(JwksError::Empty);
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Counts what was left out of the set, and logs it if it is something else than the last time.
    fn tell(&self, left_out: Vec<String>) {
        #[expect(clippy::cast_precision_loss, reason = "a set has at most a million bytes")]
        metrics::gauge!("onrush_jwks_keys_left_out").set(left_out.len() as f64);
        let mut before = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        if *before != left_out {
            let (count, entries) =
                (left_out.len(), left_out.iter().take(LOGGED_MAX).cloned().collect::<Vec<_>>().join("; "));
            tracing::warn!(count, entries, "JWKS: entries that sign no tokens are left out");
            *before = left_out;
        }
    }
}

async fn fetch(client: &reqwest::Client, url: &str) -> Result<Vec<u8>, JwksError> {
    let mut response = client.get(url).send().await?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await? {
        body.extend_from_slice(&part);
        if status != 200 || body.len() > BYTES_MAX {
            return Err(JwksError::Answer(status));
        }
    }
    if status == 200 { Ok(body) } else { Err(JwksError::Answer(status)) }
}

/// A set, of which each entry is read by itself.
#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// The keys that may sign users' tokens, and what else there is and why it is none. Others may be in the set, for other
/// purposes; and one that is malformed says nothing of its neighbours.
fn sorted(entries: &[Value]) -> (Keys, Vec<String>) {
    let (mut found, mut left_out) = (HashMap::<String, Vec<Key>>::new(), Vec::new());
    for (index, entry) in entries.iter().enumerate() {
        match key_of(entry) {
            Ok((kid, key)) => found.entry(kid).or_default().push(key),
            Err(why) => {
                let kid = entry.get("kid").and_then(Value::as_str).unwrap_or_default();
                left_out.push(format!("{index} ({kid}): {why}"));
            }
        }
    }
    (found.into_iter().map(|(kid, keys)| (kid, keys.into())).collect(), left_out)
}

fn key_of(entry: &Value) -> Result<(String, Key), String> {
    let jwk = Jwk::deserialize(entry).map_err(|error| error.to_string())?;
    let kid = jwk.common.key_id.clone().ok_or("it has no kid")?;
    let algorithm = algorithm(&jwk).ok_or("it is not for signatures of RS256, ES256 or EdDSA, or too short")?;
    let key = DecodingKey::from_jwk(&jwk).map_err(|error| error.to_string())?;
    // A key that is none, as a point off its curve, is found by whoever tries it.
    jsonwebtoken::crypto::verify("", b"", &key, algorithm).map_err(|error| error.to_string())?;
    Ok((kid, Key { algorithm, key }))
}

/// The one algorithm of a key. A shared secret in a set that is public would be none.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    if jwk.common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
        return None;
    }
    if jwk.common.key_operations.as_ref().is_some_and(|purposes| !purposes.contains(&KeyOperations::Verify)) {
        return None;
    }
    let (algorithm, name) = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) if rsa.n.len() >= MODULUS_CHARACTERS_MIN => {
            (Algorithm::RS256, KeyAlgorithm::RS256)
        }
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        // The library reads the first bytes of a key of this kind, however few there are, and panics.
        AlgorithmParameters::OctetKeyPair(pair)
            if pair.curve == EllipticCurve::Ed25519
                && URL_SAFE_NO_PAD.decode(&pair.x).is_ok_and(|x| x.len() == ED25519_BYTES) =>
        {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    jwk.common.key_algorithm.as_ref().is_none_or(|said| *said == name).then_some(algorithm)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_that_is_no_key_voids_no_other_and_is_told() {
        let good: Value = serde_json::from_str(include_str!("../../../tests/it/keys/jwks.json")).unwrap();
        let good = good["keys"].as_array().unwrap();
        let (keys, left_out) = sorted(good);
        assert_eq!((keys.len(), left_out.as_slice()), (good.len(), &[][..]));
        let rsa = good.iter().find(|key| key["kty"] == "RSA").unwrap();
        let with = |changes: Value| {
            let mut key = rsa.clone();
            key.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            key
        };
        for odd in [
            json!({"kty": "RSA", "kid": "odd", "x5c": "abc"}),
            json!({"kty": "RSA", "kid": "odd", "key_ops": "verify"}),
            json!({"kty": "OKP", "kid": 7}),
            json!(null),
            json!("text"),
            json!([]),
            json!({}),
            json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "pq"}),
            json!({"kty": "EC", "crv": "secp256k1", "kid": "k1"}),
            json!({"kty": "OKP", "crv": "X25519", "kid": "x"}),
            json!({"kty": "oct", "k": "c2VjcmV0", "kid": "secret"}),
            json!({"kty": "EC", "crv": "P-256", "kid": "off", "x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE",
                   "y": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}),
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "short", "x": "AAAA"}),
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "long", "x": "A".repeat(64)}),
            with(json!({"kid": "odd", "x5c": "abc"})),
            with(json!({"kid": "odd", "key_ops": "verify"})),
            with(json!({"kid": "odd", "key_ops": ["encrypt"]})),
            with(json!({"kid": "odd", "use": "enc"})),
            with(json!({"kid": "odd", "alg": "RSA-OAEP"})),
            with(json!({"kid": "odd", "n": "AQAB"})),
            with(json!({"kid": "odd", "n": "*".repeat(400)})),
            with(json!({"kid": null})),
        ] {
            for set in [[rsa.clone(), odd.clone()], [odd.clone(), rsa.clone()]] {
                let (keys, left_out) = sorted(&set);
                assert_eq!((keys.len(), left_out.len()), (1, 1), "{odd}: {left_out:?}");
                assert!(keys.contains_key(rsa["kid"].as_str().unwrap()), "{odd}");
            }
        }
        let (keys, left_out) = sorted(&[with(json!({"key_ops": ["verify"], "use": "sig", "alg": "RS256"}))]);
        assert_eq!((keys.len(), left_out.len()), (1, 0));
    }
}

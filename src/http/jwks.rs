//! Which keys may sign users' tokens? The public keys of an issuer, from a file or an address, kept up to date.
//!
//! - A key says which algorithm it is for; what a token says of itself is only compared with that.
//! - A set that cannot be read leaves the one before in place.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::config;

/// What an issuer may send at most.
const BYTES_MAX: usize = 1 << 20;
/// RSA keys below 2,048 bits are not taken: the modulus in base64url.
const MODULUS_CHARACTERS_MIN: usize = 342;

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
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

type Keys = HashMap<String, Arc<Key>>;

/// The issuer's keys by their ids.
pub struct Jwks {
    source: Option<Source>,
    refresh: Duration,
    unknown_kid: Duration,
    keys: RwLock<Option<Keys>>,
    /// When the set was last asked for. Who holds it asks; the others wait for that one answer.
    asked: Mutex<Option<Instant>>,
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
        let jwks = Self {
            source,
            refresh: millis(config.jwks_refresh_ms),
            unknown_kid: millis(config.jwks_unknown_kid_ms),
            keys: RwLock::default(),
            asked: Mutex::default(),
        };
        match (jwks.load().await, &jwks.source) {
            (Err(error), Some(Source::File(_))) => return Err(error),
            (Err(error), _) => tracing::warn!(%error, "no keys of users' tokens yet"),
            (Ok(()), _) => {}
        }
        Ok(jwks)
    }

    /// The key of this id; for an id that is not known, after another look at the source, if that is not too soon.
    pub(super) async fn find(&self, kid: &str) -> Option<Arc<Key>> {
        if let Some(key) = self.known(kid) {
            return Some(key);
        }
        let mut asked = self.asked.lock().await;
        // Another caller may have asked while this one waited.
        if let Some(key) = self.known(kid) {
            return Some(key);
        }
        if asked.is_none_or(|at| at.elapsed() >= self.unknown_kid) {
            *asked = Some(Instant::now());
            if let Err(error) = self.load().await {
                tracing::warn!(%error, "keys of users' tokens");
            }
        }
        self.known(kid)
    }

    /// Whether there is a source, and it was never read.
    pub(super) fn is_missing(&self) -> bool {
        self.source.is_some() && self.keys.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn known(&self, kid: &str) -> Option<Arc<Key>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).as_ref()?.get(kid).cloned()
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
            *asked = Some(Instant::now());
            if let Err(error) = self.load().await {
                metrics::counter!("onrush_jwks_failures_total").increment(1);
                tracing::warn!(%error, "keys of users' tokens: those read before stay in use");
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
        let keys = usable(serde_json::from_slice(&text)?);
        if keys.is_empty() {
            return Err(JwksError::Empty);
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(keys);
        Ok(())
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

/// The keys that may sign users' tokens. Others may be in the set, for other purposes.
fn usable(set: JwkSet) -> Keys {
    let known = set.keys.into_iter().filter_map(|jwk| {
        let kid = jwk.common.key_id.clone()?;
        let found =
            algorithm(&jwk).and_then(|algorithm| Some(Key { algorithm, key: DecodingKey::from_jwk(&jwk).ok()? }));
        if found.is_none() {
            tracing::debug!(kid, "a key of the set that signs no users' tokens");
        }
        Some((kid, Arc::new(found?)))
    });
    known.collect()
}

/// The one algorithm of a key. A shared secret in a set that is public would be none.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    if jwk.common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
        return None;
    }
    let (algorithm, name) = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) if rsa.n.len() >= MODULUS_CHARACTERS_MIN => {
            (Algorithm::RS256, KeyAlgorithm::RS256)
        }
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    jwk.common.key_algorithm.as_ref().is_none_or(|said| *said == name).then_some(algorithm)
}

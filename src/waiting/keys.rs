//! Which keys are passes and tickets signed with? One at a time; those before it are still read.
//!
//! - A key is 32 bytes with an id. It is the seed of an Ed25519 key for passes, which others verify with its public half,
//!   and a MAC key for tickets, which nobody but us reads, is derived from it.
//! - A server needs no secret for it: without one the key is derived from the coupon key and its own id.
//! - The id takes part in every derivation: another id is another key, and a ticket's MAC says which one it is of.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{DecodingKey, EncodingKey};
use sha2::Sha256;
use thiserror::Error;

use crate::config;
use crate::hex::from_hex;

/// The purposes that keys are derived for. A change of these words invalidates all that was signed.
const PASS_PURPOSE: &[u8] = b"onrush waiting pass key:";
const TICKET_PURPOSE: &[u8] = b"onrush waiting ticket key:";

/// What an Ed25519 private key looks like in DER (RFC 8410), before its 32 bytes: the one form that the library signs with.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Why there are no keys. [`config::Config::check_secrets`] has refused such settings before.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not 64 hexadecimal digits, or none where there is no coupon key either.
    #[error("the key {0} of passes must be 64 hexadecimal digits, or coupon.key_hex must be")]
    NoKey(String),
}

/// The key that is signed with, and all that are read.
#[derive(Clone)]
pub struct PassKeys {
    /// The current one first.
    keys: Vec<PassKey>,
    signing: EncodingKey,
    jwks: String,
}

/// One key, as it is read.
#[derive(Clone)]
pub(super) struct PassKey {
    pub(super) id: String,
    pub(super) verifying: DecodingKey,
    pub(super) ticket_mac: Hmac<Sha256>,
    public: [u8; 32],
}

impl PassKeys {
    /// The keys that are set, or derived from the coupon key.
    pub fn new(waiting: &config::Waiting, coupon: &config::Coupon) -> Result<Self, KeyError> {
        let seed = |id: &str, hex: &str| {
            let seed = if hex.is_empty() {
                from_hex(&coupon.key_hex).map(|root| derived(&root, PASS_PURPOSE, id))
            } else {
                from_hex(hex)
            };
            seed.ok_or_else(|| KeyError::NoKey(id.to_owned()))
        };
        let current = seed(&waiting.pass_key_id, &waiting.pass_key_hex)?;
        let mut keys = vec![PassKey::new(&waiting.pass_key_id, &current)];
        for old in &waiting.pass_old_keys {
            keys.push(PassKey::new(&old.key_id, &seed(&old.key_id, &old.key_hex)?));
        }
        let signing = EncodingKey::from_ed_der(&[&PKCS8_PREFIX[..], &current].concat());
        let jwks = serde_json::json!({ "keys": keys.iter().map(PassKey::jwk).collect::<Vec<_>>() }).to_string();
        Ok(Self { keys, signing, jwks })
    }

    /// The public keys as a JSON Web Key Set (RFC 8037), the current one first: what a shop verifies passes with.
    #[must_use]
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    pub(super) fn signing(&self) -> &EncodingKey {
        &self.signing
    }

    pub(super) fn current(&self) -> &PassKey {
        &self.keys[0]
    }

    /// There are a few, and mostly it is the first.
    pub(super) fn find(&self, id: &str) -> Option<&PassKey> {
        self.keys.iter().find(|key| key.id == id)
    }
}

impl PassKey {
    fn new(id: &str, seed: &[u8; 32]) -> Self {
        let public = SigningKey::from_bytes(seed).verifying_key().to_bytes();
        Self {
            id: id.to_owned(),
            verifying: DecodingKey::from_ed_der(&public),
            ticket_mac: mac(&derived(seed, TICKET_PURPOSE, id)),
            public,
        }
    }

    fn jwk(&self) -> serde_json::Value {
        serde_json::json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "x": URL_SAFE_NO_PAD.encode(self.public),
            "kid": self.id,
            "alg": "EdDSA",
            "use": "sig",
        })
    }
}

fn derived(root: &[u8; 32], purpose: &[u8], id: &str) -> [u8; 32] {
    mac(root).chain_update(purpose).chain_update(id).finalize().into_bytes().into()
}

fn mac(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Settings for this room's tests.
#[cfg(test)]
pub(super) mod samples {
    use super::*;

    pub(in super::super) fn coupon(byte: &str) -> config::Coupon {
        config::Coupon { key_id: 1, key_hex: byte.repeat(32), old_keys: Vec::new() }
    }

    pub(in super::super) fn waiting(id: &str, hex: &str, old: &[(&str, &str)]) -> config::Waiting {
        let old = old.iter().map(|(id, hex)| config::WaitingKey { key_id: (*id).into(), key_hex: (*hex).into() });
        let mut waiting = config::Config::load(None).unwrap().waiting;
        (waiting.pass_key_id, waiting.pass_key_hex) = (id.into(), hex.into());
        waiting.pass_old_keys = old.collect();
        waiting
    }

    pub(in super::super) fn keys(id: &str, hex: &str, old: &[(&str, &str)]) -> PassKeys {
        PassKeys::new(&waiting(id, hex, old), &coupon("07")).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::samples::*;
    use super::*;

    /// RFC 8037, appendix A: the private key and its public half.
    const RFC_SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const RFC_PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    #[test]
    fn the_public_keys_are_a_key_set_as_the_standard_has_it() {
        let keys = keys("2", RFC_SEED, &[("1", "")]);
        let set: serde_json::Value = serde_json::from_str(keys.jwks()).unwrap();
        let first = serde_json::json!({
            "kty": "OKP", "crv": "Ed25519", "x": RFC_PUBLIC, "kid": "2", "alg": "EdDSA", "use": "sig"
        });
        assert_eq!(set["keys"][0], first);
        assert_eq!(set["keys"][1]["kid"], "1");
        assert_eq!(set["keys"].as_array().unwrap().len(), 2);
        assert!(!keys.jwks().contains("\"d\""));
        serde_json::from_str::<jsonwebtoken::jwk::JwkSet>(keys.jwks()).unwrap();
    }

    #[test]
    fn a_key_that_is_not_set_comes_from_the_coupon_key_and_its_own_id() {
        let public = |id: &str, hex: &str, coupon: &config::Coupon| {
            PassKeys::new(&waiting(id, hex, &[]), coupon).unwrap().current().public
        };
        let derived = public("1", "", &coupon("07"));
        assert_eq!(derived, public("1", "", &coupon("07")));
        assert_ne!(derived, public("2", "", &coupon("07")));
        assert_ne!(derived, public("1", "", &coupon("08")));
        assert_ne!(derived, public("1", &"07".repeat(32), &coupon("07")), "it is not the coupon key itself");
        let set = "0b".repeat(32);
        assert_eq!(public("1", &set, &coupon("07")), public("2", &set, &coupon("08")));
        // An old one likewise, so that a derived key can be replaced by the next.
        let later = PassKeys::new(&waiting("2", "", &[("1", "")]), &coupon("07")).unwrap();
        assert_eq!(later.find("1").unwrap().public, derived);
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_id() {
        let none = |waiting: &config::Waiting, coupon: &config::Coupon| PassKeys::new(waiting, coupon).err().unwrap();
        let no_coupon = config::Coupon { key_hex: String::new(), ..coupon("07") };
        assert_eq!(none(&waiting("5", "", &[]), &no_coupon), KeyError::NoKey("5".into()));
        assert_eq!(none(&waiting("1", "abc", &[]), &coupon("07")), KeyError::NoKey("1".into()));
        assert_eq!(none(&waiting("1", "", &[("0", "xyz")]), &coupon("07")), KeyError::NoKey("0".into()));
    }
}

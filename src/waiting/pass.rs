//! May this visitor come in? The pass: a signed statement that a user was admitted to a campaign, until when.
//!
//! - It is a JSON Web Token (`EdDSA`), so that a shop's own backend can verify it with the public keys alone.
//! - The same admission is always the same text: Ed25519 signs alike each time, and nothing of the moment is in it.
//! - Whose it is, and for what, is only said once its signature is good: a forger learns one word.
//! - Here a pass is only sifted, and by nothing that a clock says: this node's own may be wrong. Redis decides, by its clock
//!   and by who is inside: a good signature lets nobody in who has left, or whose time is over.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::keys::PassKeys;
use crate::cache::Bounded;
use crate::clock::Millis;
use crate::ids::{CampaignId, UserId};

const ISSUER: &str = "onrush";
/// Ours have about 700 bytes with the longest ids.
const BYTES_MAX: usize = 2_048;

/// What a pass is signed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The campaign whose units may be claimed.
    pub campaign: CampaignId,
    /// By whom.
    pub user: UserId,
    /// The campaign's generation when the visitor joined.
    pub generation: u32,
    /// The room's life when the visitor joined; 0: a node that knew of none began it.
    pub life: u32,
    /// The visitor's arrival number there: it names the admission.
    pub number: u64,
    /// Until when, by Redis' clock.
    pub expires_at: Millis,
}

/// The admission that a good pass is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// See [`Pass::generation`].
    pub generation: u32,
    /// See [`Pass::number`].
    pub number: u64,
    /// See [`Pass::life`]. Nodes that know of none sign none: then the number decides.
    pub life: u32,
    /// See [`Pass::expires_at`], in s, rounded up. Nothing is decided by it.
    pub expires_s: i64,
}

/// Why a pass is none. The text is fit for an answer to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PassError {
    /// None of ours: its form, its key, its algorithm or its signature.
    #[error("the pass is not valid")]
    NotValid,
    /// Ours, but not this user's.
    #[error("the pass is another user's")]
    OtherUser,
    /// Theirs, but not for this campaign.
    #[error("the pass is for another campaign")]
    OtherCampaign,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    jti: String,
    exp: i64,
    /// A member of its own: older nodes read the number to the end of `jti`, and leave alone what they do not know.
    #[serde(default, skip_serializing_if = "is_none")]
    life: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_none(life: &u32) -> bool {
    *life == 0
}

/// What a good signature vouches for. It holds for ever, so it may be remembered; whether it suits is asked each time.
#[derive(Clone)]
struct Vouched {
    campaign: Box<str>,
    user: Box<str>,
    admission: Admission,
}

/// Signs passes and checks them.
pub struct Passes {
    keys: PassKeys,
    header: Header,
    validation: Validation,
    verified: Bounded<Box<str>, Arc<Vouched>>,
}

impl Passes {
    /// Passes of these keys; so many are remembered to be good.
    #[must_use]
    pub fn new(keys: &PassKeys, cached_max: u64) -> Self {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(keys.current().id.clone());
        let mut validation = Validation::new(Algorithm::EdDSA);
        // The campaign and the user are the request's, and are judged below; the time is for Redis to judge.
        validation.validate_aud = false;
        validation.validate_exp = false;
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        Self { keys: keys.clone(), header, validation, verified: Bounded::new(cached_max) }
    }

    /// The pass as text.
    #[must_use]
    pub fn sign(&self, pass: &Pass) -> String {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: pass.campaign.as_str().to_owned(),
            sub: pass.user.as_str().to_owned(),
            jti: format!("{}.{}", pass.generation, pass.number),
            exp: expires_s(pass.expires_at),
            life: pass.life,
        };
        jsonwebtoken::encode(&self.header, &claims, self.keys.signing()).expect("32 bytes are an Ed25519 key")
    }

    /// Which admission this is the pass of, if it is this user's for this campaign.
    pub fn check(&self, text: &str, campaign: &CampaignId, user: &UserId) -> Result<Admission, PassError> {
        let vouched = self.vouched(text).ok_or(PassError::NotValid)?;
        if *vouched.user != *user.as_str() {
            return Err(PassError::OtherUser);
        }
        if *vouched.campaign != *campaign.as_str() {
            return Err(PassError::OtherCampaign);
        }
        Ok(vouched.admission)
    }

    fn vouched(&self, text: &str) -> Option<Arc<Vouched>> {
        if text.len() > BYTES_MAX {
            return None;
        }
        if let Some(vouched) = self.verified.get(text) {
            return Some(vouched);
        }
        let vouched = Arc::new(self.verify(text)?);
        self.verified.insert(text.into(), Arc::clone(&vouched));
        Some(vouched)
    }

    fn verify(&self, text: &str) -> Option<Vouched> {
        // The pass only says which of our keys to try: the algorithm is ours, whatever it claims.
        let id = jsonwebtoken::decode_header(text).ok()?.kid?;
        let key = self.keys.find(&id)?;
        let claims = jsonwebtoken::decode::<Claims>(text, &key.verifying, &self.validation).ok()?.claims;
        let (generation, number) = claims.jti.split_once('.')?;
        Some(Vouched {
            campaign: claims.aud.into(),
            user: claims.sub.into(),
            admission: Admission {
                generation: generation.parse().ok()?,
                number: number.parse().ok()?,
                life: claims.life,
                expires_s: claims.exp,
            },
        })
    }
}

/// Tokens tell time in whole seconds. The deadline is rounded up: what a shop lets through too long, Redis refuses, but
/// what it refused too early, nobody would look at again.
fn expires_s(deadline: Millis) -> i64 {
    deadline.0.div_euclid(1_000) + i64::from(deadline.0.rem_euclid(1_000) > 0)
}

#[cfg(test)]
#[path = "pass_tests.rs"]
mod tests;

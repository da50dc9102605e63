//! Who calls? Users by a signed token, operators by one of the configured ones.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::problem::{Code, Problem};
use crate::clock::Millis;
use crate::config;
use crate::ids::UserId;

/// Checks credentials.
pub(super) struct Auth {
    key: DecodingKey,
    validation: Validation,
    leeway_s: u64,
    operators: Vec<[u8; 32]>,
}

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    User(UserId),
    Operator,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    exp: f64,
}

impl Auth {
    pub(super) fn new(config: &config::Auth) -> Self {
        // The algorithm is ours to say, never the token's: `none` and the public-key ones do not get past this.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "sub"]);
        validation.leeway = config.leeway_s;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        let operators = config.operator_token_sha256.iter().filter_map(|hash| {
            let mut bytes = [0; 32];
            for (byte, pair) in bytes.iter_mut().zip(hash.as_bytes().chunks(2)) {
                *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
            }
            Some(bytes)
        });
        Self {
            key: DecodingKey::from_secret(config.hs256_secret.as_bytes()),
            validation,
            leeway_s: config.leeway_s,
            operators: operators.collect(),
        }
    }

    fn caller(&self, parts: &Parts) -> Result<Caller, Problem> {
        let mut sent = parts.headers.get_all(header::AUTHORIZATION).iter();
        let (Some(authorization), None) = (sent.next(), sent.next()) else {
            return Err(unauthenticated("send one header Authorization: Bearer", None));
        };
        let token = authorization
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        let Some(token) = token else {
            return Err(unauthenticated("the header Authorization must be: Bearer <token>", Some("invalid_request")));
        };
        if self.is_operator(token) {
            return Ok(Caller::Operator);
        }
        self.user(token)
            .map(Caller::User)
            .map_err(|why| unauthenticated(&format!("the token is not valid: {why}"), Some("invalid_token")))
    }

    fn is_operator(&self, token: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        // Every known hash is compared, so that time does not tell which one came close.
        self.operators.iter().fold(false, |found, known| found | bool::from(hash.ct_eq(known)))
    }

    fn user(&self, token: &str) -> Result<UserId, String> {
        let data =
            jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation).map_err(|error| error.to_string())?;
        // The library counts the very second of `exp` as valid; RFC 7519 wants now to be before it.
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 stay exact in 53 bits")]
        let now_s = Millis::now().0 as f64 / 1000.0;
        #[expect(clippy::cast_precision_loss, reason = "at most 300")]
        let leeway_s = self.leeway_s as f64;
        if data.claims.exp + leeway_s <= now_s {
            return Err("ExpiredSignature".into());
        }
        data.claims.sub.parse().map_err(|error| format!("sub {error}"))
    }
}

fn unauthenticated(detail: &str, error: Option<&str>) -> Problem {
    let challenge = match error {
        Some(error) => format!("Bearer realm=\"onrush\", error=\"{error}\""),
        None => "Bearer realm=\"onrush\"".to_owned(),
    };
    let challenge = HeaderValue::from_str(&challenge).expect("words of our own, without control characters");
    Problem::new(Code::Unauthenticated, detail).header(header::WWW_AUTHENTICATE, challenge)
}

/// Why no token could be made.
#[derive(Debug, Error)]
pub enum TokenError {
    /// There is no secret to sign with.
    #[error("auth.hs256_secret must have 32 bytes or more")]
    NoSecret,
    /// The library failed.
    #[error(transparent)]
    Signing(#[from] jsonwebtoken::errors::Error),
}

/// A user's token, for development and tests: signed with the shared secret, good for so many seconds.
pub fn user_token(config: &config::Auth, user: &UserId, expires_in_s: i64) -> Result<String, TokenError> {
    if config.hs256_secret.len() < 32 {
        return Err(TokenError::NoSecret);
    }
    let claims = serde_json::json!({
        "sub": user.as_str(),
        "iat": Millis::now().0 / 1000,
        "exp": Millis::now().0 / 1000 + expires_in_s,
    });
    let key = EncodingKey::from_secret(config.hs256_secret.as_bytes());
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?)
}

/// A request of a user.
pub(super) struct User(pub UserId);

/// A request of an operator.
pub(super) struct Operator;

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Arc<Auth>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Arc::<Auth>::from_ref(state).caller(parts)
    }
}

impl<S> FromRequestParts<S> for User
where
    S: Send + Sync,
    Arc<Auth>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Caller::from_request_parts(parts, state).await? {
            Caller::User(user) => Ok(Self(user)),
            Caller::Operator => Err(Problem::new(Code::Forbidden, "this route is for users, not for operators")),
        }
    }
}

impl<S> FromRequestParts<S> for Operator
where
    S: Send + Sync,
    Arc<Auth>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Caller::from_request_parts(parts, state).await? {
            Caller::Operator => Ok(Self),
            Caller::User(_) => Err(Problem::new(Code::Forbidden, "this route is for operators")),
        }
    }
}

//! Who calls? Users by a signed token or by the word of a gateway, operators by one of the configured tokens.

use std::borrow::Cow;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use ipnet::IpNet;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::clock::Millis;
use crate::config::{self, AuthMode};
use crate::hex::from_hex;
use crate::http::auth::jwks::{Found, Jwks};
use crate::http::auth::token::{Fault, Rules, Token, VerifiedToken};
use crate::http::contract::problem::{Code, Problem};
use crate::http::serve::peer::Peer;
use crate::ids::UserId;

const USER_ID: HeaderName = HeaderName::from_static("x-user-id");

/// Checks credentials.
pub struct Auth {
    mode: AuthMode,
    /// Shared secrets: the one that tokens are signed with, and those before it.
    secrets: Vec<DecodingKey>,
    jwks: Arc<Jwks>,
    /// What a token must say.
    rules: Rules,
    token_bytes_max: usize,
    /// What time it is: not by this node's clock, which may be wrong.
    now: Box<dyn Fn() -> Millis + Send + Sync>,
    operators: Vec<[u8; 32]>,
    proxies: Vec<IpNet>,
}

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    User(UserId),
    Operator,
}

impl Auth {
    /// The key set is the node's, and is kept up to date by who made it. `now`: what time it is for tokens.
    #[must_use]
    pub fn new(config: &config::Auth, jwks: Arc<Jwks>, now: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        let operators = config.operator_token_sha256.iter().filter_map(|hash| from_hex(hash));
        #[expect(clippy::cast_precision_loss, reason = "at most 300")]
        let leeway_s = config.leeway_s as f64;
        let secrets = std::iter::once(&config.hs256_secret).chain(&config.hs256_secrets_old);
        Self {
            mode: config.mode,
            // Where only public keys are used there is no secret, and an empty one would be everybody's.
            secrets: secrets.filter(|it| !it.is_empty()).map(|it| DecodingKey::from_secret(it.as_bytes())).collect(),
            jwks,
            rules: Rules { audience: config.audience.clone(), issuer: config.issuer.clone(), leeway_s },
            token_bytes_max: config.token_bytes_max,
            now: Box::new(now),
            operators: operators.collect(),
            proxies: config.trusted_proxies.clone(),
        }
    }

    /// Whose token this is; `None` if it is not good. What the bench of it calls.
    pub async fn user_of(&self, token: &str) -> Option<UserId> {
        self.user(token).await.ok().map(|known| known.user)
    }

    /// Whose token this is, and how long it is good: for pages, to which browsers bring it in ways of their own.
    pub(crate) async fn verified(&self, token: &str) -> Result<VerifiedToken, Problem> {
        self.user(token).await
    }

    /// The user that a gateway names; `None` where users have tokens.
    pub(crate) fn named(&self, parts: &Parts) -> Option<Result<UserId, Problem>> {
        (self.mode == AuthMode::TrustedHeader).then(|| self.named_by_proxy(parts))
    }

    async fn caller(&self, parts: &Parts) -> Result<Caller, Problem> {
        let mut sent = parts.headers.get_all(header::AUTHORIZATION).iter();
        let token = match (sent.next(), sent.next()) {
            (Some(authorization), None) => Some(bearer(authorization)),
            (None, _) => None,
            (Some(_), Some(_)) => Some(None),
        };
        if let Some(Some(token)) = token
            && self.is_operator(token)
        {
            return Ok(Caller::Operator);
        }
        if self.mode == AuthMode::TrustedHeader {
            return self.named_by_proxy(parts).map(Caller::User);
        }
        match token {
            None => Err(unauthenticated("send one header Authorization: Bearer", None)),
            Some(None) => {
                Err(unauthenticated("the header Authorization must be, once: Bearer <token>", Some("invalid_request")))
            }
            Some(Some(token)) => self.user(token).await.map(|known| Caller::User(known.user)),
        }
    }

    /// Whether nobody is named at all.
    fn is_anonymous(&self, parts: &Parts) -> bool {
        let is_named = self.mode == AuthMode::TrustedHeader && parts.headers.contains_key(&USER_ID);
        !is_named && !parts.headers.contains_key(header::AUTHORIZATION)
    }

    /// The user that a gateway in front has authenticated. Only its own addresses are believed: whoever reaches this
    /// server past it could write the header, too.
    fn named_by_proxy(&self, parts: &Parts) -> Result<UserId, Problem> {
        let trusted = parts.extensions.get::<Peer>().is_some_and(|peer| {
            let address = peer.0.to_canonical();
            self.proxies.iter().any(|network| network.contains(&address))
        });
        if !trusted {
            return Err(unauthenticated("users are named by the gateway, and this address is not its", None));
        }
        let mut sent = parts.headers.get_all(USER_ID).iter();
        let (Some(user), None) = (sent.next(), sent.next()) else {
            return Err(unauthenticated("the gateway sends one header X-User-Id", None));
        };
        let user = std::str::from_utf8(user.as_bytes()).ok().and_then(|user| user.parse().ok());
        user.ok_or_else(|| unauthenticated("the header X-User-Id is no user id", None))
    }

    fn is_operator(&self, token: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        // Every known hash is compared, so that time does not tell which one came close.
        self.operators.iter().fold(false, |found, known| found | bool::from(hash.ct_eq(known)))
    }

    async fn user(&self, token: &str) -> Result<VerifiedToken, Problem> {
        let token = Token::read(token, self.token_bytes_max).map_err(|fault| invalid(&fault))?;
        // The token only says which of our keys to try. Each key has its one algorithm: a token that was signed with
        // HMAC and a public key as the secret meets the secrets, and no key set.
        let is_signed = if token.algorithm == Algorithm::HS256 {
            self.secrets.iter().any(|secret| token.is_signed_by(secret))
        } else {
            let kid = token.kid.as_deref().ok_or_else(|| invalid(&Fault::NoKid))?;
            match Box::pin(self.jwks.find(kid)).await {
                Found::Unknown => return Err(invalid(&Fault::UnknownKid)),
                Found::Untold => {
                    return Err(Problem::new(Code::Unavailable, "the keys of users' tokens could not be read"));
                }
                Found::Keys(keys) => {
                    let mut fit = keys.iter().filter(|key| key.algorithm == token.algorithm).peekable();
                    if fit.peek().is_none() {
                        return Err(invalid(&Fault::OtherAlgorithm));
                    }
                    fit.any(|key| token.is_signed_by(&key.key))
                }
            }
        };
        if !is_signed {
            return Err(invalid(&Fault::Signature));
        }
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 stay exact in 53 bits")]
        let now_s = (self.now)().0 as f64 / 1000.0;
        self.rules.judge(&token, now_s).map_err(|fault| invalid(&fault))
    }
}

fn invalid(fault: &Fault) -> Problem {
    unauthenticated(format!("the token is not valid: {fault}"), Some("invalid_token"))
}

/// The token of a header Authorization; `None` if it is of another form.
fn bearer(authorization: &HeaderValue) -> Option<&str> {
    let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthenticated(detail: impl Into<Cow<'static, str>>, error: Option<&str>) -> Problem {
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

/// A user's token, for development and tests: signed with the shared secret, good for so many seconds, for and from whom the
/// settings want it.
pub fn user_token(config: &config::Auth, user: &UserId, expires_in_s: i64) -> Result<String, TokenError> {
    if config.hs256_secret.len() < 32 {
        return Err(TokenError::NoSecret);
    }
    let mut claims = serde_json::json!({
        "sub": user.as_str(),
        "iat": Millis::now().0 / 1000,
        "exp": Millis::now().0 / 1000 + expires_in_s,
    });
    for (name, value) in [("aud", &config.audience), ("iss", &config.issuer)] {
        if !value.is_empty() {
            claims[name] = value.as_str().into();
        }
    }
    let key = EncodingKey::from_secret(config.hs256_secret.as_bytes());
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?)
}

/// A request of a user.
pub(crate) struct User(pub UserId);

/// A request of an operator.
pub(crate) struct Operator;

impl<S> FromRequestParts<S> for Caller
where
    S: AsRef<Auth> + Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        state.as_ref().caller(parts).await
    }
}

/// For routes that anybody may ask. Credentials that do not hold are refused there, too.
impl<S> OptionalFromRequestParts<S> for Caller
where
    S: AsRef<Auth> + Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Problem> {
        if state.as_ref().is_anonymous(parts) {
            return Ok(None);
        }
        state.as_ref().caller(parts).await.map(Some)
    }
}

impl<S> FromRequestParts<S> for User
where
    S: AsRef<Auth> + Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match state.as_ref().caller(parts).await? {
            Caller::User(user) => Ok(Self(user)),
            Caller::Operator => Err(Problem::new(Code::Forbidden, "this route is for users, not for operators")),
        }
    }
}

impl<S> FromRequestParts<S> for Operator
where
    S: AsRef<Auth> + Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match state.as_ref().caller(parts).await? {
            Caller::Operator => Ok(Self),
            Caller::User(_) => Err(Problem::new(Code::Forbidden, "this route is for operators")),
        }
    }
}

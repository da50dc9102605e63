//! Who comes? A user, with a token that is signed here: HS256, as the server's settings have it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

/// Longer than any run.
const VALID_FOR: Duration = Duration::from_hours(2);

/// A user, and the visit that they make.
#[derive(Debug, Clone)]
pub(crate) struct User {
    /// The user's id.
    pub(crate) name: String,
    /// The token that says so.
    pub(crate) token: String,
    /// The number of the visit, from 0.
    pub(crate) visit: u64,
}

impl User {
    /// A user of this name.
    pub(crate) fn new(name: String, visit: u64, secret: &str) -> anyhow::Result<Self> {
        #[derive(Serialize)]
        struct Claims<'a> {
            sub: &'a str,
            exp: u64,
        }
        let claims = Claims { sub: &name, exp: (now() + VALID_FOR).as_secs() };
        let key = EncodingKey::from_secret(secret.as_bytes());
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
            .context("cannot sign a user's token")?;
        Ok(Self { name, token, visit })
    }
}

/// The time since 1970.
pub(crate) fn now() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where `goose-load` asks")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).expect("this machine's clock is past 1970")
}

//! Who are the users? A signed token for each, made before the clock starts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

/// Longer than any rush.
const VALID_FOR: Duration = Duration::from_hours(1);

#[derive(Serialize)]
struct Claims {
    sub: String,
    iat: u64,
    exp: u64,
}

/// The id of a user, counted from 0; as an id, from 1.
pub(crate) fn user_id(user: u32) -> String {
    format!("user-{:06}", user + 1)
}

/// The token of each user.
pub(crate) fn mint(users: u32, hs256_secret: &str) -> anyhow::Result<Vec<String>> {
    let (header, key) = (Header::new(Algorithm::HS256), EncodingKey::from_secret(hs256_secret.as_bytes()));
    let iat = now().as_secs();
    let exp = iat + VALID_FOR.as_secs();
    let sign = |user| {
        let claims = Claims { sub: user_id(user), iat, exp };
        jsonwebtoken::encode(&header, &claims, &key).context("cannot sign a user's token")
    };
    (0..users).map(sign).collect()
}

/// The time since 1970.
pub(crate) fn now() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where `rush` asks")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).expect("this machine's clock is past 1970")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_has_a_token_of_their_own() {
        let tokens = mint(3, "a secret of at least thirty-two bytes").unwrap();
        assert!(tokens.iter().all(|token| token.starts_with("ey")));
        assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2]);
        assert_eq!((user_id(0), user_id(9_999)), ("user-000001".to_owned(), "user-010000".to_owned()));
    }
}

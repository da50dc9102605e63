//! Who may call, and how they say who they are: its settings, and what they must be.

use ipnet::IpNet;
use serde::Deserialize;

use super::Limits;

section!(
    /// Who may call.
    Auth {
        mode: AuthMode, hs256_secret: String, hs256_secrets_old: Vec<String>, audience: String, issuer: String,
        token_bytes_max: usize, leeway_s: u64, jwks_file: String, jwks_url: String, jwks_refresh_ms: u64,
        jwks_unknown_kid_ms: u64, jwks_timeout_ms: u64, trusted_proxies: Vec<IpNet>, operator_token_sha256: Vec<String>,
    }
);

/// How users say who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMode {
    /// By a signed token.
    Jwt,
    /// A gateway has asked them, and says so in a header.
    TrustedHeader,
}

impl Auth {
    pub(super) fn check(&self, is: &mut Limits) {
        is.within("auth.leeway_s", self.leeway_s, 0..=300);
        is.within("auth.token_bytes_max", self.token_bytes_max, 1_024..=1 << 20);
        is.within("auth.jwks_refresh_ms", self.jwks_refresh_ms, 100..=86_400_000);
        is.within("auth.jwks_unknown_kid_ms", self.jwks_unknown_kid_ms, 100..=3_600_000);
        is.within("auth.jwks_timeout_ms", self.jwks_timeout_ms, 100..=60_000);
        is.unless(
            self.jwks_file.is_empty() || self.jwks_url.is_empty(),
            "auth.jwks_file and auth.jwks_url must not both be given",
        );
        for (name, text) in [("auth.audience", &self.audience), ("auth.issuer", &self.issuer)] {
            let text_is_plain = text.trim() == text && !text.contains(char::is_control);
            is.unless(text_is_plain, &format!("{name} must have no blanks around it and no control characters"));
        }
    }

    /// What has no default.
    pub(super) fn check_secrets(&self, wrong: &mut Limits) {
        let has_jwks = !self.jwks_file.is_empty() || !self.jwks_url.is_empty();
        let needs_secret = self.mode == AuthMode::Jwt && !has_jwks;
        wrong.unless(
            self.hs256_secret.len() >= 32 || (self.hs256_secret.is_empty() && !needs_secret),
            "auth.hs256_secret must have 32 bytes or more",
        );
        wrong.unless(
            self.hs256_secrets_old.iter().all(|secret| secret.len() >= 32),
            "auth.hs256_secrets_old must have 32 bytes or more each",
        );
        wrong.unless(
            self.mode != AuthMode::TrustedHeader || !self.trusted_proxies.is_empty(),
            "auth.trusted_proxies must name the gateway where auth.mode is trusted_header",
        );
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        wrong.unless(
            self.operator_token_sha256.iter().all(|hash| hash.len() == 64 && hash.bytes().all(is_hex)),
            "auth.operator_token_sha256 must be a list of 64 lower-case hexadecimal digits each",
        );
    }
}

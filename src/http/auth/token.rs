//! What does a user's token say, and is it good? A JWT (RFC 7519) in the compact form of RFC 7515.
//!
//! - Before its signature was checked nothing of it is believed, but which of our keys to try.
//! - What has to be understood and is not (`crit`), what is there twice, and what is of another kind than it has to be makes it
//!   no token. What else it says is its issuer's.
//! - Whatever is wrong with a token has a name, in words for who made it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::Value;
use thiserror::Error;

use crate::ids::UserId;

/// More members than any issuer writes into a header or into claims: each is compared with those before it.
const MEMBERS_MAX: usize = 100;
/// Seconds since 1970 from year 1 to year 9999. What is beyond is no time; milliseconds are.
const TIMES_S: std::ops::RangeInclusive<f64> = -62_135_596_800.0..=253_402_300_799.0;

/// What is wrong with a token.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Fault {
    #[error("it is too long")]
    TooLong,
    #[error("it is not three parts in base64url with dots between them")]
    Form,
    #[error("its {0} is no JSON object")]
    NoObject(&'static str),
    #[error("a member of its {0} is there twice")]
    Twice(&'static str),
    #[error("its {0} has too many members")]
    TooManyMembers(&'static str),
    #[error("it has crit, and no extension is understood here")]
    Crit,
    #[error("it has b64, and only payloads in base64url are read")]
    Unencoded,
    #[error("its alg is none of HS256, RS256, ES256, EdDSA")]
    Algorithm,
    #[error("its typ is that of something else than a user's token")]
    Type,
    #[error("its kid is no text")]
    KidKind,
    #[error("it names no key (kid)")]
    NoKid,
    #[error("its key (kid) is not known")]
    UnknownKid,
    #[error("its key (kid) is for another alg")]
    OtherAlgorithm,
    #[error("its signature is not right")]
    Signature,
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is no time: it is in seconds since 1970")]
    NoTime(&'static str),
    #[error("it has expired (exp)")]
    Expired,
    #[error("it is not valid yet (nbf)")]
    NotYet,
    #[error("sub {0}")]
    User(String),
    #[error("it is for somebody else (aud)")]
    Audience,
    #[error("it is from somebody else (iss)")]
    Issuer,
}

/// A token that is good, and for how long.
pub(crate) struct VerifiedToken {
    pub user: UserId,
    pub expires_in_s: u64,
}

/// A token of which nothing is believed yet.
pub(crate) struct Token<'t> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    /// What is signed.
    message: &'t str,
    payload: &'t str,
    signature: &'t str,
}

impl<'t> Token<'t> {
    /// Takes it apart.
    pub(crate) fn read(text: &'t str, bytes_max: usize) -> Result<Self, Fault> {
        if text.len() > bytes_max {
            return Err(Fault::TooLong);
        }
        let (message, signature) = text.rsplit_once('.').ok_or(Fault::Form)?;
        let (header, payload) = message.split_once('.').ok_or(Fault::Form)?;
        let header = Members::read("header", header)?;
        if header.get("crit").is_some() {
            return Err(Fault::Crit);
        }
        if header.get("b64").is_some_and(|b64| *b64 != Value::Bool(true)) {
            return Err(Fault::Unencoded);
        }
        if !header.get("typ").is_none_or(is_of_users) {
            return Err(Fault::Type);
        }
        let algorithm = match header.get("alg").and_then(Value::as_str) {
            Some("HS256") => Algorithm::HS256,
            Some("RS256") => Algorithm::RS256,
            Some("ES256") => Algorithm::ES256,
            Some("EdDSA") => Algorithm::EdDSA,
            _ => return Err(Fault::Algorithm),
        };
        let kid = header.get("kid").map(|kid| kid.as_str().map(str::to_owned).ok_or(Fault::KidKind)).transpose()?;
        Ok(Self { algorithm, kid, message, payload, signature })
    }

    /// Whether this key, which is one of its algorithm, has signed it.
    pub(crate) fn is_signed_by(&self, key: &DecodingKey) -> bool {
        jsonwebtoken::crypto::verify(self.signature, self.message.as_bytes(), key, self.algorithm).unwrap_or(false)
    }
}

/// Words for tokens of users: of any kind, and access tokens (RFC 9068). One that an issuer made to log somebody out, or for
/// something else, names its kind, and opens nothing here (RFC 8725, 3.11).
fn is_of_users(typ: &Value) -> bool {
    let Some(typ) = typ.as_str() else { return false };
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
}

/// What a token has to say.
pub(crate) struct Rules {
    /// Empty: not compared.
    pub(crate) audience: String,
    /// Empty: not compared.
    pub(crate) issuer: String,
    pub(crate) leeway_s: f64,
}

impl Rules {
    /// Whose it is. Its signature was checked.
    pub(crate) fn judge(&self, token: &Token<'_>, now_s: f64) -> Result<VerifiedToken, Fault> {
        let claims = Members::read("payload", token.payload)?;
        let time = |name| claims.get(name).map(|value| time(name, value)).transpose();
        let exp = time("exp")?.ok_or(Fault::Missing("exp"))?;
        // RFC 7519 wants now to be before it, to the very second.
        if exp + self.leeway_s <= now_s {
            return Err(Fault::Expired);
        }
        if time("nbf")?.is_some_and(|nbf| nbf > now_s + self.leeway_s) {
            return Err(Fault::NotYet);
        }
        if !self.issuer.is_empty() && claims.get("iss").ok_or(Fault::Missing("iss"))? != self.issuer.as_str() {
            return Err(Fault::Issuer);
        }
        if !self.audience.is_empty() {
            let is_this = |text: &Value| text == self.audience.as_str();
            let is_for_this = match claims.get("aud").ok_or(Fault::Missing("aud"))? {
                Value::Array(all) => all.iter().all(Value::is_string) && all.iter().any(is_this),
                one => is_this(one),
            };
            if !is_for_this {
                return Err(Fault::Audience);
            }
        }
        let sub = claims.get("sub").ok_or(Fault::Missing("sub"))?;
        let sub = sub.as_str().ok_or_else(|| Fault::User("is no text".into()))?;
        let user = sub.parse().map_err(|error: <UserId as std::str::FromStr>::Err| Fault::User(error.to_string()))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive; saturates")]
        let expires_in_s = (exp + self.leeway_s - now_s) as u64;
        Ok(VerifiedToken { user, expires_in_s })
    }
}

fn time(name: &'static str, value: &Value) -> Result<f64, Fault> {
    // A NaN is in no range.
    value.as_f64().filter(|seconds| TIMES_S.contains(seconds)).ok_or(Fault::NoTime(name))
}

/// The members of a JSON object, each once.
struct Members(Vec<(String, Value)>);

impl Members {
    /// Of a part of a token.
    fn read(part: &'static str, encoded: &str) -> Result<Self, Fault> {
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| Fault::Form)?;
        let mut fault = Fault::NoObject(part);
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let members = json.deserialize_map(Once { part, fault: &mut fault });
        match members.and_then(|members| json.end().map(|()| members)) {
            Ok(members) => Ok(Self(members)),
            Err(_) => Err(fault),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// Reads them; what is wrong beyond the form is left in `fault`.
struct Once<'f> {
    part: &'static str,
    fault: &'f mut Fault,
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(String, Value)> = Vec::with_capacity(8);
        while let Some(name) = map.next_key::<String>()? {
            if members.iter().any(|(known, _)| *known == name) {
                *self.fault = Fault::Twice(self.part);
                return Err(A::Error::custom("twice"));
            }
            if members.len() == MEMBERS_MAX {
                *self.fault = Fault::TooManyMembers(self.part);
                return Err(A::Error::custom("too many"));
            }
            let value = map.next_value().inspect_err(|_| {
                // Not even a number: one beyond all that there are, or what is none in JSON.
                if let Some(time) = ["exp", "nbf"].into_iter().find(|time| *time == name) {
                    *self.fault = Fault::NoTime(time);
                }
            })?;
            members.push((name, value));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: f64 = 1_800_000_000.0;

    fn encoded(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    fn header(header: &str) -> Result<(), Fault> {
        Token::read(&encoded(header, "{}"), 16_384).map(drop)
    }

    fn judged(audience: &str, issuer: &str, claims: &str) -> Result<String, Fault> {
        let text = encoded(r#"{"alg":"HS256"}"#, claims);
        let rules = Rules { audience: audience.into(), issuer: issuer.into(), leeway_s: 0.0 };
        rules.judge(&Token::read(&text, 16_384)?, NOW_S).map(|known| known.user.to_string())
    }

    #[test]
    fn a_header_that_has_to_be_understood_and_is_not_is_refused() {
        for good in [
            r#"{"alg":"HS256"}"#,
            r#"{"typ":"JWT","alg":"RS256","kid":"a"}"#,
            r#"{"typ":"at+jwt","alg":"ES256","kid":"a","x":{"y":[1]}}"#,
            r#"{"typ":"application/JWT","alg":"EdDSA","kid":"","b64":true}"#,
            r#"{"alg":"HS256","jku":7,"x5c":"abc","jwk":null}"#,
        ] {
            assert_eq!(header(good), Ok(()), "{good}");
        }
        for (bad, fault) in [
            (r#"{"alg":"HS256","crit":["foo"],"foo":1}"#, Fault::Crit),
            (r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, Fault::Crit),
            (r#"{"alg":"HS256","crit":["alg"]}"#, Fault::Crit),
            (r#"{"alg":"HS256","crit":[]}"#, Fault::Crit),
            (r#"{"alg":"HS256","crit":"exp"}"#, Fault::Crit),
            (r#"{"alg":"HS256","crit":null}"#, Fault::Crit),
            (r#"{"alg":"HS256","b64":false}"#, Fault::Unencoded),
            (r#"{"alg":"HS256","b64":"false"}"#, Fault::Unencoded),
            (r#"{"alg":"none"}"#, Fault::Algorithm),
            (r#"{"alg":"None"}"#, Fault::Algorithm),
            (r#"{"alg":"hs256"}"#, Fault::Algorithm),
            (r#"{"alg":"HS512"}"#, Fault::Algorithm),
            (r#"{"alg":["HS256"]}"#, Fault::Algorithm),
            (r#"{"kid":"a"}"#, Fault::Algorithm),
            (r#"{"alg":"HS256","typ":"logout+jwt"}"#, Fault::Type),
            (r#"{"alg":"HS256","typ":7}"#, Fault::Type),
            (r#"{"alg":"HS256","kid":7}"#, Fault::KidKind),
            (r#"{"alg":"HS256","kid":null}"#, Fault::KidKind),
            (r#"{"alg":"HS256","kid":["a"]}"#, Fault::KidKind),
            (r#"{"alg":"HS256","alg":"HS256"}"#, Fault::Twice("header")),
            (r#"{"alg":"RS256","kid":"a","x":1,"x":2}"#, Fault::Twice("header")),
            (r#"{"alg":"HS256","\u0061lg":"none"}"#, Fault::Twice("header")),
            (r#"["HS256"]"#, Fault::NoObject("header")),
            (r#"{"alg":"HS256"}{}"#, Fault::NoObject("header")),
            (r#"{"alg":"HS256""#, Fault::NoObject("header")),
            ("", Fault::NoObject("header")),
        ] {
            assert_eq!(header(bad), Err(fault), "{bad}");
        }
        let many: Vec<String> = (0..=MEMBERS_MAX).map(|n| format!("\"m{n}\":1")).collect();
        assert_eq!(header(&format!("{{{}}}", many.join(","))), Err(Fault::TooManyMembers("header")));
        for bad in ["", ".", "a", "a.b", "..", "a.b.c.d", "e30.e30", "e30=.e30.", "é.é.é"] {
            assert!(Token::read(bad, 16_384).is_err(), "{bad}");
        }
        assert_eq!(Token::read(&"a".repeat(16_385), 16_384).err(), Some(Fault::TooLong));
    }

    #[test]
    fn odd_times_are_named_for_what_they_are() {
        let exp = |value: &str| judged("", "", &format!(r#"{{"sub":"alice","exp":{value}}}"#));
        let nbf = |value: &str| judged("", "", &format!(r#"{{"sub":"alice","exp":1800000060,"nbf":{value}}}"#));
        for good in ["1800000001", "1.8000000005e9", "1800000000.5", "253402300799"] {
            assert_eq!(exp(good).as_deref(), Ok("alice"), "{good}");
        }
        for past in ["1800000000", "-1", "0", "-0.5", "1.7e9", "-62135596800"] {
            assert_eq!(exp(past), Err(Fault::Expired), "{past}");
        }
        for odd in [
            "1.7e26",
            "1e308",
            "1e999",
            "-1e999",
            "-1e20",
            "1800000000000",
            "\"1800000060\"",
            "\"\"",
            "null",
            "true",
            "[1800000060]",
            "{\"s\":1800000060}",
            "NaN",
            "Infinity",
            "18446744073709551615",
            "99999999999999999999999999",
        ] {
            assert_eq!(exp(odd), Err(Fault::NoTime("exp")), "{odd}");
            assert_eq!(nbf(odd), Err(Fault::NoTime("nbf")), "{odd}");
        }
        assert_eq!(judged("", "", r#"{"sub":"alice"}"#), Err(Fault::Missing("exp")));
        for good in ["1800000000", "-1", "1.7e9"] {
            assert_eq!(nbf(good).as_deref(), Ok("alice"), "{good}");
        }
        assert_eq!(nbf("1800000001"), Err(Fault::NotYet));
        let words = |fault: Fault| fault.to_string();
        assert!(words(Fault::NoTime("exp")).starts_with("exp is no time") && words(Fault::Expired).contains("expired"));
    }

    #[test]
    fn whom_it_is_for_and_from_is_compared_where_that_is_set() {
        let of = |audience, issuer, more: &str| {
            judged(audience, issuer, &format!(r#"{{"sub":"alice","exp":1800000060{more}}}"#))
        };
        for more in ["", r#","aud":"x","iss":"y""#, r#","aud":7,"iss":[]"#] {
            assert_eq!(of("", "", more).as_deref(), Ok("alice"), "{more}");
        }
        for good in [r#","aud":"onrush""#, r#","aud":["x","onrush"]"#] {
            assert_eq!(of("onrush", "", good).as_deref(), Ok("alice"), "{good}");
        }
        for bad in [
            r#""another-service""#,
            r#""onrush ""#,
            r#""Onrush""#,
            r#""""#,
            "[]",
            r#"["x"]"#,
            r#"["onrush",7]"#,
            "7",
            "null",
            r#"{"onrush":1}"#,
            r#"[["onrush"]]"#,
        ] {
            assert_eq!(of("onrush", "", &format!(",\"aud\":{bad}")), Err(Fault::Audience), "{bad}");
        }
        assert_eq!(of("onrush", "", ""), Err(Fault::Missing("aud")));
        let issuer = "https://id.example";
        assert_eq!(of("", issuer, r#","iss":"https://id.example""#).as_deref(), Ok("alice"));
        for bad in [r#""https://other.example""#, r#""https://id.example/""#, r#"["https://id.example"]"#, "null"] {
            assert_eq!(of("", issuer, &format!(",\"iss\":{bad}")), Err(Fault::Issuer), "{bad}");
        }
        assert_eq!(of("", issuer, ""), Err(Fault::Missing("iss")));
    }

    #[test]
    fn claims_are_an_object_with_a_user_and_each_member_once() {
        for (claims, fault) in [
            (r#"{"sub":"alice","sub":"bob","exp":1800000060}"#, Fault::Twice("payload")),
            (r#"{"sub":"alice","exp":1,"exp":1800000060}"#, Fault::Twice("payload")),
            (r#"{"sub":"alice","exp":1800000060,"role":1,"role":2}"#, Fault::Twice("payload")),
            (r#"{"exp":1800000060}"#, Fault::Missing("sub")),
            (r#"["sub"]"#, Fault::NoObject("payload")),
            ("alice", Fault::NoObject("payload")),
        ] {
            assert_eq!(judged("", "", claims), Err(fault), "{claims}");
        }
        for sub in ["7", "null", "\"\"", "\"a\\u0000\"", "[\"alice\"]"] {
            let claims = format!(r#"{{"sub":{sub},"exp":1800000060}}"#);
            assert!(matches!(judged("", "", &claims), Err(Fault::User(_))), "{sub}");
        }
        // What is inside of another member is that member's.
        assert!(judged("", "", r#"{"sub":"alice","exp":1800000060,"x":{"a":1,"a":2}}"#).is_ok());
    }
}

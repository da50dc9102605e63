//! Passes: what is signed is good for its user and campaign until its time, and nothing else is.

use jsonwebtoken::EncodingKey;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::keys::samples::keys;
use super::*;

const NOW: Millis = Millis(1_800_000_000_000);

fn passes() -> Passes {
    Passes::new(&keys("1", "", &[]), 100)
}

fn campaign(id: &str) -> CampaignId {
    id.parse().unwrap()
}

fn user(id: &str) -> UserId {
    id.parse().unwrap()
}

fn sample() -> Pass {
    Pass {
        campaign: campaign("WELCOME_001"),
        user: user("alice"),
        generation: 2,
        life: 3,
        number: 1_201,
        expires_at: Millis(NOW.0 + 600_001),
    }
}

fn admission(pass: &Pass) -> Admission {
    let Pass { generation, life, number, expires_at, .. } = *pass;
    Admission { generation, number, life, expires_s: expires_s(expires_at) }
}

fn check(passes: &Passes, text: &str) -> Result<Admission, PassError> {
    passes.check(text, &campaign("WELCOME_001"), &user("alice"))
}

/// A token with this header and these claims, and a signature over both by `sign`.
fn token(header: &Value, claims: &Value, sign: impl FnOnce(&str) -> String) -> String {
    use base64::Engine;
    let part = |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = sign(&message);
    format!("{message}.{signature}")
}

fn claims() -> Value {
    json!({ "iss": "onrush", "aud": "WELCOME_001", "sub": "alice", "jti": "2.1201", "exp": NOW.0 / 1_000 + 60 })
}

fn ed25519(message: &str) -> String {
    jsonwebtoken::crypto::sign(message.as_bytes(), keys("1", "", &[]).signing(), Algorithm::EdDSA).unwrap()
}

fn hmac_with(secret: &[u8]) -> impl FnOnce(&str) -> String {
    let key = EncodingKey::from_secret(secret);
    move |message| jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap()
}

proptest! {
    #[test]
    fn a_pass_says_what_it_was_signed_for(
        campaign in "[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}", user in "[a-z가-힣 .\"\\\\]{1,40}",
        generation: u32, life: u32, number: u64, rest_ms in 1_i64..100_000_000,
    ) {
        let pass = Pass {
            campaign: campaign.parse().unwrap(),
            user: UserId::recorded(&user).unwrap(),
            generation,
            life,
            number,
            expires_at: Millis(NOW.0 + rest_ms),
        };
        let passes = passes();
        let text = passes.sign(&pass);
        prop_assert_eq!(passes.check(&text, &pass.campaign, &pass.user), Ok(admission(&pass)));
        prop_assert_eq!(passes.sign(&pass), text, "shown again it is the same");
    }

    #[test]
    fn one_flipped_bit_makes_it_not_valid(at: prop::sample::Index, bit in 0_u32..8) {
        let passes = passes();
        let text = passes.sign(&sample());
        prop_assert!(check(&passes, &text).is_ok());
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(text) = String::from_utf8(bytes) {
            prop_assert_eq!(check(&passes, &text), Err(PassError::NotValid));
        }
    }
}

#[test]
fn the_claims_are_those_that_a_shop_reads() {
    let text = passes().sign(&sample());
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(keys("1", "", &[]).jwks()).unwrap();
    let kid = jsonwebtoken::decode_header(&text).unwrap().kid.unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(set.find(&kid).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&["WELCOME_001"]);
    validation.set_issuer(&["onrush"]);
    // The library's own clock is not the test's.
    validation.validate_exp = false;
    let shown = jsonwebtoken::decode::<Value>(&text, &key, &validation).unwrap().claims;
    let exp = NOW.0 / 1_000 + 601;
    let expected =
        json!({ "iss": "onrush", "aud": "WELCOME_001", "sub": "alice", "jti": "2.1201", "exp": exp, "life": 3 });
    assert_eq!(shown, expected);
}

#[test]
fn each_fault_of_a_good_signature_is_told_apart_fresh_and_remembered() {
    let passes = passes();
    let text = passes.sign(&sample());
    for _ in ["fresh", "remembered"] {
        let check = |on: &str, by: &str| passes.check(&text, &campaign(on), &user(by));
        assert_eq!(check("WELCOME_001", "bob"), Err(PassError::OtherUser));
        assert_eq!(check("WELCOME_002", "alice"), Err(PassError::OtherCampaign));
        assert_eq!(check("WELCOME_001", "alice"), Ok(admission(&sample())));
        assert_eq!(check("WELCOME_002", "bob"), Err(PassError::OtherUser), "a stranger hears no more");
    }
}

/// Whether a pass is over is for Redis to say: long after its time, by any node's clock, it is still this admission's.
#[test]
fn no_clock_of_a_node_decides_on_a_pass_and_its_deadline_is_rounded_up_to_a_second() {
    assert_eq!([0, 1, 999, 1_000, 1_001].map(|ms| expires_s(Millis(ms))), [0, 1, 1, 1, 2]);
    for expires_at in [Millis(1_001), Millis(NOW.0 + 600_001), Millis(i64::MAX / 2)] {
        let pass = Pass { expires_at, ..sample() };
        let found = check(&passes(), &passes().sign(&pass)).unwrap();
        assert_eq!(found.expires_s, expires_s(expires_at));
    }
}

/// As nodes signed it that knew of no lives.
#[test]
fn a_pass_that_says_no_life_is_of_any() {
    let header = json!({ "typ": "JWT", "alg": "EdDSA", "kid": "1" });
    let found = check(&passes(), &token(&header, &claims(), ed25519)).unwrap();
    assert_eq!((found.generation, found.number, found.life), (2, 1_201, 0));
    let without = passes().sign(&Pass { life: 0, ..sample() });
    assert!(check(&passes(), &without).is_ok_and(|found| found.life == 0));
    assert!(without.len() < passes().sign(&sample()).len(), "and none is written");
}

#[test]
fn what_did_not_verify_is_not_remembered() {
    let passes = passes();
    let text = passes.sign(&sample());
    let forged = text.replacen('.', "..", 1);
    assert_eq!(check(&passes, &forged), Err(PassError::NotValid));
    assert!(passes.verified.get(forged.as_str()).is_none());
    assert!(check(&passes, &text).is_ok());
    assert!(passes.verified.get(text.as_str()).is_some());
    assert_eq!(check(&passes, &forged), Err(PassError::NotValid));
}

#[test]
fn no_more_passes_are_remembered_than_is_set() {
    let passes = Passes::new(&keys("1", "", &[]), 3);
    for number in 0..20 {
        let text = passes.sign(&Pass { number, ..sample() });
        assert!(check(&passes, &text).is_ok());
    }
    assert!(passes.verified.count() <= 3, "{}", passes.verified.count());
}

#[test]
fn only_our_algorithm_counts_whatever_the_header_says() {
    let passes = passes();
    let header = |alg: &str| json!({ "typ": "JWT", "alg": alg, "kid": "1" });
    assert!(check(&passes, &token(&header("EdDSA"), &claims(), ed25519)).is_ok(), "this way one can be made");
    let public: Value = serde_json::from_str(keys("1", "", &[]).jwks()).unwrap();
    let public = public["keys"][0]["x"].as_str().unwrap();
    let raw = {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(public).unwrap()
    };
    for (what, forged) in [
        ("no signature", token(&header("none"), &claims(), |_| String::new())),
        ("no signature, EdDSA", token(&header("EdDSA"), &claims(), |_| String::new())),
        ("none with ours", token(&header("none"), &claims(), ed25519)),
        ("the public key as secret", token(&header("HS256"), &claims(), hmac_with(&raw))),
        ("its text as secret", token(&header("HS256"), &claims(), hmac_with(public.as_bytes()))),
        ("the same as EdDSA", token(&header("EdDSA"), &claims(), hmac_with(&raw))),
        ("another's signature", Passes::new(&keys("1", &"0b".repeat(32), &[]), 1).sign(&sample())),
    ] {
        assert_eq!(check(&passes, &forged), Err(PassError::NotValid), "{what}");
    }
}

#[test]
fn ours_are_from_us_and_whole_and_name_their_key() {
    let passes = passes();
    let header = json!({ "typ": "JWT", "alg": "EdDSA", "kid": "1" });
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        check(&passes, &token(&header, &claims, ed25519))
    };
    assert!(with("more", json!(1)).is_ok());
    for (name, value) in [
        ("iss", json!("another")),
        ("iss", json!(null)),
        ("aud", json!(7)),
        ("sub", json!(null)),
        ("exp", json!("soon")),
        ("jti", json!("2")),
        ("jti", json!("2.x")),
        ("jti", json!("-1.5")),
    ] {
        assert_eq!(with(name, value), Err(PassError::NotValid), "{name}");
    }
    for header in [json!({ "alg": "EdDSA" }), json!({ "alg": "EdDSA", "kid": "9" }), json!({ "kid": "1" })] {
        assert_eq!(check(&passes, &token(&header, &claims(), ed25519)), Err(PassError::NotValid), "{header}");
    }
}

#[test]
fn a_pass_of_an_older_key_is_good_and_none_is_signed_with_it() {
    let text = passes().sign(&sample());
    let rotated = Passes::new(&keys("2", &"0b".repeat(32), &[("1", "")]), 10);
    assert_eq!(check(&rotated, &text), Ok(admission(&sample())));
    let new = rotated.sign(&sample());
    assert_eq!(jsonwebtoken::decode_header(&new).unwrap().kid.as_deref(), Some("2"));
    assert_eq!(check(&rotated, &new), Ok(admission(&sample())));
    assert_eq!(check(&passes(), &new), Err(PassError::NotValid), "a key that is not known");
    let without = Passes::new(&keys("2", &"0b".repeat(32), &[]), 10);
    assert_eq!(check(&without, &text), Err(PassError::NotValid), "a key that is gone");
}

#[test]
fn a_long_text_is_not_even_looked_at() {
    let passes = passes();
    let header = json!({ "typ": "JWT", "alg": "EdDSA", "kid": "1" });
    let mut long = claims();
    long["more"] = json!("x".repeat(2_000));
    assert_eq!(check(&passes, &token(&header, &long, ed25519)), Err(PassError::NotValid), "however well it is signed");
    for bad in ["", ".", "..", "a.b.c", "쿠폰", &"A".repeat(1 << 20)] {
        assert_eq!(check(&passes, bad), Err(PassError::NotValid));
    }
    let longest = Pass { campaign: campaign(&"c".repeat(64)), user: user(&"\"".repeat(128)), ..sample() };
    let text = passes.sign(&longest);
    assert_eq!(passes.check(&text, &longest.campaign, &longest.user), Ok(admission(&longest)), "{}", text.len());
}

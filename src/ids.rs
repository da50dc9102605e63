//! Who and what is meant? The identifiers that travel through every room, parsed once at the edge.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::text::{self, Lines};

/// Why a text is no identifier. The text is fit for an answer to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidId {
    /// Not `[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}`.
    #[error("must be 1 to 64 of A-Z a-z 0-9 . _ : @ - and begin with a letter or digit")]
    Campaign,
    /// Not 1 to 128 bytes that others may be shown.
    #[error("must be 1 to 128 bytes of UTF-8, not blank, without characters that control or turn the text around them")]
    User,
    /// Not `<campaign id>.<generation>.<number>`.
    #[error("must be <campaign id>.<generation>.<number>")]
    Claim,
    /// Not 1 to 255 visible ASCII characters.
    #[error("must be 1 to 255 visible ASCII characters")]
    IdempotencyKey,
}

/// A campaign's id: `[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CampaignId(Arc<str>);

impl CampaignId {
    /// The longest id, in bytes.
    pub const BYTES_MAX: usize = 64;

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CampaignId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let reads_well = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:@-".contains(&b));
        if starts_well && reads_well && text.len() <= Self::BYTES_MAX {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId::Campaign)
        }
    }
}

/// A user's id: 1 to 128 bytes of UTF-8 that others may be shown, see [`text`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    /// The longest id, in bytes.
    pub const BYTES_MAX: usize = 128;

    /// One that was taken before: by a rule that may have asked for less than today's.
    #[must_use]
    pub fn recorded(text: &str) -> Option<Self> {
        let was_taken = (1..=Self::BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        was_taken.then(|| Self(text.into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() <= Self::BYTES_MAX && text::check(text, Lines::One).is_ok() {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId::User)
        }
    }
}

macro_rules! text_id {
    ($($id:ident),+) => { $(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )+ };
}
text_id!(CampaignId, UserId);

impl Serialize for CampaignId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CampaignId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A claim's name for ever: the campaign, the generation in which it was given, and its number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClaimId {
    /// The campaign whose unit it is.
    pub campaign: CampaignId,
    /// The campaign's generation when the claim was given.
    pub generation: u32,
    /// The claim's number, from 1.
    pub number: u64,
}

impl ClaimId {
    /// The longest generation that is read: all that there can be, and few enough digits for a pattern to say it.
    pub const GENERATION_DIGITS_MAX: usize = 9;
    /// The longest number that is read.
    pub const NUMBER_DIGITS_MAX: usize = 18;
}

impl fmt::Display for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.campaign, self.generation, self.number)
    }
}

impl Serialize for ClaimId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl FromStr for ClaimId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        // From the right: a campaign's id may have dots itself.
        let mut parts = text.rsplitn(3, '.');
        let mut next = || parts.next().ok_or(InvalidId::Claim);
        let (number, generation, campaign) = (next()?, next()?, next()?);
        Ok(Self {
            campaign: campaign.parse().map_err(|_| InvalidId::Claim)?,
            generation: counting_number(generation, Self::GENERATION_DIGITS_MAX).ok_or(InvalidId::Claim)?,
            number: counting_number(number, Self::NUMBER_DIGITS_MAX).ok_or(InvalidId::Claim)?,
        })
    }
}

/// One spelling for one number: no sign, no leading zero, and not 0.
fn counting_number<N: FromStr>(text: &str, digits_max: usize) -> Option<N> {
    let canonical = text.len() <= digits_max && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    canonical.then(|| text.parse().ok()).flatten()
}

/// Names one attempt of a user to claim, so that the same attempt never takes two units: the hash of the
/// Idempotency-Key, or 128 random bits where there is none. 22 characters of base64url.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttemptId {
    text: String,
    of_key: bool,
}

impl AttemptId {
    /// An attempt that nobody can repeat but the client library that resends it.
    #[must_use]
    pub fn random() -> Self {
        Self { text: Self::text_of(rand::random()), of_key: false }
    }

    /// The attempt that this key names. A user and a campaign have their own: the record that it is kept in is theirs.
    #[must_use]
    pub fn of_key(key: &IdempotencyKey) -> Self {
        let digest = Sha256::digest(key.0.as_bytes());
        let mut bits = [0; 16];
        bits.copy_from_slice(&digest[..16]);
        Self { text: Self::text_of(bits), of_key: true }
    }

    fn text_of(bits: [u8; 16]) -> String {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bits)
    }

    /// Whether it has a key: then it may be the repetition of one that was granted.
    #[must_use]
    pub fn may_be_repeated(&self) -> bool {
        self.of_key
    }

    /// The id as text, free of `:` and `,`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// A client's name for one attempt, so that it may repeat it without fear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl FromStr for IdempotencyKey {
    type Err = InvalidId;

    /// `"k"` is `k`: the header's draft standard quotes the key, most clients do not.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let key = quoted.unwrap_or(text);
        if (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(key.to_owned()))
        } else {
            Err(InvalidId::IdempotencyKey)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn campaign_ids_have_a_first_letter_a_small_alphabet_and_64_bytes() {
        for good in ["a", "9", "WELCOME_001", "a.b:c@d-e", &"x".repeat(64)] {
            assert!(good.parse::<CampaignId>().is_ok(), "{good}");
        }
        for bad in ["", ".a", "_a", "a b", "a/b", "a{b}", "쿠폰", "a\n", &"x".repeat(65)] {
            assert!(bad.parse::<CampaignId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn user_ids_are_bytes_counted_and_free_of_control_characters() {
        assert!("민지".parse::<UserId>().is_ok());
        assert!("x".repeat(128).parse::<UserId>().is_ok());
        for bad in ["", "a\u{1f}b", "a\0", "a\u{85}", &"x".repeat(129), &"쿠".repeat(43)] {
            assert!(bad.parse::<UserId>().is_err() && UserId::recorded(bad).is_none(), "{bad:?}");
        }
        for bad in [" ", "\u{200b}", "ecila\u{202e}", "\u{2066}alice", "\u{200f}"] {
            assert!(bad.parse::<UserId>().is_err(), "{bad:?}");
            assert_eq!(UserId::recorded(bad).unwrap().as_str(), bad, "who had it keeps it");
        }
    }

    #[test]
    fn claim_ids_are_read_from_the_right_and_have_one_spelling() {
        let id: ClaimId = "v1.2.3.4".parse().unwrap();
        assert_eq!((id.campaign.as_str(), id.generation, id.number), ("v1.2", 3, 4));
        assert_eq!(id.to_string(), "v1.2.3.4");
        for bad in ["", "a", "a.1", "a.0.1", "a.1.0", "a.01.1", "a.1.+1", "a.1.-1", ".1.1", "a.1.99999999999999999999"]
        {
            assert!(bad.parse::<ClaimId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_quoted_key_is_the_same_key() {
        let attempt = |text: &str| AttemptId::of_key(&text.parse().unwrap());
        assert_eq!(attempt("\"k\""), attempt("k"));
        assert_ne!(attempt("k"), attempt("K"));
        for bad in ["", "\"\"", "a b", "ä", &"k".repeat(256)] {
            assert!(bad.parse::<IdempotencyKey>().is_err(), "{bad}");
        }
    }
}

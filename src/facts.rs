//! What happened? A fact is what a script decided, written by that script; it is all that rooms tell each other.
//!
//! It has two forms: a line of an outbox entry, as the Lua prelude writes it, and JSON in Kafka. What cannot be read of the
//! first goes as it is: see [`RawEntry`]. What Redis keeps of claims besides is written and read here, too: see `records`.

mod raw;
mod records;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::{CampaignId, UserId};
pub use raw::{EntryParts, RawEntry, Unreadable};
pub use records::{
    ClaimRecord, ClaimState, EntryHead, GENERATION_MAX, Held, HolderRecord, NUMBER_MAX, RECORD_SEPARATOR,
    RedemptionRecord, read_entry, write_entry,
};

/// The version of both forms. A reader refuses a version that it does not know.
pub const SCHEMA_VERSION: u32 = 1;

/// What a fact says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The campaign was put into Redis for the first time; the change is its stock.
    Created,
    /// A unit was given to a user.
    Claimed,
    /// A claim was returned, and its unit is free again.
    GivenBack,
    /// A claim's coupon was used.
    Redeemed,
    /// An operator has undone that.
    Unredeemed,
    /// An attempt of a user has claimed nothing and never will.
    Cancelled,
    /// Units were added.
    StockRaised,
    /// Units were taken away, before the campaign opened.
    StockLowered,
    /// The campaign was lost in Redis and begins its next generation; the change is what the recorded ones do not sum
    /// up to.
    Rebuilt,
}

impl Kind {
    /// The word for it in both forms and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Claimed => "claimed",
            Self::GivenBack => "given_back",
            Self::Redeemed => "redeemed",
            Self::Unredeemed => "unredeemed",
            Self::Cancelled => "cancelled",
            Self::StockRaised => "stock_raised",
            Self::StockLowered => "stock_lowered",
            Self::Rebuilt => "rebuilt",
        }
    }

    /// Whether a fact of this kind is about a claim.
    #[must_use]
    pub fn is_about_a_claim(self) -> bool {
        match self {
            Self::Claimed | Self::GivenBack | Self::Redeemed | Self::Unredeemed => true,
            Self::Created | Self::StockRaised | Self::StockLowered | Self::Rebuilt | Self::Cancelled => false,
        }
    }

    /// Whether a fact of this kind is about a user: about a claim, or an attempt without one. The others are about the stock
    /// as a whole.
    #[must_use]
    pub fn is_about_a_user(self) -> bool {
        self.is_about_a_claim() || self == Self::Cancelled
    }

    /// Whether it says that a coupon was used, or not after all: the last of them is so.
    #[must_use]
    pub fn is_about_a_redemption(self) -> bool {
        matches!(self, Self::Redeemed | Self::Unredeemed)
    }

    fn of(word: &str) -> Option<Self> {
        [
            Self::Created,
            Self::Claimed,
            Self::GivenBack,
            Self::Redeemed,
            Self::Unredeemed,
            Self::Cancelled,
            Self::StockRaised,
            Self::StockLowered,
            Self::Rebuilt,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == word)
    }
}

/// The claim that a fact is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactClaim {
    /// The claim's number, from 1; 0: the attempt has none.
    pub number: u64,
    /// The generation in which the claim was given, not the one in which the fact was written; 0: the attempt has none.
    pub generation: u32,
    /// Whose claim it is.
    pub user: String,
    /// The attempt that made it.
    pub attempt: String,
}

/// One decision, with all that the ledger needs of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// See [`SCHEMA_VERSION`].
    pub v: u32,
    /// The campaign that it is about.
    pub campaign: String,
    /// The campaign's generation when it was written.
    pub generation: u32,
    /// Counts the facts of the campaign's generation, from 1.
    pub fact_no: u64,
    /// What it says.
    pub kind: Kind,
    /// By how many units the campaign's free stock changed.
    pub change: i64,
    /// When it was decided, in milliseconds since 1970, by Redis' clock.
    pub at: i64,
    /// The claim or the attempt that it is about; a change of stock is about none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub claim: Option<FactClaim>,
    /// Why an operator has decided so, where they are asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// Why bytes are no fact. Such bytes are poison: no retry helps.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotAFact {
    /// A version of another program.
    #[error("schema version {0}, known is {SCHEMA_VERSION}")]
    Version(u32),
    /// Not the form that is expected.
    #[error("{0}")]
    Form(String),
}

impl Fact {
    /// Kafka's key. All facts of one user of a campaign are in one partition, in order.
    #[must_use]
    pub fn key(&self) -> String {
        let user = self.claim.as_ref().map_or("", |claim| &claim.user);
        format!("{}:{user}", self.campaign)
    }

    /// Kafka's value.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a fact has no map with keys that are no strings")
    }

    /// Reads Kafka's value.
    pub fn from_json(bytes: &[u8]) -> Result<Self, NotAFact> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let form = |error: serde_json::Error| NotAFact::Form(error.to_string());
        let Version { v } = serde_json::from_slice(bytes).map_err(form)?;
        if v != SCHEMA_VERSION {
            return Err(NotAFact::Version(v));
        }
        let fact: Self = serde_json::from_slice(bytes).map_err(form)?;
        if fact.campaign.parse::<CampaignId>().is_err() {
            return Err(NotAFact::Form("an id that is none".into()));
        }
        fact.checked()
    }

    /// What it is about fits what it says.
    fn checked(self) -> Result<Self, NotAFact> {
        if self.claim.as_ref().is_some_and(|claim| UserId::recorded(&claim.user).is_none()) {
            return Err(NotAFact::Form("an id that is none".into()));
        }
        let is_of = |number: fn(u64) -> bool| self.claim.as_ref().is_some_and(|claim| number(claim.number));
        let fits = match (self.kind.is_about_a_claim(), self.kind.is_about_a_user()) {
            (true, _) => is_of(|number| number > 0),
            (false, true) => is_of(|number| number == 0),
            (false, false) => self.claim.is_none(),
        };
        if fits { Ok(self) } else { Err(NotAFact::Form(format!("{} with or without a claim", self.kind.as_str()))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_entry_becomes_facts_and_facts_survive_kafka() {
        let head = EntryHead { v: 1, generation: 2, at: 1_700_000_000_000 };
        let text = "7\u{1f}claimed\u{1f}-1\u{1f}42\u{1f}2\u{1f}민지\u{1f}abc\u{1e}8\u{1f}stock_raised\u{1f}5\u{1f}0\u{1f}0\u{1f}\u{1f}";
        let facts = read_entry(&"c".parse().unwrap(), head, text).unwrap();
        assert_eq!(facts.len(), 2);
        assert_eq!((facts[0].fact_no, facts[0].kind, facts[0].change), (7, Kind::Claimed, -1));
        assert_eq!(facts[0].key(), "c:민지");
        assert_eq!((facts[1].kind, facts[1].change, &facts[1].claim), (Kind::StockRaised, 5, &None));
        for fact in facts {
            assert_eq!(Fact::from_json(&fact.to_json()), Ok(fact));
        }
    }

    #[test]
    fn a_cancelled_attempt_has_no_number_and_an_undone_redemption_has_a_reason() {
        let head = EntryHead { v: 1, generation: 2, at: 3 };
        let text = "1\u{1f}cancelled\u{1f}0\u{1f}0\u{1f}0\u{1f}u\u{1f}a\u{1e}2\u{1f}unredeemed\u{1f}0\u{1f}7\u{1f}1\u{1f}u\u{1f}a\u{1f}by mistake";
        let facts = read_entry(&"c".parse().unwrap(), head, text).unwrap();
        let claim = facts[0].claim.as_ref().unwrap();
        assert_eq!(
            (facts[0].kind, claim.number, claim.user.as_str(), claim.attempt.as_str()),
            (Kind::Cancelled, 0, "u", "a")
        );
        assert_eq!((facts[1].kind, facts[1].reason.as_deref()), (Kind::Unredeemed, Some("by mistake")));
        for fact in facts {
            assert_eq!(Fact::from_json(&fact.to_json()), Ok(fact));
        }
    }

    #[test]
    fn what_is_no_fact_says_why() {
        assert_eq!(Fact::from_json(br#"{"v":2}"#), Err(NotAFact::Version(2)));
        assert!(matches!(Fact::from_json(b"{}"), Err(NotAFact::Form(_))));
        assert!(matches!(Fact::from_json(b"\xff"), Err(NotAFact::Form(_))));
        let numberless = br#"{"v":1,"campaign":"c","generation":1,"fact_no":1,"kind":"claimed","change":-1,"at":0,
            "claim":{"number":0,"generation":0,"user":"u","attempt":"a"}}"#;
        assert!(matches!(Fact::from_json(numberless), Err(NotAFact::Form(_))));
        let claimless = br#"{"v":1,"campaign":"c","generation":1,"fact_no":1,"kind":"claimed","change":-1,"at":0}"#;
        assert!(matches!(Fact::from_json(claimless), Err(NotAFact::Form(_))));
        let head = EntryHead { v: 1, generation: 1, at: 0 };
        assert!(read_entry(&"c".parse().unwrap(), head, "1\u{1f}claimed").is_err());
    }
}

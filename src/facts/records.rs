//! How is it written? The text that Redis keeps of claims, of their users and their coupons, and of facts in an outbox.
//!
//! The scripts write these forms: `lua/prelude.lua` lists them. A rebuild writes them again, to the letter, and whoever reads one
//! reads it here. Fields are parted by control characters, which no id may contain.

use std::fmt;

use serde::Serialize;

use super::{Fact, FactClaim, Kind, NotAFact, SCHEMA_VERSION};
use crate::ids::CampaignId;

/// Parts the fields of a record, and of a line in an outbox entry.
const UNIT_SEPARATOR: char = '\u{1f}';
/// Parts lines of an outbox entry, and claims in a reply.
pub const RECORD_SEPARATOR: char = '\u{1e}';

/// The highest generation that a coupon code has room for.
pub const GENERATION_MAX: u32 = 31;
/// The highest number of a claim that a coupon code has room for.
pub const NUMBER_MAX: u64 = 2_147_483_647;

/// Where a claim is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimState {
    /// The user holds a unit.
    Live,
    /// The unit went back into stock.
    GivenBack,
    /// The coupon was used.
    Redeemed,
}

impl ClaimState {
    /// How records spell it.
    #[must_use]
    pub fn letter(self) -> &'static str {
        match self {
            Self::Live => "l",
            Self::GivenBack => "g",
            Self::Redeemed => "r",
        }
    }

    fn of(letter: &str) -> Option<Self> {
        [Self::Live, Self::GivenBack, Self::Redeemed].into_iter().find(|state| state.letter() == letter)
    }

    /// The state that a claim's record tells, whatever else is in it: a newer program may have more to say there.
    #[must_use]
    pub fn of_record(record: &str) -> Option<Self> {
        record.split(UNIT_SEPARATOR).nth(3).and_then(Self::of)
    }
}

/// A claim: `user US claimed_at US attempt US state US generation [US kept]`, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimRecord<'a> {
    /// Whose it is.
    pub user: &'a str,
    /// When it was decided, in milliseconds since 1970, by Redis' clock.
    pub claimed_at: i64,
    /// The attempt that made it.
    pub attempt: &'a str,
    /// Where it is in its life.
    pub state: ClaimState,
    /// The campaign's generation when it was given.
    pub generation: u32,
    /// The letter of the most that may be said of its durability; empty, and not written: memory.
    pub kept: &'a str,
}

impl<'a> ClaimRecord<'a> {
    /// `None`: it is no claim's.
    #[must_use]
    pub fn parse(record: &'a str) -> Option<Self> {
        let mut fields = record.split(UNIT_SEPARATOR);
        let mut next = || fields.next();
        let read = Self {
            user: next()?,
            claimed_at: next()?.parse().ok()?,
            attempt: next()?,
            state: ClaimState::of(next()?)?,
            generation: next()?.parse().ok()?,
            kept: next().unwrap_or_default(),
        };
        next().is_none().then_some(read)
    }

    /// The same with its number before it, as replies carry it.
    #[must_use]
    pub fn parse_numbered(text: &'a str) -> Option<(u64, Self)> {
        let (number, record) = text.split_once(UNIT_SEPARATOR)?;
        Some((number.parse().ok()?, Self::parse(record)?))
    }
}

impl fmt::Display for ClaimRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, claimed_at, attempt, state, generation, kept } = self;
        let (us, state) = (UNIT_SEPARATOR, state.letter());
        write!(f, "{user}{us}{claimed_at}{us}{attempt}{us}{state}{us}{generation}")?;
        if kept.is_empty() { Ok(()) } else { write!(f, "{us}{kept}") }
    }
}

/// What a user's record tells of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held<'a> {
    /// `number:attempt:state`: it made a claim.
    Claim {
        /// The claim's number.
        number: u64,
        /// The attempt.
        attempt: &'a str,
        /// Where the claim is in its life.
        state: ClaimState,
    },
    /// `!attempt`: it made none, and never will.
    Cancelled(&'a str),
}

/// A user, by their id: all of their attempts that were decided, oldest first, parted by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderRecord<'a>(pub Vec<Held<'a>>);

impl<'a> HolderRecord<'a> {
    /// `None`: it is no user's.
    #[must_use]
    pub fn parse(record: &'a str) -> Option<Self> {
        record.split(',').map(Held::parse).collect::<Option<_>>().map(Self)
    }
}

impl<'a> Held<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if let Some(attempt) = text.strip_prefix('!') {
            return Some(Self::Cancelled(attempt));
        }
        let mut parts = text.split(':');
        let (number, attempt, state) = (parts.next()?.parse().ok()?, parts.next()?, ClaimState::of(parts.next()?)?);
        parts.next().is_none().then_some(Self::Claim { number, attempt, state })
    }
}

impl fmt::Display for HolderRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, held) in self.0.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { "," })?;
            match held {
                Held::Claim { number, attempt, state } => write!(f, "{number}:{attempt}:{}", state.letter())?,
                Held::Cancelled(attempt) => write!(f, "!{attempt}")?,
            }
        }
        Ok(())
    }
}

/// A coupon that was used, or is not any more: `redeemed at US calls`, by its claim's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedemptionRecord<'a> {
    /// When it was used, in milliseconds since 1970; `None`, and nothing written: it is not.
    pub used_at: Option<i64>,
    /// The calls that have used it or undone that, oldest first: see `lua/claim/redeem.lua`.
    pub calls: &'a str,
}

impl<'a> RedemptionRecord<'a> {
    /// `None`: it is no coupon's.
    #[must_use]
    pub fn parse(record: &'a str) -> Option<Self> {
        let (used_at, calls) = record.split_once(UNIT_SEPARATOR)?;
        let used_at = if used_at.is_empty() { None } else { Some(used_at.parse().ok()?) };
        Some(Self { used_at, calls })
    }
}

impl fmt::Display for RedemptionRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(used_at) = self.used_at {
            write!(f, "{used_at}")?;
        }
        write!(f, "{UNIT_SEPARATOR}{}", self.calls)
    }
}

/// The fields that all facts of one outbox entry share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryHead {
    /// Schema version, field `v`.
    pub v: u32,
    /// Field `g`.
    pub generation: u32,
    /// Milliseconds since 1970, field `at`.
    pub at: i64,
}

impl EntryHead {
    /// Reads it from an entry's fields, each by its name; what is wrong is made an error by its name.
    pub(super) fn read<'a>(
        field: impl Fn(&str) -> Option<&'a str>,
        bad: impl Fn(&str) -> NotAFact,
    ) -> Result<Self, NotAFact> {
        let number = |name: &str| -> Result<i64, NotAFact> {
            field(name).and_then(|text| text.parse().ok()).ok_or_else(|| bad(name))
        };
        let v = u32::try_from(number("v")?).map_err(|_| bad("v"))?;
        if v != SCHEMA_VERSION {
            return Err(NotAFact::Version(v));
        }
        let generation = u32::try_from(number("g")?).map_err(|_| bad("g"))?;
        Ok(Self { v, generation, at: number("at")? })
    }
}

/// Reads field `f` of an outbox entry: the facts of one script call, in the order of decision.
pub fn read_entry(campaign: &CampaignId, head: EntryHead, facts: &str) -> Result<Vec<Fact>, NotAFact> {
    if head.v != SCHEMA_VERSION {
        return Err(NotAFact::Version(head.v));
    }
    facts.split(RECORD_SEPARATOR).map(|line| read_line(campaign, head, line)).collect()
}

/// An outbox entry of these facts: its fields and their names, in order.
#[must_use]
pub fn write_entry(head: EntryHead, facts: &[Fact]) -> [(&'static str, String); 5] {
    let lines: Vec<String> = facts.iter().map(write_line).collect();
    [
        ("v", head.v.to_string()),
        ("g", head.generation.to_string()),
        ("at", head.at.to_string()),
        ("n", facts.len().to_string()),
        ("f", lines.join(RECORD_SEPARATOR.encode_utf8(&mut [0; 4]))),
    ]
}

/// Reads `fact_no US kind US change US number US the claim's generation US user US attempt [US reason]`.
pub(super) fn read_line(campaign: &CampaignId, head: EntryHead, line: &str) -> Result<Fact, NotAFact> {
    let bad = || NotAFact::Form(format!("outbox line {line:?}"));
    let fields: Vec<&str> = line.split(UNIT_SEPARATOR).collect();
    let (fields, reason) = match fields[..] {
        [.., reason] if fields.len() == 8 => (&fields[..7], Some(reason.to_owned())),
        _ => (&fields[..], None),
    };
    let [fact_no, kind, change, number, generation, user, attempt] = fields[..] else { return Err(bad()) };
    let claim = (!user.is_empty()).then(|| {
        Ok(FactClaim {
            number: number.parse().map_err(|_| bad())?,
            generation: generation.parse().map_err(|_| bad())?,
            user: user.to_owned(),
            attempt: attempt.to_owned(),
        })
    });
    let fact = Fact {
        v: head.v,
        campaign: campaign.as_str().to_owned(),
        generation: head.generation,
        fact_no: fact_no.parse().map_err(|_| bad())?,
        kind: Kind::of(kind).ok_or_else(bad)?,
        change: change.parse().map_err(|_| bad())?,
        at: head.at,
        claim: claim.transpose()?,
        reason,
    };
    fact.checked()
}

fn write_line(fact: &Fact) -> String {
    let Fact { fact_no, kind, change, claim, reason, .. } = fact;
    let (us, kind) = (UNIT_SEPARATOR, kind.as_str());
    let (number, generation, user, attempt) = match claim {
        Some(claim) => (claim.number, claim.generation, claim.user.as_str(), claim.attempt.as_str()),
        None => (0, 0, "", ""),
    };
    let mut line = format!("{fact_no}{us}{kind}{us}{change}{us}{number}{us}{generation}{us}{user}{us}{attempt}");
    if let Some(reason) = reason {
        line.push(us);
        line.push_str(reason);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_written_as_they_were_read() {
        for record in ["민지\u{1f}1700\u{1f}a\u{1f}l\u{1f}1", "u\u{1f}-1\u{1f}a\u{1f}g\u{1f}31\u{1f}r"] {
            assert_eq!(ClaimRecord::parse(record).unwrap().to_string(), record);
        }
        for record in ["1:a:l", "!b,12:a:g,!c,13:d:r"] {
            assert_eq!(HolderRecord::parse(record).unwrap().to_string(), record);
        }
        for record in ["1700\u{1f}", "\u{1f}ra,ub", "1700\u{1f}ra"] {
            assert_eq!(RedemptionRecord::parse(record).unwrap().to_string(), record);
        }
    }

    #[test]
    fn what_is_no_record_is_not_read_as_one() {
        for record in ["", "u\u{1f}1\u{1f}a\u{1f}l", "u\u{1f}x\u{1f}a\u{1f}l\u{1f}1", "u\u{1f}1\u{1f}a\u{1f}x\u{1f}1"] {
            assert_eq!(ClaimRecord::parse(record), None, "{record:?}");
        }
        let newer = "u\u{1f}1\u{1f}a\u{1f}g\u{1f}1\u{1f}r\u{1f}more";
        assert_eq!((ClaimRecord::parse(newer), ClaimState::of_record(newer)), (None, Some(ClaimState::GivenBack)));
        assert!(["", "1:a", "1:a:x", "x:a:l", "1:a:l,"].iter().all(|record| HolderRecord::parse(record).is_none()));
        assert!(["", "x\u{1f}"].iter().all(|record| RedemptionRecord::parse(record).is_none()));
    }
}

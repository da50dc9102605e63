//! What cannot be read of an outbox entry, kept as it is.
//!
//! A line that cannot be read stops that line and not its neighbours; an entry of another form stops that entry. Either is
//! published among the dead letters in one form: the entry's fields, of one line `f` with that line alone. So a program that
//! can read it, a newer one perhaps, makes facts of it when it is sent back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::records::{EntryHead, RECORD_SEPARATOR, read_line};
use super::{Fact, NotAFact};
use crate::ids::CampaignId;

/// A text; in base64 where it is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Utf8(String),
    Bytes { base64: String },
}

impl Text {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Utf8(text.to_owned()),
            Err(_) => Self::Bytes { base64: STANDARD.encode(bytes) },
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Utf8(text) => text.clone().into_bytes(),
            Self::Bytes { base64 } => STANDARD.decode(base64).unwrap_or_default(),
        }
    }
}

/// An outbox entry as it was found, in Kafka's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawEntry {
    campaign: String,
    outbox_entry: String,
    fields: Vec<(Text, Text)>,
}

/// What could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Why.
    pub reason: String,
    /// Kafka's value: a [`RawEntry`].
    pub value: Vec<u8>,
}

/// What there is in an outbox entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryParts {
    /// The facts that could be read, in the order of decision.
    pub facts: Vec<Fact>,
    /// What could not.
    pub unreadable: Vec<Unreadable>,
    /// The facts that the entry counts for in the campaign's outbox.
    pub counted: u64,
}

impl Fact {
    /// Reads Kafka's value: a fact, or those of an outbox entry that could not be read when it was relayed and can be now.
    pub fn all_from_json(bytes: &[u8]) -> Result<Vec<Self>, NotAFact> {
        match RawEntry::from_json(bytes) {
            Some(raw) => raw.facts(),
            None => Self::from_json(bytes).map(|fact| vec![fact]),
        }
    }
}

impl RawEntry {
    /// The entry with this id and these fields.
    #[must_use]
    pub fn new(campaign: &CampaignId, id: &str, fields: &[(Vec<u8>, Vec<u8>)]) -> Self {
        let fields = fields.iter().map(|(name, value)| (Text::of(name), Text::of(value))).collect();
        Self { campaign: campaign.as_str().to_owned(), outbox_entry: id.to_owned(), fields }
    }

    /// Reads all of it that can be read.
    #[must_use]
    pub fn parts(&self) -> EntryParts {
        let said = self.field("n").and_then(|n| n.parse().ok());
        match self.lines() {
            Ok((campaign, head, lines)) => {
                let mut parts = EntryParts { counted: said.unwrap_or(lines.len() as u64), ..EntryParts::default() };
                for line in lines {
                    match read_line(&campaign, head, &line) {
                        Ok(fact) => parts.facts.push(fact),
                        Err(error) => parts.unreadable.push(self.with_line(&line).unreadable(&error)),
                    }
                }
                parts
            }
            Err(error) => {
                let lines = self.field("f").map_or(0, |f| f.split(RECORD_SEPARATOR).count() as u64);
                EntryParts {
                    counted: said.unwrap_or(lines),
                    unreadable: vec![self.unreadable(&error)],
                    facts: Vec::new(),
                }
            }
        }
    }

    /// All of its facts, or why they cannot be read.
    fn facts(&self) -> Result<Vec<Fact>, NotAFact> {
        let (campaign, head, lines) = self.lines()?;
        lines.iter().map(|line| read_line(&campaign, head, line)).collect()
    }

    /// `None`: these bytes are something else.
    fn from_json(bytes: &[u8]) -> Option<Self> {
        // Facts are many, and raw entries few.
        contains(bytes, b"\"outbox_entry\"").then(|| serde_json::from_slice(bytes).ok()).flatten()
    }

    fn lines(&self) -> Result<(CampaignId, EntryHead, Vec<String>), NotAFact> {
        let bad = |what: &str| NotAFact::Form(format!("outbox entry {}: {what}", self.outbox_entry));
        let head = EntryHead::read(|name| self.field(name), bad)?;
        let campaign = self.campaign.parse().map_err(|_| bad("an id that is none"))?;
        let text = self.field("f").ok_or_else(|| bad("f"))?;
        Ok((campaign, head, text.split(RECORD_SEPARATOR).map(str::to_owned).collect()))
    }

    /// A field, where it is text and there is one of its name.
    fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(known, _)| *known == Text::Utf8(name.to_owned()));
        match (found.next(), found.next()) {
            (Some((_, Text::Utf8(text))), None) => Some(text),
            _ => None,
        }
    }

    fn with_line(&self, line: &str) -> Self {
        let mut one = self.clone();
        for (name, value) in &mut one.fields {
            match name.bytes().as_slice() {
                b"f" => *value = Text::Utf8(line.to_owned()),
                b"n" => *value = Text::Utf8("1".to_owned()),
                _ => {}
            }
        }
        one
    }

    fn unreadable(&self, error: &NotAFact) -> Unreadable {
        let value = serde_json::to_vec(self).expect("a raw entry has no map with keys that are no strings");
        Unreadable { reason: error.to_string(), value }
    }
}

/// Whether this is in there.
fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(fields: &[(&str, &[u8])]) -> EntryParts {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect();
        RawEntry::new(&"c".parse().unwrap(), "1-2", &fields).parts()
    }

    const GOOD: &str = "7\u{1f}claimed\u{1f}-1\u{1f}42\u{1f}2\u{1f}u\u{1f}a";
    const NEW: &str = "8\u{1f}bewitched\u{1f}0\u{1f}42\u{1f}2\u{1f}u\u{1f}a";

    #[test]
    fn a_line_that_cannot_be_read_stops_no_other_and_comes_as_an_entry_of_its_own() {
        let text = format!("{GOOD}\u{1e}{NEW}");
        let parts = entry(&[("v", b"1"), ("g", b"2"), ("at", b"3"), ("n", b"2"), ("f", text.as_bytes())]);
        assert_eq!((parts.facts.len(), parts.unreadable.len(), parts.counted), (1, 1, 2));
        let raw = RawEntry::from_json(&parts.unreadable[0].value).unwrap();
        assert_eq!((raw.field("f"), raw.field("n"), raw.field("g")), (Some(NEW), Some("1"), Some("2")));
        assert!(Fact::all_from_json(&parts.unreadable[0].value).is_err(), "this version cannot read it later either");
        // As a version that knows the kind would find it.
        let known = raw.with_line(GOOD).unreadable(&NotAFact::Version(0)).value;
        assert_eq!(Fact::all_from_json(&known).unwrap(), parts.facts);
    }

    #[test]
    fn what_is_no_entry_is_kept_to_the_bit() {
        let parts = entry(&[("v", b"1"), ("n", b"3"), ("f", b"\xff\x00")]);
        assert_eq!((parts.facts.len(), parts.counted), (0, 3));
        let raw = RawEntry::from_json(&parts.unreadable[0].value).unwrap();
        assert_eq!(raw.fields[2].1.bytes(), b"\xff\x00");
        assert_eq!(raw.campaign, "c");
        assert!(parts.unreadable[0].reason.contains("1-2"), "{}", parts.unreadable[0].reason);
        let newer = entry(&[("v", b"2"), ("n", b"1"), ("f", b"?")]);
        assert_eq!(newer.unreadable[0].reason, NotAFact::Version(2).to_string());
        // Neither count nor facts: nothing is known of it.
        assert_eq!(entry(&[("x", b"y")]).counted, 0);
        assert_eq!(entry(&[("v", b"1"), ("f", GOOD.as_bytes())]).counted, 1);
    }
}

//! A post, as it is kept and as it travels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::clock::Millis;

/// A post's id. Ascends with time, as a number and as a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PostId(pub i64);

/// A text that is no post's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be a post's id: 1 to 19 digits")]
pub struct InvalidPostId;

impl fmt::Display for PostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:019}", self.0)
    }
}

impl FromStr for PostId {
    type Err = InvalidPostId;

    fn from_str(text: &str) -> Result<Self, InvalidPostId> {
        let is_digits = (1..=19).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| is_digits).map(Self).ok_or(InvalidPostId)
    }
}

impl Serialize for PostId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PostId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What became of a post's inspection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Inspection {
    /// It is under way.
    Pending,
    /// Everybody may read it.
    Passed,
    /// Only its author sees it.
    Rejected,
}

impl Inspection {
    /// As the database has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Passed => "passed",
            Self::Rejected => "rejected",
        }
    }
}

/// A post as it stands now. Deleted posts are none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// Which.
    pub post_id: PostId,
    /// Whose.
    pub author_id: String,
    /// What it is called.
    pub title: String,
    /// What it says.
    pub body: String,
    /// What it is about; `None` until it was inspected.
    pub category: Option<String>,
    /// Hash tags, without `#`.
    pub tags: Vec<String>,
    /// Whether others may read it.
    pub inspection: Inspection,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// One more at each change.
    pub revision: i32,
    /// When it was written.
    pub published_at: Millis,
}

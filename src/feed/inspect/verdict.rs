//! What is inspected, and what comes of it.

use thiserror::Error;

/// What is inspected.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    /// What it is called.
    pub title: &'a str,
    /// What it says.
    pub body: &'a str,
    /// What the user-info API says that its author writes about, if anything.
    pub author_category: Option<&'a str>,
}

/// What the inspector says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `None`: it passed. Otherwise why it did not.
    pub rejected: Option<String>,
    /// What it is about.
    pub category: String,
    /// Hash tags, without `#`.
    pub tags: Vec<String>,
}

/// No verdict. Worth another try.
#[derive(Debug, Error)]
pub enum InspectError {
    /// The endpoint failed, took too long, or answered what is no verdict.
    #[error("the inspector has no verdict: {0}")]
    NoVerdict(String),
    /// Its client cannot be made.
    #[error("the inspector's client: {0}")]
    Client(String),
}

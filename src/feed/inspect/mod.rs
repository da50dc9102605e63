//! May this post be read? One port, two adapters: lists of words, and a language model behind a chat endpoint.

use thiserror::Error;

use crate::config;

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

/// The inspector that is configured.
pub enum Inspector {
    /// Lists of words.
    Rules(config::Inspector),
}

impl Inspector {
    /// Connects to nothing yet.
    pub fn new(settings: &config::Inspector) -> Result<Self, InspectError> {
        Ok(Self::Rules(settings.clone()))
    }

    /// The verdict on a post.
    pub async fn inspect(&self, _draft: Draft<'_>) -> Result<Verdict, InspectError> {
        let Self::Rules(settings) = self;
        Ok(Verdict { rejected: None, category: settings.default_category.clone(), tags: Vec::new() })
    }
}

//! May this post be read? One port, two adapters: lists of words, and a language model behind a chat endpoint.

mod chat;
mod rules;
mod tags;
mod text;

use thiserror::Error;

pub use chat::Chat;
pub use rules::Rules;

use crate::config::{self, InspectorKind};

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
    Rules(Rules),
    /// A language model.
    Chat(Box<Chat>),
}

impl Inspector {
    /// Connects to nothing yet.
    pub fn new(settings: &config::Inspector) -> Result<Self, InspectError> {
        Ok(match settings.kind {
            InspectorKind::Rules => Self::Rules(Rules::new(settings)),
            InspectorKind::Chat => Self::Chat(Box::new(Chat::new(settings)?)),
        })
    }

    /// The verdict on a post.
    #[tracing::instrument(level = "debug", name = "inspect", skip_all)]
    pub async fn inspect(&self, draft: Draft<'_>) -> Result<Verdict, InspectError> {
        let (inspector, verdict) = match self {
            Self::Rules(rules) => ("rules", Ok(rules.inspect(draft))),
            Self::Chat(chat) => ("chat", chat.inspect(draft).await),
        };
        let outcome = match &verdict {
            Ok(Verdict { rejected: None, .. }) => "passed",
            Ok(_) => "rejected",
            Err(_) => "no_verdict",
        };
        metrics::counter!("onrush_feed_inspections_total", "inspector" => inspector, "outcome" => outcome).increment(1);
        verdict
    }
}

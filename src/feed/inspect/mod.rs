//! May this post be read? One port, two adapters: lists of words, and a language model behind a chat endpoint.

mod chat;
mod rules;
mod tags;
mod text;
mod verdict;

pub use chat::Chat;
pub use rules::Rules;
pub use verdict::{Draft, InspectError, Verdict};

use crate::config::{self, InspectorKind};

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

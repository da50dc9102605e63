//! One call of the user-info API, as it comes: `GET {url}/users/{id}`.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use thiserror::Error;

use super::error::UpstreamError;
use super::user_info::UserInfo;
use crate::config;
use crate::ids::UserId;

/// What stands in a path as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How a call failed.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// Neither 200 nor 404.
    #[error("status {0}")]
    Status(u16),
    /// No connection, or one that broke.
    #[error("{0}")]
    Broken(reqwest::Error),
    /// No answer in time.
    #[error("it took too long")]
    Slow,
    /// More than `answer_bytes_max`.
    #[error("the answer is too large")]
    TooLarge,
    /// Not what the API's contract says.
    #[error("the answer is none: {0}")]
    Malformed(String),
}

impl Failure {
    /// The label of the metric.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Broken(_) => "broken",
            Self::Slow => "slow",
            Self::TooLarge => "too_large",
            Self::Malformed(_) => "malformed",
        }
    }

    /// Whether the same call may go better at once. What was understood and refused, or answered at length, will not.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Status(status) => *status >= 500,
            Self::Broken(_) | Self::Slow => true,
            Self::TooLarge | Self::Malformed(_) => false,
        }
    }
}

/// Calls one API.
pub(super) struct Client {
    url: String,
    bytes_max: usize,
    http: reqwest::Client,
}

impl Client {
    /// `None`: there is no such API.
    pub(super) fn new(settings: &config::Upstream) -> Result<Option<Self>, UpstreamError> {
        if settings.user_info_url.is_empty() {
            return Ok(None);
        }
        // Whoever calls gives up by a timer of their own; a connection that is being made would go on in the background.
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_millis(settings.timeout_ms))
            .pool_max_idle_per_host(settings.calls_max)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| UpstreamError::Client(error.to_string()))?;
        let url = settings.user_info_url.trim_end_matches('/').to_owned();
        Ok(Some(Self { url, bytes_max: settings.answer_bytes_max, http }))
    }

    /// What the API says of a user; `None`: it does not know them. May take any time.
    pub(super) async fn call(&self, user: &UserId) -> Result<Option<UserInfo>, Failure> {
        // As parts of a path these are directions, encoded or not, and lead elsewhere.
        if matches!(user.as_str(), "." | "..") {
            return Ok(None);
        }
        let url = format!("{}/users/{}", self.url, utf8_percent_encode(user.as_str(), ENCODED));
        let mut response = self.http.get(url).send().await.map_err(broken)?;
        match response.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            status => return Err(Failure::Status(status)),
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(broken)? {
            if body.len() + part.len() > self.bytes_max {
                return Err(Failure::TooLarge);
            }
            body.extend_from_slice(&part);
        }
        let info: UserInfo = serde_json::from_slice(&body).map_err(|error| Failure::Malformed(error.to_string()))?;
        // An answer about somebody else would be kept as this user's for as long as the cache keeps it.
        if info.user_id != user.as_str() {
            return Err(Failure::Malformed("it is about another user".into()));
        }
        Ok(Some(info))
    }
}

/// The address may have credentials in it: it stays out of messages.
fn broken(error: reqwest::Error) -> Failure {
    Failure::Broken(error.without_url())
}

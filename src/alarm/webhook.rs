//! A message to a chat, in the form of Slack's incoming webhooks.

use std::time::Duration;

use serde_json::json;

use super::AlarmError;
use crate::config;

/// Where messages go, if anywhere.
pub(super) struct Webhook {
    url: String,
    client: reqwest::Client,
}

impl Webhook {
    /// `None`: no webhook is set.
    pub(super) fn new(settings: &config::Alarm) -> Result<Option<Self>, AlarmError> {
        if settings.webhook_url.is_empty() {
            return Ok(None);
        }
        let timeout = Duration::from_millis(settings.timeout_ms);
        let client = reqwest::Client::builder().timeout(timeout).build().map_err(AlarmError::Client)?;
        Ok(Some(Self { url: settings.webhook_url.clone(), client }))
    }

    /// Sends it once; the chat has it if this succeeds, and may have it if not.
    pub(super) async fn send(&self, text: &str) -> Result<(), reqwest::Error> {
        let sent = self.client.post(&self.url).json(&json!({"text": text})).send().await;
        // The address is a secret: it does not go into the log.
        sent.and_then(reqwest::Response::error_for_status).map(drop).map_err(reqwest::Error::without_url)
    }
}

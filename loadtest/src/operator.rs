//! What does an operator do here? Creates the campaign and asks the auditor.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use http::StatusCode;
use http::header::HeaderValue;

use crate::http_client::{self, Answer, NoAnswer};
use crate::tally;
use crate::target::Target;

/// An operator with a token.
pub(crate) struct Operator<'a> {
    target: &'a Target,
    token: String,
    timeout: Duration,
}

impl<'a> Operator<'a> {
    /// Reads the token.
    pub(crate) fn new(target: &'a Target, token_file: &Path, timeout: Duration) -> anyhow::Result<Self> {
        let file = token_file.display();
        let token = std::fs::read_to_string(token_file)
            .with_context(|| format!("cannot read the operator's token from {file} (`make run` writes one)"))?;
        ensure!(!token.trim().is_empty(), "{file} is empty");
        let token = token.trim().to_owned();
        HeaderValue::try_from(&token).with_context(|| format!("what is in {file} is not a token"))?;
        Ok(Self { target, token, timeout })
    }

    /// Creates a campaign that did not exist.
    pub(crate) async fn create_campaign(&self, id: &str, users: u32, stock: u32) -> anyhow::Result<()> {
        let body = serde_json::json!({
            "id": id, "name": format!("Rush: {users} users, {stock} coupons"), "stock": stock, "per_user_limit": 1,
        });
        let request = self.request("POST", "/v1/campaigns", &body.to_string());
        let answer = match http_client::once(self.target, request.as_bytes(), self.timeout).await {
            Ok(answer) => answer,
            Err(why) => bail!("campaign {id} was not created: no answer ({})", why.label()),
        };
        match answer.status {
            StatusCode::CREATED => Ok(()),
            StatusCode::OK => bail!("campaign {id} exists already; leave --campaign out for a new one"),
            status => bail!(
                "campaign {id} was not created: {}: {}",
                tally::label(status, &answer.body),
                String::from_utf8_lossy(&answer.body)
            ),
        }
    }

    /// Asks for the auditor's counts.
    pub(crate) async fn audit(&self, campaign: &str) -> Result<Answer, NoAnswer> {
        let request = self.request("GET", &format!("/v1/ops/audit/{campaign}"), "");
        http_client::once(self.target, request.as_bytes(), self.timeout).await
    }

    fn request(&self, method: &str, path: &str, body: &str) -> String {
        let (host, token, length) = (self.target.authority(), &self.token, body.len());
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    }
}

//! What does an operator do here? Creates the campaign and asks the auditor.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};

use crate::http_client::{self, Answer, NoAnswer};
use crate::tally;
use crate::target::Target;

/// An operator with a token.
pub(crate) struct Operator<'a> {
    target: &'a Target,
    token: HeaderValue,
    timeout: Duration,
}

impl<'a> Operator<'a> {
    /// Reads the token.
    pub(crate) fn new(target: &'a Target, token_file: &Path, timeout: Duration) -> anyhow::Result<Self> {
        let file = token_file.display();
        let token = std::fs::read_to_string(token_file)
            .with_context(|| format!("cannot read the operator's token from {file} (`make run` writes one)"))?;
        ensure!(!token.trim().is_empty(), "{file} is empty");
        let token = HeaderValue::try_from(format!("Bearer {}", token.trim()))
            .with_context(|| format!("what is in {file} is not a token"))?;
        Ok(Self { target, token, timeout })
    }

    /// Creates a campaign that did not exist.
    pub(crate) async fn create_campaign(&self, id: &str, users: u32, stock: u32) -> anyhow::Result<()> {
        let body = serde_json::json!({
            "id": id, "name": format!("Rush: {users} users, {stock} coupons"), "stock": stock, "per_user_limit": 1,
        });
        let request = self.request(Method::POST, "/v1/campaigns", body.to_string())?;
        let answer = match http_client::once(self.target, request, self.timeout).await {
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
    pub(crate) async fn audit(&self, campaign: &str) -> anyhow::Result<Result<Answer, NoAnswer>> {
        let request = self.request(Method::GET, &format!("/v1/ops/audit/{campaign}"), String::new())?;
        Ok(http_client::once(self.target, request, self.timeout).await)
    }

    fn request(&self, method: Method, path: &str, body: String) -> anyhow::Result<Request<Full<Bytes>>> {
        let builder = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.target.host())
            .header(AUTHORIZATION, self.token.clone())
            .header(CONTENT_TYPE, "application/json");
        builder.body(Full::from(body)).with_context(|| format!("cannot ask for {path}"))
    }
}

//! How does one ask a node? Over HTTP, like anybody else.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, RequestBuilder};
use serde::Serialize;
use serde_json::{Value, json};

use crate::history::Asked;

/// The operator's token; its hash is in every node's configuration.
pub const OPERATOR: &str = "operator-of-the-faults";
/// What users' tokens are signed with.
pub const SECRET: &str = "a secret that only the faults have, 32 bytes or more";

/// No answer by then is none.
const ANSWER_MAX: Duration = Duration::from_secs(6);
/// Longer than any run.
const TOKEN_VALID_FOR: Duration = Duration::from_hours(2);

/// Calls one node.
#[derive(Clone)]
pub struct Client {
    url: String,
    http: reqwest::Client,
}

/// Who asks for what.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who.
    pub user: String,
    /// The token that says so, or the operator's.
    pub token: String,
    /// For what.
    pub asked: Asked,
}

/// What came back.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Whether `Idempotency-Replayed` was said.
    pub replayed: bool,
    /// The body.
    pub body: Value,
}

impl Answer {
    /// The code of a problem, or "".
    #[must_use]
    pub fn code(&self) -> &str {
        self.text("code")
    }

    /// A text of the body, or "".
    #[must_use]
    pub fn text(&self, member: &str) -> &str {
        self.body[member].as_str().unwrap_or_default()
    }
}

impl Client {
    /// A client of the node at this address.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(ANSWER_MAX).no_proxy().build()?;
        Ok(Self { url: url.to_owned(), http })
    }

    /// Makes a campaign.
    pub async fn create(&self, body: &Value) -> Option<Answer> {
        send(self.request(Method::POST, "/v1/campaigns").bearer_auth(OPERATOR).json(body)).await
    }

    /// Asks for what the request wants.
    pub async fn ask(&self, campaign: &str, request: &Request) -> Option<Answer> {
        let builder = match &request.asked {
            Asked::Claim { key } => {
                let builder = self.request(Method::POST, &format!("/v1/campaigns/{campaign}/claims"));
                key.iter().fold(builder, |builder, key| builder.header("Idempotency-Key", key))
            }
            Asked::GiveBack { claim } => self.request(Method::POST, &format!("/v1/claims/{claim}/give-back")),
            Asked::Redeem { coupon, .. } => self.request(Method::POST, &format!("/v1/coupons/{coupon}/redeem")),
            Asked::Raise { stock } => {
                self.request(Method::PATCH, &format!("/v1/campaigns/{campaign}")).json(&json!({ "stock": stock }))
            }
        };
        send(builder.bearer_auth(&request.token)).await
    }

    /// Whether the node can serve.
    pub async fn is_ready(&self) -> bool {
        send(self.request(Method::GET, "/readyz")).await.is_some_and(|answer| answer.status == 200)
    }

    /// Its figures.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        Ok(self.request(Method::GET, "/metrics").send().await?.text().await?)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }
}

/// `None` where no answer came, or only a part of one.
async fn send(request: RequestBuilder) -> Option<Answer> {
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    let replayed = response.headers().get("Idempotency-Replayed").is_some_and(|value| value == "true");
    let body = serde_json::from_slice(&response.bytes().await.ok()?).unwrap_or_default();
    Some(Answer { status, replayed, body })
}

/// A user's token.
pub fn token(user: &str) -> anyhow::Result<String> {
    #[derive(Serialize)]
    struct Claims<'a> {
        sub: &'a str,
        exp: u64,
    }
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let claims = Claims { sub: user, exp: (now + TOKEN_VALID_FOR).as_secs() };
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).context("signing a user's token")
}

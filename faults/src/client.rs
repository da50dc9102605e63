//! How does one ask a node? Over HTTP, like anybody else; and sometimes one hangs up before the answer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, RequestBuilder};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::history::{Asked, Edit};

/// The operator's token; its hash is in every node's configuration.
pub const OPERATOR: &str = "operator-of-the-faults";
/// What users' tokens are signed with.
pub const SECRET: &str = "a secret that only the faults have, 32 bytes or more";

/// No answer by then is none.
pub const ANSWER_MAX: Duration = Duration::from_secs(6);
/// Longer than any run.
const TOKEN_VALID_FOR: Duration = Duration::from_mins(4);

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

/// A request as HTTP has it.
struct Words {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

fn words(campaign: &str, asked: &Asked) -> Words {
    let of_campaign = |rest: &str| format!("/v1/campaigns/{campaign}{rest}");
    let plain = |method, path| Words { method, path, headers: Vec::new(), body: None };
    let with = |method, path, body| Words { method, path, headers: Vec::new(), body: Some(body) };
    match asked {
        Asked::Claim { key } => {
            let headers = key.iter().map(|key| ("Idempotency-Key", key.clone())).collect();
            Words { headers, ..plain(Method::POST, of_campaign("/claims")) }
        }
        Asked::ClaimWithPass { key, pass } => {
            let headers = vec![("Idempotency-Key", key.clone()), ("Onrush-Pass", pass.clone())];
            Words { headers, ..plain(Method::POST, of_campaign("/claims")) }
        }
        Asked::GiveBack { claim } => plain(Method::POST, format!("/v1/claims/{claim}/give-back")),
        Asked::Redeem { coupon, .. } => plain(Method::POST, format!("/v1/coupons/{coupon}/redeem")),
        Asked::Raise { stock } => with(Method::PATCH, of_campaign(""), json!({ "stock": stock })),
        Asked::Edit(Edit::Create { stock, limit, room }) => {
            let mut body = json!({"id": campaign, "name": "A rush", "stock": stock, "per_user_limit": limit});
            if let Some((admit, every_ms, active_max)) = room {
                body["waiting"] = json!({"admit": admit, "every_ms": every_ms, "active_max": active_max,
                    "pass_ttl_s": 60});
            }
            with(Method::POST, "/v1/campaigns".to_owned(), body)
        }
        Asked::Edit(Edit::Rename { name }) => with(Method::PATCH, of_campaign(""), json!({ "name": name })),
        Asked::Edit(Edit::Pause) => plain(Method::POST, of_campaign("/pause")),
        Asked::Edit(Edit::Resume) => plain(Method::POST, of_campaign("/resume")),
        Asked::Edit(Edit::Close) => plain(Method::POST, of_campaign("/close")),
        Asked::Wait { joins } => plain(if *joins { Method::POST } else { Method::GET }, of_campaign("/waiting")),
        Asked::Look => plain(Method::GET, of_campaign("")),
        Asked::List => plain(Method::GET, "/v1/campaigns?limit=100".to_owned()),
    }
}

impl Client {
    /// A client of the node at this address.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(ANSWER_MAX).no_proxy().build()?;
        Ok(Self { url: url.to_owned(), http })
    }

    /// Asks for what the request wants.
    pub async fn ask(&self, campaign: &str, request: &Request) -> Option<Answer> {
        let Words { method, path, headers, body } = words(campaign, &request.asked);
        let builder = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&request.token);
        let builder = headers.into_iter().fold(builder, |builder, (name, value)| builder.header(name, value));
        send(body.iter().fold(builder, RequestBuilder::json)).await
    }

    /// Asks, and hangs up after a while without having listened. An error: the node was not even there.
    pub async fn ask_and_hang_up(&self, campaign: &str, request: &Request, after: Duration) -> anyhow::Result<()> {
        let Words { method, path, headers, body } = words(campaign, &request.asked);
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut text =
            format!("{method} {path} HTTP/1.1\r\nHost: faults\r\nAuthorization: Bearer {}\r\n", request.token);
        for (name, value) in headers {
            text.extend([name, ": ", &value, "\r\n"]);
        }
        if !body.is_empty() {
            text += "Content-Type: application/json\r\n";
        }
        text.extend(["Content-Length: ", &body.len().to_string(), "\r\n\r\n", &body]);
        let mut stream = TcpStream::connect(self.url.trim_start_matches("http://")).await?;
        stream.set_nodelay(true)?;
        stream.write_all(text.as_bytes()).await?;
        tokio::time::sleep(after).await;
        Ok(())
    }

    /// Whether the node can serve.
    pub async fn is_ready(&self) -> bool {
        send(self.request(Method::GET, "/readyz")).await.is_some_and(|answer| answer.status == 200)
    }

    /// Its figures.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        Ok(self.request(Method::GET, "/metrics").send().await?.text().await?)
    }

    /// Makes a campaign of this body.
    pub async fn create(&self, body: &Value) -> Option<Answer> {
        self.operate(Method::POST, "/v1/campaigns", Some(body)).await
    }

    /// Something of an operator's that is not about a campaign.
    pub async fn operate(&self, method: Method, path: &str, body: Option<&Value>) -> Option<Answer> {
        let builder = self.request(method, path).bearer_auth(OPERATOR);
        send(body.into_iter().fold(builder, RequestBuilder::json)).await
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

//! How does one ask a node? Over HTTP, like anybody else; and sometimes one hangs up before the answer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
pub use reqwest::Method;
use reqwest::RequestBuilder;
use serde::Serialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The operator's token; its hash is in every node's configuration.
pub const OPERATOR: &str = "operator-of-the-testkit";
/// What users' tokens are signed with.
pub const SECRET: &str = "a secret that only the testkit has, 32 bytes or more";

/// No answer by then is none.
pub const ANSWER_MAX: Duration = Duration::from_secs(6);
/// Who runs for longer has to have tokens signed anew.
pub const TOKEN_VALID_FOR: Duration = Duration::from_mins(4);

/// Calls one node.
#[derive(Clone)]
pub struct Client {
    url: String,
    http: reqwest::Client,
}

/// A request.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    method: Method,
    path: String,
    token: Option<String>,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl HttpRequest {
    /// With nothing but its method and path.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), token: None, headers: Vec::new(), body: None }
    }

    /// Of whoever has this token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// With a body.
    #[must_use]
    pub fn json(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }
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
        Self::patient(url, ANSWER_MAX)
    }

    /// One that waits so long for an answer.
    pub fn patient(url: &str, answer_max: Duration) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(answer_max).no_proxy().build()?;
        Ok(Self { url: url.to_owned(), http })
    }

    /// The answer to a request; `None` where none came, or only a part of one.
    pub async fn send(&self, request: &HttpRequest) -> Option<Answer> {
        let HttpRequest { method, path, token, headers, body } = request;
        let builder = self.http.request(method.clone(), format!("{}{path}", self.url));
        let builder = token.iter().fold(builder, RequestBuilder::bearer_auth);
        let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, value));
        let response = body.iter().fold(builder, RequestBuilder::json).send().await.ok()?;
        let status = response.status().as_u16();
        let replayed = response.headers().get("Idempotency-Replayed").is_some_and(|value| value == "true");
        let body = serde_json::from_slice(&response.bytes().await.ok()?).unwrap_or_default();
        Some(Answer { status, replayed, body })
    }

    /// Sends a request, and hangs up after a while without having listened. An error: the node was not even there.
    pub async fn send_and_hang_up(&self, request: &HttpRequest, after: Duration) -> anyhow::Result<()> {
        let HttpRequest { method, path, token, headers, body } = request;
        let body = body.as_ref().map(Value::to_string).unwrap_or_default();
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: testkit\r\n");
        if let Some(token) = token {
            text.extend(["Authorization: Bearer ", token, "\r\n"]);
        }
        for (name, value) in headers {
            text.extend([name, ": ", value, "\r\n"]);
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
        self.send(&HttpRequest::new(Method::GET, "/readyz")).await.is_some_and(|answer| answer.status == 200)
    }

    /// Its metrics, as Prometheus reads them.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        Ok(self.http.get(format!("{}/metrics", self.url)).send().await?.text().await?)
    }

    /// Makes a campaign of this body.
    pub async fn create(&self, body: &Value) -> Option<Answer> {
        self.operate(Method::POST, "/v1/campaigns", Some(body)).await
    }

    /// What only an operator may ask for.
    pub async fn operate(&self, method: Method, path: &str, body: Option<&Value>) -> Option<Answer> {
        let request = HttpRequest::new(method, path).bearer(OPERATOR);
        self.send(&body.cloned().into_iter().fold(request, HttpRequest::json)).await
    }
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

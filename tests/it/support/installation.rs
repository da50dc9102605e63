//! An installation of Onrush for one test: stores of its own, as many nodes as it wants, and calls named by intent.

use std::sync::Arc;
use std::time::Duration;

use onrush::app::{Node, Role};
use onrush::config::Config;
use onrush::{database, http};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{leftovers, names};

/// The operator's token of all tests; its hash is in their configuration.
pub(crate) const OPERATOR: &str = "operator-of-the-tests";

/// One installation: every node has this configuration.
pub(crate) struct Installation {
    pub(crate) config: Config,
}

/// A node, and a client that calls it.
pub(crate) struct TestNode {
    node: Option<Node>,
    pub(crate) client: Client,
}

/// Calls one node over HTTP.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) url: String,
    http: reqwest::Client,
    auth: Arc<onrush::config::Auth>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The code of a problem, or "".
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Status and code in one, for comparisons: `201`, `409 sold_out`.
    pub(crate) fn outcome(&self) -> String {
        format!("{} {}", self.status, self.code()).trim_end().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn text(&self, member: &str) -> &str {
        self.body[member].as_str().unwrap_or_default()
    }

    pub(crate) fn number(&self, member: &str) -> u64 {
        self.body[member].as_u64().unwrap_or_else(|| panic!("no number {member} in {self:?}"))
    }
}

impl Installation {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With settings of its own.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = names::config();
        leftovers::sweep(&config).await;
        config.http.listen = "127.0.0.1:0".parse().unwrap();
        config.auth.hs256_secret = "a secret that only the tests have, 32 bytes or more".into();
        config.auth.operator_token_sha256 = vec![names::sha256_hex(OPERATOR)];
        config.coupon.key_hex = "07".repeat(32);
        change(&mut config);
        let tables = database::open(&config.postgres).unwrap();
        database::migrate(&tables, &config.postgres).await.unwrap();
        tables.close().await;
        Self { config }
    }

    /// Starts a node in this process.
    pub(crate) async fn node(&self, role: Role) -> TestNode {
        let node = Box::pin(Node::start(self.config.clone(), role)).await.unwrap();
        let client = self.client(&format!("http://{}", node.address()));
        TestNode { node: Some(node), client }
    }

    /// A client for a node at this address.
    pub(crate) fn client(&self, url: &str) -> Client {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy().build().unwrap();
        Client { url: url.to_owned(), http, auth: Arc::new(self.config.auth.clone()) }
    }
}

impl std::ops::Deref for TestNode {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl TestNode {
    /// How its loops are.
    pub(crate) fn loops(&self) -> Arc<onrush::supervise::Board> {
        self.node.as_ref().expect("it is not stopped").loops()
    }

    /// Stops it as a signal would.
    pub(crate) async fn stop(mut self) {
        self.node.take().expect("it is stopped once").stop().await;
    }
}

impl Client {
    pub(crate) fn token(&self, user: &str) -> String {
        http::user_token(&self.auth, &user.parse().unwrap(), 3600).unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.unwrap()
    }

    /// `Err` where no answer came.
    pub(crate) async fn try_send(&self, request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?;
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into());
        Ok(Answer { status, headers, body })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn as_operator(&self, method: Method, path: &str) -> Answer {
        self.send(self.request(method, path).bearer_auth(OPERATOR)).await
    }

    pub(crate) async fn operator_sends(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.send(self.request(method, path).bearer_auth(OPERATOR).json(body)).await
    }

    pub(crate) async fn as_user(&self, user: &str, method: Method, path: &str) -> Answer {
        self.send(self.request(method, path).bearer_auth(self.token(user))).await
    }

    /// Makes a campaign of this stock, with whatever else is said, and answers its id.
    pub(crate) async fn campaign(&self, stock: u64, more: Value) -> String {
        let id = names::unique("c");
        let mut body = json!({"id": id, "name": "A campaign", "stock": stock});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let answer = self.operator_sends(Method::POST, "/v1/campaigns", &body).await;
        assert_eq!(answer.outcome(), "201", "{answer:?}");
        id
    }

    pub(crate) fn claim_request(&self, campaign: &str, user: &str) -> RequestBuilder {
        self.request(Method::POST, &format!("/v1/campaigns/{campaign}/claims")).bearer_auth(self.token(user))
    }

    pub(crate) async fn claim(&self, campaign: &str, user: &str) -> Answer {
        self.send(self.claim_request(campaign, user)).await
    }

    pub(crate) async fn claim_with_key(&self, campaign: &str, user: &str, key: &str) -> Answer {
        self.send(self.claim_request(campaign, user).header("Idempotency-Key", key)).await
    }

    pub(crate) async fn give_back(&self, claim: &Answer) -> Answer {
        let path = format!("/v1/claims/{}/give-back", claim.text("claim_id"));
        self.as_user(claim.text("user_id"), Method::POST, &path).await
    }

    pub(crate) async fn view(&self, campaign: &str) -> Answer {
        let answer = self.get(&format!("/v1/campaigns/{campaign}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    pub(crate) async fn audit(&self, campaign: &str) -> Answer {
        self.as_operator(Method::GET, &format!("/v1/ops/audit/{campaign}")).await
    }

    /// Waits until all facts of the campaign have arrived, and insists that the audit then is `ok`.
    pub(crate) async fn audit_ok(&self, campaign: &str) -> Answer {
        let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
        loop {
            let audit = self.audit(campaign).await;
            match audit.text("verdict") {
                "ok" => return audit,
                "settling" if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                _ => panic!("{audit:?}"),
            }
        }
    }
}

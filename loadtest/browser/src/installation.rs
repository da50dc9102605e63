//! Whom does the browser visit? Nodes of its own, with names of their own in the stores, that can be killed and started.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use faults::client::{Client, OPERATOR, SECRET, token};
use faults::processes::{Patience, Process, Program, free_port};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// How long a node may take to get ready, on a machine that is busy with everything else.
const READY_MAX: Duration = Duration::from_mins(2);
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A setting other than these: `PAGE__NAME` and its value.
pub type Setting = (&'static str, String);

/// One installation.
pub struct Installation {
    onrush: PathBuf,
    folder: PathBuf,
    name: String,
    http: reqwest::Client,
}

/// A node as a process: it serves and works.
pub struct Node {
    /// Where it answers.
    pub url: String,
    port: u16,
    settings: Vec<Setting>,
    process: Option<Process>,
}

impl Installation {
    /// A new one, of the program that was built beside this one. Its logs are in this folder.
    pub async fn new(onrush: &Path, folder: &Path) -> anyhow::Result<Self> {
        ensure!(onrush.is_file(), "the program onrush is not built; `cargo build --workspace` does that");
        #[expect(clippy::disallowed_methods, reason = "the name tells when it was made")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        // The server's own tests take away what has such a name and is older than an hour.
        let name = format!("onrushtest_{}_tour{}", now.as_secs(), std::process::id());
        let http = reqwest::Client::builder().timeout(ANSWER_MAX).no_proxy().build()?;
        let installation = Self { onrush: onrush.to_owned(), folder: folder.to_owned(), name, http };
        let migrate = installation.program("migrate", free_port()?, &[]);
        migrate.succeed(&folder.join("onrush.log"), READY_MAX).await?;
        Ok(installation)
    }

    /// Starts a node.
    pub async fn node(&self, settings: &[Setting]) -> anyhow::Result<Node> {
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let mut node = Node { url, port, settings: settings.to_vec(), process: None };
        self.start(&mut node).await?;
        Ok(node)
    }

    /// Starts a node that was killed, where it was.
    pub async fn start(&self, node: &mut Node) -> anyhow::Result<()> {
        let log = self.folder.join("onrush.log");
        let process = node.process.insert(self.program("all", node.port, &node.settings).start(&log)?);
        let client = Client::new(&node.url)?;
        let patience = Patience::new("the node is ready", READY_MAX);
        while !client.is_ready().await {
            ensure!(process.is_alive(), "the node ended by itself; see {}", log.display());
            patience.wait().await?;
        }
        Ok(())
    }

    fn program(&self, subcommand: &str, port: u16, more: &[Setting]) -> Program {
        let operator = Sha256::digest(OPERATOR).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let settings = [
            ("HTTP__LISTEN", format!("127.0.0.1:{port}")),
            ("REDIS__KEY_PREFIX", format!("{}:", self.name)),
            ("POSTGRES__SCHEMA", self.name.clone()),
            ("POSTGRES__CONNECTIONS_MAX", "4".into()),
            ("KAFKA__FACTS_TOPIC", format!("{}.facts", self.name)),
            ("KAFKA__LEDGER_GROUP", self.name.clone()),
            // Nothing here is about posts.
            ("FEED__LANES", "[]".into()),
            ("AUTH__HS256_SECRET", SECRET.into()),
            ("AUTH__OPERATOR_TOKEN_SHA256", format!("[\"{operator}\"]")),
            ("COUPON__KEY_HEX", format!("\"{}\"", "07".repeat(32))),
            // Patient, as the machine may be busy with everything else.
            ("REDIS__COMMAND_TIMEOUT_MS", "20000".into()),
            ("HTTP__REQUEST_TIMEOUT_MS", "25000".into()),
        ];
        let settings = settings.into_iter().chain(more.iter().cloned());
        let envs = settings.map(|(name, value)| (format!("ONRUSH__{name}"), value)).chain(stores());
        Program::new("onrush", &self.onrush).args([subcommand]).envs(envs).folder(&self.folder)
    }

    /// Makes a campaign.
    pub async fn campaign(&self, node: &Node, body: &Value) -> anyhow::Result<()> {
        self.send(self.request(node, Method::POST, "/v1/campaigns").bearer_auth(OPERATOR).json(body)).await.map(drop)
    }

    /// What an operator does.
    pub async fn operate(&self, node: &Node, method: Method, path: &str, body: &Value) -> anyhow::Result<()> {
        self.send(self.request(node, method, path).bearer_auth(OPERATOR).json(body)).await.map(drop)
    }

    /// Users join the queue, one after the other.
    pub async fn join(&self, node: &Node, campaign: &str, users: &[String]) -> anyhow::Result<()> {
        for user in users {
            self.of_user(node, campaign, user, Method::POST, "waiting", None).await?;
        }
        Ok(())
    }

    /// Users leave it.
    pub async fn leave(&self, node: &Node, campaign: &str, users: &[String]) -> anyhow::Result<()> {
        for user in users {
            self.of_user(node, campaign, user, Method::DELETE, "waiting", None).await?;
        }
        Ok(())
    }

    /// A user who is inside claims; answers the claim's id.
    pub async fn claim(&self, node: &Node, campaign: &str, user: &str) -> anyhow::Result<String> {
        let inside = self.of_user(node, campaign, user, Method::GET, "waiting", None).await?;
        let pass = inside["pass"].as_str().with_context(|| format!("{user} is not inside: {inside}"))?;
        let claim = self.of_user(node, campaign, user, Method::POST, "claims", Some(pass)).await?;
        Ok(claim["claim_id"].as_str().context("a claim has an id")?.to_owned())
    }

    /// A user gives a claim back.
    pub async fn give_back(&self, node: &Node, claim: &str, user: &str) -> anyhow::Result<()> {
        let request = self.request(node, Method::POST, &format!("/v1/claims/{claim}/give-back"));
        self.send(request.bearer_auth(token(user)?)).await.map(drop)
    }

    async fn of_user(
        &self,
        node: &Node,
        campaign: &str,
        user: &str,
        method: Method,
        what: &str,
        pass: Option<&str>,
    ) -> anyhow::Result<Value> {
        let request = self.request(node, method, &format!("/v1/campaigns/{campaign}/{what}")).bearer_auth(token(user)?);
        self.send(pass.into_iter().fold(request, |request, pass| request.header("Onrush-Pass", pass))).await
    }

    fn request(&self, node: &Node, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", node.url))
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let answer = request.send().await?;
        let (status, url) = (answer.status(), answer.url().clone());
        let body = answer.bytes().await?;
        ensure!(status.is_success(), "{url}: {status} {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }
}

impl Node {
    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Where the shop sends this user.
    pub fn entrance(&self, campaign: &str, user: &str) -> anyhow::Result<String> {
        Ok(format!("{}/rooms/{campaign}?token={}", self.url, token(user)?))
    }
}

/// Where the stores are, if not where the server's defaults have them.
#[expect(clippy::disallowed_methods, reason = "a program is started with an empty environment")]
fn stores() -> impl Iterator<Item = (String, String)> {
    let names = ["ONRUSH__REDIS__URL", "ONRUSH__KAFKA__BROKERS", "ONRUSH__POSTGRES__URL"];
    names.into_iter().filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
}

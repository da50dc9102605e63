//! Whom does the browser visit? Nodes of its own, with names of their own in the stores, that can be killed and started.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use testkit::client::{Client, HttpRequest, Method, OPERATOR, token};
use testkit::node::{self, Setting, free_address, given_stores, names, test_name};
use testkit::process::Program;

/// How long a node may take to get ready, on a machine that is busy with everything else.
const READY_MAX: Duration = Duration::from_mins(2);
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// One installation.
pub struct Installation {
    folder: PathBuf,
    name: String,
}

/// A node as a process: it serves and works.
pub struct Node {
    /// Where it answers.
    pub url: String,
    address: std::net::SocketAddr,
    settings: Vec<Setting>,
    client: Client,
    running: Option<node::Node>,
}

impl Installation {
    /// A new one. Its logs are in this folder.
    pub async fn new(folder: &Path) -> anyhow::Result<Self> {
        let installation = Self { folder: folder.to_owned(), name: test_name("tour")? };
        let migrate = installation.program("migrate", &[])?;
        migrate.succeed(&folder.join("onrush.log"), READY_MAX).await?;
        Ok(installation)
    }

    /// Starts a node.
    pub async fn node(&self, settings: &[Setting]) -> anyhow::Result<Node> {
        let address = free_address()?;
        let url = format!("http://{address}");
        let client = Client::patient(&url, ANSWER_MAX)?;
        let mut node = Node { url, address, settings: settings.to_vec(), client, running: None };
        self.start(&mut node).await?;
        Ok(node)
    }

    /// Starts a node that was killed, where it was.
    pub async fn start(&self, node: &mut Node) -> anyhow::Result<()> {
        let program = self.program("all", &node.settings)?;
        let log = self.folder.join("onrush.log");
        node.running = Some(node::Node::start(program, node.address, &log, READY_MAX).await?);
        Ok(())
    }

    fn program(&self, subcommand: &str, more: &[Setting]) -> anyhow::Result<Program> {
        let settings = [
            ("POSTGRES__CONNECTIONS_MAX", "4".into()),
            // Nothing here is about posts.
            ("FEED__LANES", "[]".into()),
            // Patient, as the machine may be busy with everything else.
            ("REDIS__COMMAND_TIMEOUT_MS", "20000".into()),
            ("HTTP__REQUEST_TIMEOUT_MS", "25000".into()),
        ];
        let settings = names(&self.name).into_iter().chain(settings).chain(more.iter().cloned());
        Ok(node::program(subcommand, settings)?.envs(given_stores()).folder(&self.folder))
    }

    /// Makes a campaign.
    pub async fn campaign(&self, node: &Node, body: &Value) -> anyhow::Result<()> {
        self.operate(node, Method::POST, "/v1/campaigns", body).await
    }

    /// What an operator does.
    pub async fn operate(&self, node: &Node, method: Method, path: &str, body: &Value) -> anyhow::Result<()> {
        send(node, &HttpRequest::new(method, path).bearer(OPERATOR).json(body.clone())).await.map(drop)
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
        let request = HttpRequest::new(Method::POST, format!("/v1/claims/{claim}/give-back"));
        send(node, &request.bearer(&token(user)?)).await.map(drop)
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
        let request = HttpRequest::new(method, format!("/v1/campaigns/{campaign}/{what}")).bearer(&token(user)?);
        send(node, &pass.into_iter().fold(request, |request, pass| request.header("Onrush-Pass", pass))).await
    }
}

async fn send(node: &Node, request: &HttpRequest) -> anyhow::Result<Value> {
    let answer = node.client.send(request).await.with_context(|| format!("no answer to {request:?}"))?;
    ensure!((200..300).contains(&answer.status), "{request:?}: {} {}", answer.status, answer.body);
    Ok(answer.body)
}

impl Node {
    /// SIGKILL.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Where the shop sends this user.
    pub fn entrance(&self, campaign: &str, user: &str) -> anyhow::Result<String> {
        Ok(format!("{}/rooms/{campaign}?token={}", self.url, token(user)?))
    }
}

//! The API against its own document: what it allows is taken, what it forbids is refused, and every answer is one that it
//! names. By tools that read nothing but the document; where they cannot run, these tests say so.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use onrush::app::Role;
use reqwest::Method;
use serde_json::json;
use tokio::process::Command;

use crate::support::installation::{Client, Installation, OPERATOR};
use crate::support::names;

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One of the tools; `None` where this machine cannot run them.
async fn tool(name: &str) -> Option<PathBuf> {
    let check = Command::new(checkout().join("dev/schemathesis")).arg("--check").output().await.unwrap();
    if !check.status.success() {
        let why = String::from_utf8_lossy(&check.stdout);
        // Not by a macro: what these print is kept to itself where a test passes.
        let _lost = writeln!(std::io::stderr(), "the API is not tried against its document: {}", why.trim());
        return None;
    }
    let program = checkout().join(".local/schemathesis/bin").join(name);
    assert!(program.exists(), "{name} is not installed, though it could be: `dev/schemathesis`");
    Some(program)
}

/// Runs it, and insists that it is content.
async fn is_content(mut command: Command) {
    let ended = command.stdin(Stdio::null()).env("NO_PROXY", "*").kill_on_drop(true).output().await.unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(ended.status.success(), "{}\n{}", said(&ended.stdout), said(&ended.stderr));
}

/// Things that the document's examples name.
async fn furnish(node: &Client) {
    let campaign = json!({"id": "WELCOME_001", "name": "Welcome coupon", "stock": 1_000_000, "per_user_limit": 100});
    assert_eq!(node.operator_sends(Method::POST, "/v1/campaigns", &campaign).await.status, 201);
    for _ in 0..42 {
        assert_eq!(node.claim("WELCOME_001", "alice").await.status, 201);
    }
    let room = json!({"id": "ROOM_001", "name": "Room", "stock": 1_000_000, "waiting": {"active_max": 1_000}});
    assert_eq!(node.operator_sends(Method::POST, "/v1/campaigns", &room).await.status, 201);
    let closing = json!({"id": "CLOSING_001", "name": "Over soon", "stock": 1});
    assert_eq!(node.operator_sends(Method::POST, "/v1/campaigns", &closing).await.status, 201);
    let post = json!({"title": "Opening day", "body": "Doors open at ten.\nOne for each."});
    let post = node.request(Method::POST, "/v1/posts").bearer_auth(node.token("alice")).json(&post);
    assert_eq!(node.send(post).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_valid() {
    let Some(python) = tool("python").await else { return };
    let node = Installation::new().await.node(Role::Serve).await;
    let document = node.get("/openapi.json").await;
    let file = std::env::temp_dir().join(names::unique("openapi"));
    std::fs::write(&file, document.body.to_string()).unwrap();
    let mut command = Command::new(python);
    command.args(["-m", "openapi_spec_validator"]).arg(&file);
    is_content(command).await;
    std::fs::remove_file(file).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_document_allows_is_taken_what_it_forbids_is_refused_and_every_answer_is_named() {
    let Some(schemathesis) = tool("schemathesis").await else { return };
    let installation = Installation::with(|config| config.waiting.heartbeat_ms = 1_000).await;
    let node = installation.node(Role::Serve).await;
    furnish(&node).await;
    let mut command = Command::new(schemathesis);
    // Beside its settings, where its hooks are.
    command.current_dir(checkout().join("tests/contract"));
    command.args(["run", &format!("{}/openapi.json", node.url), "--no-color"]);
    command.env("ONRUSH_USER_TOKEN", node.token("alice")).env("ONRUSH_OPERATOR_TOKEN", OPERATOR);
    // What Python compiles and remembers stays out of the checkout.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("HYPOTHESIS_STORAGE_DIRECTORY", checkout().join(".local/schemathesis/hypothesis"));
    is_content(command).await;
}

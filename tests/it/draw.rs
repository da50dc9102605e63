//! A draw as the public sees it, and what operators show of it: recomputed by the program from what was published.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use onrush::app::Role;
use onrush::clock::Millis;
use reqwest::Method;
use serde_json::json;

use crate::support::installation::Installation;
use crate::support::names;
use crate::support::process::Process;
use crate::support::stores::eventually;

async fn draw(installation: &Installation, words: &[&str]) -> Output {
    Process::command(installation, "draw").args(words).stderr(Stdio::piped()).output().await.unwrap()
}

/// A file below `.local/test/`, with a name of its own.
fn file(text: &str) -> PathBuf {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".local/test");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(names::unique("draw"));
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_that_was_drawn_is_printed_and_is_the_one_whose_hash_is_public() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let opens_at = Millis(Millis::now().0 + 2_500).to_rfc3339();
    let campaign = node.campaign(2, json!({"opens_at": opens_at, "waiting": {"active_max": 2, "order": "draw"}})).await;
    let (waiting, drawn) = (format!("/v1/campaigns/{campaign}/waiting"), format!("/v1/campaigns/{campaign}/draw"));
    for user in ["alice", "bob", "민지 2"] {
        assert_eq!(node.as_user(user, Method::POST, &waiting).await.status, 202);
    }
    assert_eq!(node.as_user("bob", Method::DELETE, &waiting).await.status, 204);
    let announced = node.get(&drawn).await;
    assert_eq!((announced.text("state"), &announced.body["seed"]), ("announced", &json!(null)));
    let undrawn = draw(&installation, &["list", &campaign]).await;
    assert_eq!((undrawn.status.code(), undrawn.stdout.len()), (Some(2), 0), "nothing is drawn yet");

    eventually("it is drawn", async || node.get(&drawn).await.text("state") == "drawn").await;
    let list = draw(&installation, &["list", &campaign]).await;
    assert_eq!((list.status.code(), list.stdout), (Some(0), "1 alice\n3 민지 2\n".into()));

    let published = node.get(&drawn).await.body;
    assert_eq!(published["seed_hash"], announced.body["seed_hash"]);
    let published = file(&published.to_string()).display().to_string();
    for (text, status) in [("1 alice\n3 민지 2\n", 0), ("1 alice\n2 민지 2\n", 1), ("1 alice\n", 1)] {
        let list = file(text).display().to_string();
        let verified = draw(&installation, &["verify", "--file", &published, "--list", &list, "--order"]).await;
        assert_eq!(verified.status.code(), Some(status), "{text}");
        assert_eq!(String::from_utf8_lossy(&verified.stdout).lines().count(), if status == 0 { 3 } else { 0 });
    }
}

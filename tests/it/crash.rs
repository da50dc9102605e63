//! What a client was told is so, whatever died meanwhile.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use onrush::app::Role;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::installation::{Answer, Client, Installation};
use crate::support::process::Process;
use crate::support::stores;

/// A rush without an end: on each client so many users at a time, each followed by the next, until the client's node is
/// gone or `over` is set. So requests are under way whenever something happens to a node.
struct Rush {
    answered: Arc<AtomicUsize>,
    over: CancellationToken,
    streams: Vec<JoinHandle<Heard>>,
}

/// Users who asked, and what they heard, if anything.
type Heard = Vec<(String, Option<Answer>)>;

impl Rush {
    fn start(clients: &[Client], campaign: &str, streams_each: usize) -> Self {
        let (answered, over) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let streams = (0..clients.len() * streams_each).map(|stream| {
            let (client, campaign) = (clients[stream % clients.len()].clone(), campaign.to_owned());
            let (answered, over) = (Arc::clone(&answered), over.clone());
            tokio::spawn(async move {
                let mut heard = Vec::new();
                while !over.is_cancelled() {
                    let user = format!("user-{stream}-{}", heard.len());
                    let answer = client.try_send(client.claim_request(&campaign, &user)).await.ok();
                    let gone = answer.is_none();
                    heard.push((user, answer));
                    if gone {
                        break;
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                heard
            })
        });
        Self { streams: streams.collect(), answered, over }
    }

    async fn until_answered(&self, count: usize) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        while self.answered.load(Ordering::Relaxed) < count {
            assert!(tokio::time::Instant::now() < deadline, "the rush does not get going");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Every user who asked, and what they heard, if anything.
    async fn end(self) -> Heard {
        self.over.cancel();
        join_all(self.streams).await.into_iter().flat_map(Result::unwrap).collect()
    }
}

/// A node killed with SIGKILL in mid-rush: every 201 that a client received is exactly one row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_takes_no_promise_with_it() {
    let installation = Installation::new().await;
    let survivor = installation.node(Role::All).await;
    let mut victim = Process::start(&installation, "all").await;
    let campaign = survivor.campaign(100_000, json!({})).await;
    let rush = Rush::start(&[survivor.client.clone(), installation.client(&victim.url)], &campaign, 32);
    rush.until_answered(1_000).await;
    victim.kill().await;
    let so_far = rush.answered.load(Ordering::Relaxed);
    rush.until_answered(so_far + 500).await;

    let answers = rush.end().await;
    let cut_off = answers.iter().filter(|(_, answer)| answer.is_none()).count();
    assert_eq!(cut_off, 32, "each of the dead node's streams ends with a request that was not answered");
    let mut promised = BTreeSet::new();
    for (user, answer) in &answers {
        if let Some(answer) = answer.as_ref().filter(|answer| answer.status == 201) {
            assert!(promised.insert((answer.number("number"), user.clone())), "{answer:?} was promised twice");
        }
    }
    assert!(promised.len() >= 1_500);
    let audit = survivor.audit_ok(&campaign).await;
    assert_eq!((audit.number("doubled"), audit.number("oversold"), audit.number("missing")), (0, 0, 0));

    let rows = stores::claim_rows(&installation.config, &campaign).await;
    let in_database: BTreeSet<_> = rows.iter().cloned().collect();
    assert_eq!(in_database.len(), rows.len(), "a claim has two rows");
    let lost: Vec<_> = promised.difference(&in_database).collect();
    assert!(lost.is_empty(), "promised and not there: {lost:?}");
    let users: BTreeSet<_> = in_database.iter().map(|(_, user)| user).collect();
    assert_eq!(users.len(), in_database.len(), "a user has two");
}

/// SIGTERM: what was accepted is answered, and the process ends by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_told_to_stop_finishes_what_it_accepted() {
    let installation = Installation::new().await;
    let survivor = installation.node(Role::All).await;
    let mut leaving = Process::start(&installation, "serve").await;
    let campaign = survivor.campaign(100_000, json!({})).await;
    let rush = Rush::start(&[installation.client(&leaving.url)], &campaign, 64);
    rush.until_answered(500).await;
    let status = leaving.terminate().await;
    assert!(status.success(), "{status}");
    let answers = rush.end().await;
    let promised = answers.iter().filter(|(_, answer)| answer.as_ref().is_some_and(|it| it.status == 201)).count();
    let audit = survivor.audit_ok(&campaign).await;
    assert_eq!(audit.number("live"), promised as u64, "a unit was taken and its user did not hear so");
}

/// The program's own verdict, in one line and an exit status.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_command_says_in_a_line_and_a_status_how_it_stands() {
    let installation = Installation::new().await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(5, json!({})).await;
    node.claim(&campaign, "alice").await;
    let audit = async |arguments: &[&str]| {
        let mut command = Process::command(&installation, "audit");
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.output().await.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, line) = audit(&[&campaign, "--wait", "30s"]).await;
    assert_eq!((status, line.lines().count()), (Some(0), 1), "{line}");
    assert!(line.contains(&campaign) && line.contains("ok"), "{line}");
    let (status, lines) = audit(&["--wait", "30s"]).await;
    assert_eq!((status, lines.lines().count()), (Some(0), 1), "{lines}");
    assert_eq!(audit(&["nothing"]).await.0, Some(2));
}

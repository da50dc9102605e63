//! What a client was told is so, whatever died meanwhile.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use futures::future::join_all;
use onrush::app::Role;
use serde_json::json;

use crate::support::installation::Installation;
use crate::support::process::Process;

/// A node killed with SIGKILL in mid-rush: every 201 that a client received is exactly one row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_takes_no_promise_with_it() {
    let installation = Installation::new().await;
    let survivor = installation.node(Role::All).await;
    let mut victim = Process::start(&installation, "all").await;
    let doomed = installation.client(&victim.url);
    let campaign = survivor.campaign(3_000, json!({})).await;

    let clients = [survivor.client.clone(), doomed];
    let calls = (0..4_000).map(|user| {
        let (client, campaign) = (clients[user % 2].clone(), campaign.clone());
        tokio::spawn(async move {
            let answer = client.try_send(client.claim_request(&campaign, &format!("user-{user}"))).await;
            (format!("user-{user}"), answer.ok())
        })
    });
    let calls: Vec<_> = calls.collect();
    // In the middle: when a good part of the units is gone, and requests are under way.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while survivor.view(&campaign).await.number("claimed") < 600 {
        assert!(tokio::time::Instant::now() < deadline, "the rush does not get going");
    }
    victim.kill().await;

    let answers: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    let unanswered = answers.iter().filter(|(_, answer)| answer.is_none()).count();
    assert!(unanswered > 0, "nobody was cut off: the node died too late to show anything");
    let mut promised = BTreeSet::new();
    for (user, answer) in &answers {
        if let Some(answer) = answer.as_ref().filter(|answer| answer.status == 201) {
            assert!(promised.insert((answer.number("number"), user.clone())), "{answer:?} was promised twice");
        }
    }
    let audit = survivor.audit_ok(&campaign).await;
    assert_eq!((audit.number("doubled"), audit.number("oversold"), audit.number("missing")), (0, 0, 0));

    let rows = crate::support::stores::claim_rows(&installation.config, &campaign).await;
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
    let client = installation.client(&leaving.url);
    let campaign = survivor.campaign(5_000, json!({})).await;
    let calls: Vec<_> = (0..2_000)
        .map(|user| {
            let (client, campaign) = (client.clone(), campaign.clone());
            tokio::spawn(
                async move { client.try_send(client.claim_request(&campaign, &format!("user-{user}"))).await.ok() },
            )
        })
        .collect();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while survivor.view(&campaign).await.number("claimed") < 200 {
        assert!(tokio::time::Instant::now() < deadline, "the rush does not get going");
    }
    let status = leaving.terminate().await;
    assert!(status.success(), "{status}");
    let answers: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    let promised = answers.iter().flatten().filter(|answer| answer.status == 201).count() as u64;
    let audit = survivor.audit_ok(&campaign).await;
    assert_eq!(audit.number("live"), promised, "a unit was taken and its user did not hear so");
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

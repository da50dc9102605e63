//! Invariant 11: what is beyond a limit is refused before a unit is taken.

use futures::future::join_all;
use onrush::app::Role;
use serde_json::json;

use crate::support::installation::Installation;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_outbox_refuses_claims_before_a_unit_is_taken() {
    let installation = Installation::with(|config| config.campaign.outbox_facts_max = 11).await;
    // It only serves: nobody empties the outbox.
    let node = installation.node(Role::Serve).await;
    // The first fact is the campaign's own.
    let campaign = node.campaign(100, json!({})).await;
    let answers = join_all((0..30).map(|user| {
        let (client, campaign) = (node.client.clone(), campaign.clone());
        async move { client.claim(&campaign, &format!("user-{user}")).await }
    }))
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 10);
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 201).collect();
    assert!(refused.iter().all(|answer| answer.outcome() == "503 unavailable"), "{refused:?}");
    assert!(refused.iter().all(|answer| answer.header("retry-after").is_some()));
    assert_eq!(node.view(&campaign).await.number("left"), 90);
    let holder = answers.iter().find(|answer| answer.status == 201).unwrap();
    assert_eq!(node.give_back(holder).await.outcome(), "503 unavailable", "a give-back is a fact too");

    // A worker empties it, and claims go on: nothing of it was lost.
    let worker = installation.node(Role::Work).await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while node.claim(&campaign, "late").await.status == 503 {
        assert!(tokio::time::Instant::now() < deadline, "the outbox stays full");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let audit = node.audit_ok(&campaign).await;
    assert_eq!((audit.number("rows"), audit.number("gaps")), (11, 0));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_in_flight_beyond_the_limit_are_refused_and_take_nothing() {
    let installation = Installation::with(|config| {
        config.claim.campaign_in_flight_max = 4;
        config.claim.batch_max = 1;
    })
    .await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(1_000, json!({})).await;
    let calls = (0..400).map(|user| {
        let (client, campaign) = (node.client.clone(), campaign.clone());
        tokio::spawn(async move { client.claim(&campaign, &format!("user-{user}")).await })
    });
    let answers: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    let granted = answers.iter().filter(|answer| answer.status == 201).count() as u64;
    let refused = answers.iter().filter(|answer| answer.outcome() == "503 unavailable").count() as u64;
    assert_eq!(granted + refused, 400);
    assert!(refused > 0, "400 at once were never more than 4 in flight");
    assert_eq!(node.view(&campaign).await.number("left"), 1_000 - granted);
    node.audit_ok(&campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_wait_and_are_served() {
    let installation = Installation::with(|config| config.http.connections_max = 3).await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(100, json!({})).await;
    // Each call on a connection of its own, which it closes.
    let calls = (0..30).map(|user| {
        let (installation, campaign, url) = (&installation, &campaign, &node.url);
        async move {
            let client = installation.client(url);
            let request = client.claim_request(campaign, &format!("user-{user}")).header("connection", "close");
            client.send(request).await.status
        }
    });
    // The node's own client holds one connection of the three.
    assert_eq!(join_all(calls).await, vec![201; 30]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_dawdles_is_answered_and_changes_nothing() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let installation = Installation::with(|config| config.http.request_timeout_ms = 300).await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(5, json!({})).await;
    let address = node.url.strip_prefix("http://").unwrap().to_owned();
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let token = node.token("alice");
    let head = format!(
        "POST /v1/campaigns/{campaign}/claims HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\"unavailable\""), "{answer}");
    assert_eq!(node.view(&campaign).await.number("left"), 5);
}

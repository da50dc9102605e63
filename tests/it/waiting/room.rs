//! What the tests of waiting rooms do all the time, named by intent.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use onrush::clock::Millis;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::installation::{Answer, Client};
use crate::support::stores::PATIENCE;

/// The waiting room of a campaign.
pub(super) fn path(campaign: &str) -> String {
    format!("/v1/campaigns/{campaign}/waiting")
}

/// A campaign of this stock, with a waiting room.
pub(super) async fn open(client: &Client, stock: u64, waiting: Value) -> String {
    client.campaign(stock, json!({"waiting": waiting})).await
}

pub(super) fn in_ms(ms: i64) -> String {
    Millis(Millis::now().0 + ms).to_rfc3339()
}

pub(super) async fn join(client: &Client, campaign: &str, user: &str) -> Answer {
    client.as_user(user, Method::POST, &path(campaign)).await
}

pub(super) async fn look(client: &Client, campaign: &str, user: &str) -> Answer {
    client.as_user(user, Method::GET, &path(campaign)).await
}

/// Asks with a ticket.
pub(super) async fn show(client: &Client, campaign: &str, user: &str, ticket: &str) -> Answer {
    let request = client.request(Method::GET, &path(campaign)).bearer_auth(client.token(user));
    client.send(request.header("Onrush-Ticket", ticket)).await
}

pub(super) async fn leave(client: &Client, campaign: &str, user: &str) {
    let answer = client.as_user(user, Method::DELETE, &path(campaign)).await;
    assert_eq!((answer.status, &answer.body), (204, &json!("")), "{answer:?}");
}

pub(super) fn pressed(client: &Client, campaign: &str, user: &str, pass: &str) -> RequestBuilder {
    client.claim_request(campaign, user).header("Onrush-Pass", pass)
}

pub(super) async fn claim(client: &Client, campaign: &str, user: &str, pass: &str) -> Answer {
    client.send(pressed(client, campaign, user, pass)).await
}

/// Asks until the user stands so; the answer that said it.
pub(super) async fn until(client: &Client, campaign: &str, user: &str, state: &str) -> Answer {
    let begin = Instant::now();
    loop {
        let answer = look(client, campaign, user).await;
        if answer.text("state") == state {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "{user} is still not {state}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

/// Joins, waits for the turn and answers the pass.
pub(super) async fn pass_of(client: &Client, campaign: &str, user: &str) -> String {
    join(client, campaign, user).await;
    until(client, campaign, user, "admitted").await.text("pass").to_owned()
}

/// Many who join at once, in turn at each of these nodes.
pub(super) async fn join_all_at_once(clients: &[&Client], campaign: &str, users: &[String]) -> Vec<Answer> {
    let joins = users.iter().enumerate().map(|(index, user)| {
        let (client, campaign, user) = (clients[index % clients.len()].clone(), campaign.to_owned(), user.clone());
        tokio::spawn(async move { join(&client, &campaign, &user).await })
    });
    join_all(joins).await.into_iter().map(Result::unwrap).collect()
}

pub(super) async fn figures(client: &Client, campaign: &str) -> Answer {
    client.as_operator(Method::GET, &format!("/v1/ops/waiting/{campaign}")).await
}

/// An operator stops the admission, or lets it go on.
pub(super) async fn switch(client: &Client, campaign: &str, verb: &str) -> Answer {
    let answer = client.as_operator(Method::POST, &format!("/v1/ops/waiting/{campaign}/{verb}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

pub(super) async fn patch(client: &Client, campaign: &str, change: &Value) -> Answer {
    client.operator_sends(Method::PATCH, &format!("/v1/campaigns/{campaign}"), change).await
}

/// The names of a body's members.
pub(super) fn members(answer: &Answer) -> BTreeSet<&str> {
    answer.body.as_object().unwrap_or_else(|| panic!("no object: {answer:?}")).keys().map(String::as_str).collect()
}

pub(super) fn assert_members(answer: &Answer, expected: &[&str]) {
    assert_eq!(members(answer), expected.iter().copied().collect(), "{answer:?}");
}

/// The time in a member, in ms.
pub(super) fn time(answer: &Answer, member: &str) -> i64 {
    Millis::parse(answer.text(member)).unwrap_or_else(|| panic!("no time {member}: {answer:?}")).0
}

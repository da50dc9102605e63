//! Authors and readers who hang up before they are answered: what they began is finished, and every node knows of it.

use std::time::Duration;

use onrush::app::Role;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use sqlx::query_scalar;

use super::desk::{Desk, path};
use crate::support::hang_up::hang_up_after;
use crate::support::installation::{Client, TestNode};
use crate::support::stores::eventually;

/// Nodes that serve and have no lanes: nothing but who was asked tells anybody. What is kept does not expire meanwhile.
async fn two_nodes() -> (Desk, TestNode) {
    let desk = Desk::with(|config| {
        (config.cache.ttl_ms, config.cache.local_ttl_ms) = (86_400_000, 60_000);
    })
    .await;
    let other = desk.installation.node(Role::Serve).await;
    (desk, other)
}

/// Hangs up after 0 to 12 ms, in turns. Answers how many were not answered by then.
async fn hang_up_on(count: usize, request: impl Fn(usize) -> RequestBuilder) -> usize {
    let mut unanswered = 0;
    for place in 0..count {
        let after = Duration::from_millis(place as u64 % 13);
        unanswered += usize::from(!hang_up_after(request(place), after).await);
    }
    unanswered
}

/// Those of these posts that strangers may not read, by the word of the database.
async fn withdrawn(desk: &Desk, posts: &[String]) -> Vec<String> {
    let ids: Vec<i64> = posts.iter().map(|post| post.parse().unwrap()).collect();
    query_scalar(
        "SELECT lpad(post_id::text, 19, '0') FROM posts
         WHERE post_id = ANY ($1) AND (deleted_at IS NOT NULL OR inspection <> 'passed')",
    )
    .bind(ids)
    .fetch_all(&desk.database)
    .await
    .unwrap()
}

async fn readable<'a>(node: &Client, posts: &'a [String]) -> Vec<&'a String> {
    let mut readable = Vec::new();
    for post in posts {
        if node.get(&path(post)).await.status == 200 {
            readable.push(post);
        }
    }
    readable
}

/// All that the database calls withdrawn is withdrawn at both nodes, and the rest is not.
async fn is_told(desk: &Desk, other: &Client, posts: &[String]) {
    eventually("no node answers what is withdrawn", async || {
        let gone = withdrawn(desk, posts).await;
        readable(other, &gone).await.is_empty() && readable(&desk.node, &gone).await.is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_whose_author_hung_up_on_its_deletion_or_edit_is_read_nowhere() {
    let (desk, other) = Box::pin(two_nodes()).await;
    let posts = desk.publish("author", 390).await;
    assert_eq!(readable(&other, &posts).await.len(), 390);
    let node = &desk.node;
    let unanswered = hang_up_on(390, |place| {
        let request = |method| node.request(method, &path(&posts[place])).bearer_auth(node.token("author"));
        // Thirteen of each kind, so that each is hung up on after each time.
        if place / 13 % 2 == 0 {
            request(Method::DELETE)
        } else {
            request(Method::PATCH).json(&json!({"title": "another"}))
        }
    })
    .await;
    assert!(unanswered >= 30, "only {unanswered} were hung up on");
    // On a busy machine some hung up before the node had read what they want: that was not begun.
    let answered = 390 - unanswered;
    eventually("what was answered is done", async || withdrawn(&desk, &posts).await.len() >= answered).await;
    is_told(&desk, &other, &posts).await;
    // Nothing more comes, or it is told as well.
    tokio::time::sleep(Duration::from_secs(2)).await;
    is_told(&desk, &other, &posts).await;
    assert!(withdrawn(&desk, &posts).await.len() > answered, "nobody hung up in the middle of anything");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_whose_user_hung_up_is_in_the_feed_at_every_node_or_not_at_all() {
    let (desk, other) = Box::pin(two_nodes()).await;
    let authors: Vec<String> = (0..30).map(|author| format!("author-{author}")).collect();
    for author in &authors {
        desk.publish(author, 1).await;
    }
    let node = &desk.node;
    for round in 0..10 {
        // Odd rounds end what even ones began.
        let method = || if round % 2 == 0 { Method::PUT } else { Method::DELETE };
        let request = |place: usize| {
            let path = format!("/v1/subscriptions/{}", authors[place]);
            node.request(method(), &path).bearer_auth(node.token("reader"))
        };
        assert!(other.feed("reader", "?limit=100").await.0.len() <= 30);
        hang_up_on(30, request).await;
        eventually("the feed is what the database says", async || {
            let due = desk.inbox("reader").await;
            let (read, also_read) =
                (other.feed("reader", "?limit=100").await.0, node.feed("reader", "?limit=100").await.0);
            due == read && due == also_read
        })
        .await;
    }
}

//! The feed: its order, its pages while new posts arrive, and what is left out.

use reqwest::Method;
use serde_json::{Value, json};

use super::desk::{Desk, path};
use crate::support::stores::eventually;

/// Newest first.
fn reversed(ids: &[String]) -> Vec<String> {
    ids.iter().rev().cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_has_passed_posts_of_those_one_follows_newest_first() {
    let desk = Desk::new().await;
    let node = &desk.node;
    for author in ["bob", "carol", "alice"] {
        assert_eq!(node.subscribe("alice", author).await.outcome(), "204");
    }
    let mut due = Vec::new();
    for author in ["bob", "carol", "alice", "bob"] {
        due.extend(desk.publish(author, 1).await);
    }
    desk.publish("nobody", 1).await;
    node.post("alice", "my own, still pending").await;
    let answer = node.as_user("alice", Method::GET, "/v1/feed").await;
    assert_eq!(node.feed("alice", "").await, (reversed(&due), None));
    assert_eq!((&answer.body["next"], answer.header("cache-control")), (&Value::Null, Some("no-store")));
    let mut members: Vec<&String> = answer.body["items"][0].as_object().unwrap().keys().collect();
    members.sort();
    let expected =
        ["author", "author_id", "body", "category", "inspection", "post_id", "published_at", "tags", "title"];
    assert_eq!(members, expected);
    let (first, author) = (&answer.body["items"][0], Value::Null);
    assert_eq!((&first["author"], &first["category"]), (&author, &json!("general")), "nobody knows bob's name here");

    let request = || node.request(Method::GET, "/v1/feed").bearer_auth(node.token("alice"));
    let tag = answer.header("etag").unwrap();
    assert_eq!(node.send(request().header("if-none-match", tag)).await.status, 304);
    desk.publish("bob", 1).await;
    assert_eq!(node.send(request().header("if-none-match", tag)).await.status, 200);
    for bad in ["?limit=0", "?limit=101", "?after=x", "?after=eA", "?after=LTE", "?x=1", "?limit=1&limit=1"] {
        let answer = node.as_user("alice", Method::GET, &format!("/v1/feed{bad}")).await;
        assert_eq!(answer.outcome(), "400 invalid_request", "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_have_no_gaps_and_no_doubles_while_new_posts_arrive() {
    // Ten are kept: most pages come from below them.
    let desk = Desk::with(|config| config.feed.newest_max = 10).await;
    let node = &desk.node;
    for author in ["bob", "carol"] {
        node.subscribe("alice", author).await;
    }
    let mut due = Vec::new();
    for _ in 0..15 {
        due.extend(desk.publish("bob", 2).await);
        due.extend(desk.publish("carol", 1).await);
    }
    for limit in [1, 7, 45, 100] {
        let read = node.whole_feed("alice", limit, async || drop(desk.publish("bob", 1).await)).await;
        assert_eq!(read, reversed(&due), "pages of {limit}");
        due = reversed(&node.whole_feed("alice", 100, async || {}).await);
    }
    assert!(due.len() > 45 + 44, "new ones did arrive: {}", due.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authors_who_are_read_stand_among_those_who_are_delivered() {
    for read_authors_max in [10, 1] {
        // With one at most, two were followed before they had so many subscribers.
        let desk = Desk::with(|config| {
            config.feed.newest_max = 10;
            config.feed.read_authors_max = read_authors_max;
        })
        .await;
        let node = &desk.node;
        let mut due = Vec::new();
        for author in ["bob", "star", "moon"] {
            node.subscribe("alice", author).await;
            due.extend(desk.publish(author, 2).await);
        }
        for star in ["star", "moon"] {
            desk.read_instead(star).await;
        }
        for count in [1, 3, 12, 2, 5] {
            for author in ["star", "bob", "moon"] {
                due.extend(desk.publish(author, count).await);
            }
        }
        for limit in [4, 7, 100] {
            let read = node.whole_feed("alice", limit, async || drop(desk.publish("star", 1).await)).await;
            let read: Vec<String> = read.into_iter().filter(|id| due.contains(id)).collect();
            assert_eq!(read, reversed(&due), "pages of {limit}");
        }
        assert_eq!(desk.inbox("alice").await.len(), 29, "two of each were delivered before, and 23 of bob's");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_passed_any_more_is_left_out_and_the_page_filled() {
    let desk = Desk::new().await;
    let node = &desk.node;
    node.subscribe("alice", "bob").await;
    let posts = desk.publish("bob", 20).await;
    // They stay in the inbox: the lanes that take them out do not run here.
    for id in &posts[6..12] {
        node.user_sends("bob", Method::PATCH, &path(id), &json!({"title": "u"})).await;
    }
    for id in &posts[12..18] {
        node.as_user("bob", Method::DELETE, &path(id)).await;
    }
    let due = [reversed(&posts[18..]), reversed(&posts[..6])].concat();
    eventually("all changes are seen", async || node.feed("alice", "").await.0 == due).await;
    let (first, next) = node.feed("alice", "?limit=4").await;
    assert_eq!(first, due[..4], "filled up with what comes after");
    assert_eq!(node.feed("alice", &format!("?limit=4&after={}", next.unwrap())).await, (due[4..].to_vec(), None));
    desk.pass(&posts[11]).await;
    eventually("one is there again", async || node.feed("alice", "?limit=3").await.0[2] == posts[11]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_which_too_much_is_gone_is_short_and_says_where_to_go_on() {
    let desk = Desk::new().await;
    let node = &desk.node;
    node.subscribe("alice", "bob").await;
    let posts = desk.publish("bob", 40).await;
    sqlx::query("UPDATE posts SET inspection = 'pending' WHERE post_id > $1 AND post_id <= $2")
        .bind(posts[0].parse::<i64>().unwrap())
        .bind(posts[38].parse::<i64>().unwrap())
        .execute(&desk.database)
        .await
        .unwrap();
    let (first, next) = node.feed("alice", "?limit=2").await;
    assert_eq!(first, posts[39..]);
    assert!(next.is_some(), "it has not come to the end");
    let all = node.whole_feed("alice", 2, async || {}).await;
    assert_eq!(all, [posts[39].clone(), posts[0].clone()]);
}

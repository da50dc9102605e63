//! Who reads whom: what a subscription brings, what its end takes away, and its limits.

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use sqlx::query;

use super::desk::{Desk, path};
use crate::support::stores::eventually;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_follow_and_to_stop_are_done_once_however_often_they_are_asked() {
    let desk = Desk::new().await;
    let node = &desk.node;
    for _ in 0..2 {
        let answer = node.subscribe("alice", "bob").await;
        assert_eq!((answer.outcome().as_str(), answer.header("cache-control")), ("204", Some("no-store")));
    }
    assert_eq!(node.subscribe("alice", "alice").await.outcome(), "204", "oneself, too");
    assert_eq!(node.subscribe("alice", "%EB%AF%BC%EC%A7%80").await.outcome(), "204");
    assert_eq!(desk.count("SELECT count(*) FROM subscriptions WHERE user_id = 'alice'").await, 3);
    assert_eq!(desk.count("SELECT count(*) FROM subscriptions WHERE author_id = '민지'").await, 1);
    for _ in 0..2 {
        assert_eq!(node.unsubscribe("alice", "bob").await.outcome(), "204");
    }
    assert_eq!(desk.count("SELECT count(*) FROM subscriptions WHERE author_id = 'bob'").await, 0);
    for bad in ["%00", "a%0Ab", &"x".repeat(129), "%FF"] {
        for answer in [node.subscribe("alice", bad).await, node.unsubscribe("alice", bad).await] {
            assert_eq!(answer.outcome(), "400 invalid_request", "{bad}");
        }
    }
    let body = node.user_sends("alice", Method::PUT, "/v1/subscriptions/bob", &json!({"surprise": 1})).await;
    assert_eq!(body.outcome(), "400 invalid_request");
    assert_eq!(desk.count("SELECT count(*) FROM subscriptions").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_brings_the_newest_passed_posts_and_its_end_takes_them_away() {
    let desk = Desk::with(|config| config.feed.newest_max = 10).await;
    let node = &desk.node;
    let posts = desk.publish("bob", 12).await;
    let (edited, deleted) = (&posts[5], &posts[7]);
    assert_eq!(node.user_sends("bob", Method::PATCH, &path(edited), &json!({"title": "u"})).await.status, 200);
    assert_eq!(node.as_user("bob", Method::DELETE, &path(deleted)).await.status, 204);
    node.post("bob", "still pending").await;
    let others = desk.publish("carol", 3).await;
    assert_eq!(node.feed("alice", "").await, (vec![], None), "nobody is followed yet");

    assert_eq!(node.subscribe("alice", "bob").await.outcome(), "204");
    let mut due: Vec<String> = posts.iter().filter(|id| ![edited, deleted].contains(id)).cloned().collect();
    due.reverse();
    assert_eq!(desk.inbox("alice").await, due, "the newest ten that are passed");
    assert_eq!(node.feed("alice", "").await, (due.clone(), None));

    assert_eq!(node.subscribe("alice", "carol").await.outcome(), "204");
    assert_eq!(node.feed("alice", "?limit=3").await.0, others.iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(node.unsubscribe("alice", "bob").await.outcome(), "204");
    assert_eq!(desk.inbox("alice").await.len(), 3);
    assert_eq!(node.feed("alice", "").await.0.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_may_follow_so_many_authors_and_no_more() {
    let desk = Desk::with(|config| config.feed.subscriptions_max = 3).await;
    let node = &desk.node;
    // The later users' wishes meet a pool whose connections are all open: they are at it together.
    for user in ["alice", "bob", "carol", "dan", "erin"] {
        let wishes = (0..12).map(|n| {
            let client = node.client.clone();
            async move { client.subscribe(user, &format!("author-{n}")).await }
        });
        let answers = join_all(wishes).await;
        assert_eq!(answers.iter().filter(|answer| answer.outcome() == "204").count(), 3, "{user}");
        let refused = answers.iter().find(|answer| answer.status != 204).unwrap();
        assert_eq!(refused.outcome(), "400 invalid_request");
        assert_eq!(refused.body["errors"][0]["pointer"], "path/author_id");
        assert!(refused.text("detail").contains('3'), "it says how many: {refused:?}");
    }
    assert_eq!(desk.count("SELECT count(*) FROM subscriptions").await, 15);

    let followed: String = sqlx::query_scalar("SELECT min(author_id) FROM subscriptions WHERE user_id = 'alice'")
        .fetch_one(&desk.database)
        .await
        .unwrap();
    assert_eq!(node.subscribe("alice", &followed).await.outcome(), "204", "whom one follows already");
    assert_eq!(node.subscribe("fay", "author-0").await.outcome(), "204", "others have their own");
    assert_eq!(node.unsubscribe("alice", &followed).await.outcome(), "204");
    assert_eq!(node.subscribe("alice", "another").await.outcome(), "204");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_author_who_is_read_brings_nothing_and_has_a_limit_of_its_own() {
    let desk = Desk::with(|config| config.feed.read_authors_max = 1).await;
    let node = &desk.node;
    for star in ["star", "moon"] {
        desk.read_instead(star).await;
        desk.publish(star, 3).await;
    }
    assert_eq!(node.subscribe("alice", "star").await.outcome(), "204");
    assert_eq!(desk.count("SELECT count(*) FROM inbox").await, 0);
    assert_eq!(node.feed("alice", "").await.0.len(), 3, "they are read");
    let refused = node.subscribe("alice", "moon").await;
    assert_eq!(refused.outcome(), "400 invalid_request");
    assert_eq!(refused.body["errors"][0]["pointer"], "path/author_id");
    assert_eq!(node.subscribe("alice", "bob").await.outcome(), "204");
    assert_eq!(desk.count("SELECT count(*) FROM subscriptions").await, 2);
    assert_eq!(node.unsubscribe("alice", "star").await.outcome(), "204");
    assert_eq!(node.feed("alice", "").await.0.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_subscribes_while_a_post_is_delivered_has_it_once() {
    let desk = Desk::new().await;
    // A delivery to nobody yet, which has not ended.
    let mut delivery = desk.database.begin().await.unwrap();
    query("SELECT pg_advisory_xact_lock(hashtextextended('onrush-author-' || current_schema() || $1, 0))")
        .bind("bob")
        .execute(&mut *delivery)
        .await
        .unwrap();
    let client = desk.node.client.clone();
    let wish = tokio::spawn(async move { client.subscribe("alice", "bob").await });
    let waits = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                 WHERE l.locktype = 'advisory' AND NOT l.granted AND a.query LIKE '%onrush-author-%'
                   AND l.mode = 'ShareLock'";
    eventually("it waits for the delivery", async || desk.count(waits).await > 0 || wish.is_finished()).await;
    assert!(!wish.is_finished(), "it did not wait");
    query("INSERT INTO posts (author_id, title, body, inspection) VALUES ('bob', 't', 'b', 'passed')")
        .execute(&mut *delivery)
        .await
        .unwrap();
    delivery.commit().await.unwrap();
    assert_eq!(wish.await.unwrap().outcome(), "204");
    assert_eq!(desk.inbox("alice").await.len(), 1);
}

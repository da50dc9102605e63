//! Search over HTTP: its answers, its cache headers, its errors.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use onrush::app::Role;
use onrush::feed::search::SearchError;
use reqwest::Method;
use serde_json::json;

use super::support::Library;
use crate::support::installation::{Answer, Client};
use crate::support::stores;

async fn ask(client: &Client, query: &[(&str, &str)]) -> Answer {
    client.get(&path(query)).await
}

fn path(query: &[(&str, &str)]) -> String {
    let mut encoded = form_urlencoded::Serializer::new(String::new());
    format!("/v1/search?{}", encoded.extend_pairs(query).finish())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anyone_finds_posts_with_all_members_and_marked_hits() {
    let library = Library::new().await;
    let post = library.add("<선착순> 할인쿠폰", "이번 주 쿠폰을 드립니다.", &["이벤트"]).await;
    let node = library.installation.node(Role::Serve).await;
    let answer = ask(&node, &[("q", "쿠폰")]).await;
    assert_eq!(answer.outcome(), "200", "{answer:?}");
    let mut item = answer.body["items"][0].clone();
    let published_at = item.as_object_mut().unwrap().remove("published_at").unwrap();
    assert!(published_at.as_str().unwrap().ends_with('Z'), "{published_at}");
    let expected = json!({
        "post_id": post.to_string(), "author_id": "author", "title": "<선착순> 할인쿠폰", "body": "이번 주 쿠폰을 드립니다.",
        "category": "news", "tags": ["이벤트"], "inspection": "passed",
        "highlights": {"title": "&lt;선착순&gt; 할인<mark>쿠폰</mark>", "body": "이번 주 <mark>쿠폰</mark>을 드립니다."},
    });
    assert_eq!((item, &answer.body["next"]), (expected, &json!(null)));

    // Good for a second, and not sent again to who has it.
    assert_eq!(answer.header("cache-control"), Some("public, max-age=1"));
    let tag = answer.header("etag").unwrap();
    let request = node.request(Method::GET, &path(&[("q", "쿠폰")])).header("if-none-match", tag);
    assert_eq!(node.send(request).await.status, 304);

    for nothing in ["없는말", "!?…", "🎉", "   "] {
        let answer = ask(&node, &[("q", nothing)]).await;
        assert_eq!((answer.status, answer.body), (200, json!({"items": [], "next": null})), "{nothing}");
    }
    // What is gone is found no more, a second later at the latest.
    library.change("UPDATE posts SET inspection = 'rejected' WHERE post_id = $1", post).await;
    stores::eventually("the post is gone", async || ask(&node, &[("q", "쿠폰")]).await.body["items"] == json!([]))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_follow_each_other_to_the_end() {
    let library = Library::new().await;
    for number in 0..7 {
        library.add(&format!("소식 {number}"), "쿠폰", &[]).await;
    }
    let node = library.installation.node(Role::Serve).await;
    let mut titles = Vec::new();
    let mut after = String::new();
    for page_no in 1..=3 {
        let mut query = vec![("q", "쿠폰"), ("limit", "3")];
        if page_no > 1 {
            query.push(("after", &after));
        }
        let answer = ask(&node, &query).await;
        assert_eq!(answer.outcome(), "200", "{answer:?}");
        titles.extend(answer.body["items"].as_array().unwrap().iter().map(|item| item["title"].to_string()));
        assert_eq!(answer.body["next"].is_null(), page_no == 3);
        after = answer.text("next").to_owned();
    }
    let expected: Vec<_> = (0..7).rev().map(|number| format!("\"소식 {number}\"")).collect();
    assert_eq!(titles, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_question_is_refused_by_name() {
    let library = Library::new().await;
    let node = library.installation.node(Role::Serve).await;
    let (longest, too_long) = ("쿠".repeat(200), "쿠".repeat(201));
    assert_eq!(ask(&node, &[("q", &longest)]).await.outcome(), "200");
    for (query, pointer) in [
        (vec![], "query/q"),
        (vec![("q", "")], "query/q"),
        (vec![("q", too_long.as_str())], "query/q"),
        (vec![("q", "쿠\0폰")], "query/q"),
        (vec![("q", "a"), ("q", "b")], "query/q"),
        (vec![("q", "a"), ("limit", "0")], "query/limit"),
        (vec![("q", "a"), ("limit", "101")], "query/limit"),
        (vec![("q", "a"), ("after", "x")], "query/after"),
        (vec![("q", "a"), ("after", "MQ")], "query/after"),
        (vec![("q", "a"), ("sort", "new")], "query/sort"),
    ] {
        let answer = ask(&node, &query).await;
        assert_eq!(answer.outcome(), "400 invalid_request", "{query:?}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{query:?}");
    }
    assert_eq!(node.send(node.request(Method::POST, "/v1/search")).await.outcome(), "405 method_not_allowed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_beyond_the_limit_are_told_to_come_back() {
    let library = Library::with(|config| {
        config.search.in_flight_max = 1;
        config.search.wait_ms_max = 50;
    })
    .await;
    let post = library.add("쿠폰", "본문", &[]).await;
    // Whoever holds the table holds up the search that is under way.
    let mut holder = library.database.begin().await.unwrap();
    sqlx::query("LOCK TABLE post_search").execute(&mut *holder).await.unwrap();
    let mut under_way = FuturesUnordered::new();
    for _ in 0..3 {
        let searcher = library.searcher.clone();
        under_way.push(tokio::spawn(async move { searcher.search("쿠폰", None, 20).await }));
    }
    for _ in 0..2 {
        let refused = under_way.next().await.unwrap().unwrap().unwrap_err();
        assert!(matches!(refused, SearchError::TooManyInFlight), "{refused}");
    }
    holder.rollback().await.unwrap();
    let found = under_way.next().await.unwrap().unwrap().unwrap();
    assert_eq!(found.hits[0].post.post_id, post);
    assert_eq!(library.find("쿠폰").await, [post], "there is room again");
}

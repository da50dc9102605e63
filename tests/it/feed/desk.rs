//! What the lanes do to posts, done by hand: nodes that only serve run none, so a test decides what is inspected and delivered.

use std::sync::Arc;

use onrush::app::Role;
use onrush::cache::Cache;
use onrush::config::Config;
use onrush::database::{self, Database};
use onrush::feed::{Feed, PostId};
use onrush::redis::Redis;
use onrush::upstream::Users;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{query, query_scalar};

use crate::support::installation::{Answer, Client, Installation, TestNode};
use crate::support::stores::eventually;

/// A node that serves, and the hand behind it.
pub(super) struct Desk {
    pub(super) node: TestNode,
    pub(super) database: Database,
    pub(super) installation: Installation,
    feed: Feed,
}

impl Desk {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let installation = Installation::with(change).await;
        let node = installation.node(Role::Serve).await;
        let config = &installation.config;
        let database = database::open(&config.postgres).unwrap();
        let redis = Arc::new(Redis::connect(&config.redis).await.unwrap());
        let cache = Cache::new(redis, &config.cache);
        let users = Users::new(&config.upstream, cache.clone()).unwrap();
        let feed = Feed::new(&database, &cache, users, config);
        Self { node, database, installation, feed }
    }

    /// The post passes inspection, and every node knows.
    pub(super) async fn pass(&self, post: &str) {
        self.inspected(
            post,
            "UPDATE posts SET inspection = 'passed', category = 'food', tags = '{쿠폰}' WHERE post_id = $1",
        )
        .await;
    }

    /// It does not.
    pub(super) async fn reject(&self, post: &str) {
        self.inspected(post, "UPDATE posts SET inspection = 'rejected', reason = 'rude' WHERE post_id = $1").await;
    }

    async fn inspected(&self, post: &str, sql: &'static str) {
        let id: PostId = post.parse().unwrap();
        assert_eq!(query(sql).bind(id.0).execute(&self.database).await.unwrap().rows_affected(), 1);
        self.feed.posts.invalidate(id).await.unwrap();
    }

    /// So many passed posts of an author, oldest first, delivered to whom they are due.
    pub(super) async fn publish(&self, author: &str, count: i32) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..count {
            let id: i64 = query_scalar(
                "INSERT INTO posts (author_id, title, body, inspection, category)
                 VALUES ($1, 'a title', 'a body', 'passed', 'general') RETURNING post_id",
            )
            .bind(author)
            .fetch_one(&self.database)
            .await
            .unwrap();
            ids.push(id);
        }
        let users: Vec<String> = query_scalar(
            "WITH delivered AS (
                 INSERT INTO inbox (user_id, post_id)
                 SELECT user_id, unnest($2::bigint[]) FROM subscriptions
                 WHERE author_id = $1 AND NOT EXISTS (SELECT FROM read_authors WHERE author_id = $1)
                 ON CONFLICT DO NOTHING RETURNING user_id)
             SELECT DISTINCT user_id FROM delivered",
        )
        .bind(author)
        .bind(&ids)
        .fetch_all(&self.database)
        .await
        .unwrap();
        self.feed.inboxes.invalidate(&users).await.unwrap();
        self.feed.inboxes.invalidate_author(author).await.unwrap();
        ids.into_iter().map(|id| PostId(id).to_string()).collect()
    }

    /// The author's posts are read from now on, and delivered to nobody.
    pub(super) async fn read_instead(&self, author: &str) {
        query("INSERT INTO read_authors (author_id) VALUES ($1)").bind(author).execute(&self.database).await.unwrap();
        self.feed.inboxes.invalidate_author(author).await.unwrap();
    }

    pub(super) async fn count(&self, sql: &'static str) -> i64 {
        query_scalar(sql).fetch_one(&self.database).await.unwrap()
    }

    /// What is in a user's inbox, newest first.
    pub(super) async fn inbox(&self, user: &str) -> Vec<String> {
        let ids: Vec<i64> = query_scalar("SELECT post_id FROM inbox WHERE user_id = $1 ORDER BY post_id DESC")
            .bind(user)
            .fetch_all(&self.database)
            .await
            .unwrap();
        ids.into_iter().map(|id| PostId(id).to_string()).collect()
    }

    /// Waits until a reader without credentials gets this status: other nodes hear of a change within a moment.
    pub(super) async fn becomes(&self, post: &str, status: u16) {
        eventually("it is seen", async || self.node.get(&path(post)).await.status == status).await;
    }
}

/// Calls about posts, named by intent.
impl Client {
    pub(crate) async fn user_sends(&self, user: &str, method: Method, path: &str, body: &Value) -> Answer {
        self.send(self.request(method, path).bearer_auth(self.token(user)).json(body)).await
    }

    /// Publishes a post, and answers its id.
    pub(crate) async fn post(&self, author: &str, title: &str) -> String {
        let body = json!({"title": title, "body": "A body."});
        let answer = self.user_sends(author, Method::POST, "/v1/posts", &body).await;
        assert_eq!(answer.outcome(), "201", "{answer:?}");
        answer.text("post_id").to_owned()
    }

    pub(crate) async fn subscribe(&self, user: &str, author: &str) -> Answer {
        self.as_user(user, Method::PUT, &format!("/v1/subscriptions/{author}")).await
    }

    pub(crate) async fn unsubscribe(&self, user: &str, author: &str) -> Answer {
        self.as_user(user, Method::DELETE, &format!("/v1/subscriptions/{author}")).await
    }

    /// The ids of a page of the user's feed, and where the next one begins.
    pub(crate) async fn feed(&self, user: &str, query: &str) -> (Vec<String>, Option<String>) {
        let answer = self.as_user(user, Method::GET, &format!("/v1/feed{query}")).await;
        assert_eq!(answer.outcome(), "200", "{answer:?}");
        let ids = answer.body["items"].as_array().unwrap().iter().map(|it| it["post_id"].as_str().unwrap().to_owned());
        (ids.collect(), answer.body["next"].as_str().map(str::to_owned))
    }

    /// All pages of the user's feed, with something done after each.
    pub(crate) async fn whole_feed(&self, user: &str, limit: usize, mut after_each: impl AsyncFnMut()) -> Vec<String> {
        let (mut all, mut query) = (Vec::new(), format!("?limit={limit}"));
        loop {
            let (ids, next) = self.feed(user, &query).await;
            assert!(ids.len() <= limit);
            all.extend(ids);
            let Some(next) = next else { return all };
            query = format!("?limit={limit}&after={next}");
            after_each().await;
        }
    }
}

pub(super) fn path(post: &str) -> String {
    format!("/v1/posts/{post}")
}

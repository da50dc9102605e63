//! A database of a test's own with posts in it that can be looked for.

use std::sync::Arc;

use onrush::cache::Cache;
use onrush::config::Config;
use onrush::database::{self, Database};
use onrush::feed::search::{self, Cursor, Page, Searcher};
use onrush::feed::{Inspected, Outcome, PostId, SCHEMA_VERSION};
use onrush::redis::Redis;

use crate::support::installation::Installation;

/// Posts, and who looks for them.
pub(crate) struct Library {
    pub(crate) installation: Installation,
    pub(crate) database: Database,
    pub(crate) searcher: Searcher,
}

impl Library {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let installation = Installation::with(change).await;
        let config = &installation.config;
        let database = database::open(&config.postgres).unwrap();
        let redis = Arc::new(Redis::connect(&config.redis).await.unwrap());
        let searcher = Searcher::new(database.clone(), Cache::new(redis, &config.cache), &config.search);
        Self { installation, database, searcher }
    }

    /// A post that has passed, in the table and in the index.
    pub(crate) async fn add(&self, title: &str, body: &str, tags: &[&str]) -> PostId {
        let tags: Vec<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
        let post_id = sqlx::query_scalar(
            "INSERT INTO posts (author_id, title, body, tags, category, inspection)
             VALUES ('author', $1, $2, $3, 'news', 'passed') RETURNING post_id",
        )
        .bind(title)
        .bind(body)
        .bind(&tags)
        .fetch_one(&self.database)
        .await
        .unwrap();
        let post = inspected(PostId(post_id), 1, title, body, tags);
        search::put(&self.database, &post).await.unwrap();
        post.post_id
    }

    /// A page of what is found now.
    pub(crate) async fn page(&self, question: &str, after: Option<Cursor>, limit: usize) -> Page {
        self.searcher.search(question, after, limit).await.unwrap_or_else(|error| panic!("{question}: {error}"))
    }

    /// The posts of the first page.
    pub(crate) async fn find(&self, question: &str) -> Vec<PostId> {
        self.page(question, None, 100).await.hits.iter().map(|hit| hit.post.post_id).collect()
    }

    pub(crate) async fn change(&self, sql: &'static str, post: PostId) {
        assert_eq!(sqlx::query(sql).bind(post.0).execute(&self.database).await.unwrap().rows_affected(), 1);
    }
}

pub(crate) fn inspected(post_id: PostId, revision: i32, title: &str, body: &str, tags: Vec<String>) -> Inspected {
    Inspected {
        v: SCHEMA_VERSION,
        post_id,
        revision,
        outcome: Outcome::Passed,
        author_id: "author".into(),
        title: title.into(),
        body: body.into(),
        category: "news".into(),
        tags,
    }
}

//! What authors, subscribers and loops do, as the tests of the feed need it.

use std::sync::Arc;

use onrush::cache::Cache;
use onrush::feed::inspect::Inspector;
use onrush::feed::{
    FeedConsumer, FeedReconciler, Happened, Inboxes, Inspected, Lane, LaneContext, LaneError, LaneWorker, Original,
    Outcome, Pace, PostId, PostRelay, Posts, SCHEMA_VERSION,
};
use onrush::kafka::{Offsets, Record};
use onrush::upstream::Users;
use serde::Serialize;
use sqlx::{Executor, Postgres, Row};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::stores::{Stores, eventually};

/// Writes a post and the message about it, as one transaction or as part of one.
pub(crate) async fn write<'a>(at: impl Executor<'a, Database = Postgres>, author: &str, title: &str) -> PostId {
    let insert = "WITH post AS (INSERT INTO posts (author_id, title, body) VALUES ($1, $2, 'text') RETURNING *)
        INSERT INTO post_outbox (post_id, message) SELECT post_id, jsonb_build_object('v', 1,
            'post_id', lpad(post_id::text, 19, '0'), 'revision', 1, 'happened', 'created',
            'author_id', author_id, 'title', title, 'body', body) FROM post RETURNING post_id";
    PostId(sqlx::query(insert).bind(author).bind(title).fetch_one(at).await.unwrap().get(0))
}

/// Changes a post, likewise.
pub(crate) async fn edit<'a>(at: impl Executor<'a, Database = Postgres>, post: PostId, title: &str) {
    let change = "WITH post AS (UPDATE posts SET title = $2, revision = revision + 1, inspection = 'pending'
                                WHERE post_id = $1 RETURNING *)
        INSERT INTO post_outbox (post_id, message) SELECT post_id, jsonb_build_object('v', 1,
            'post_id', lpad(post_id::text, 19, '0'), 'revision', revision, 'happened', 'edited',
            'author_id', author_id, 'title', title, 'body', body) FROM post";
    assert_eq!(sqlx::query(change).bind(post.0).bind(title).execute(at).await.unwrap().rows_affected(), 1);
}

/// Takes a post away, likewise.
pub(crate) async fn delete<'a>(at: impl Executor<'a, Database = Postgres>, post: PostId) {
    let change = "WITH post AS (UPDATE posts SET deleted_at = clock_timestamp(), revision = revision + 1
                                WHERE post_id = $1 RETURNING *)
        INSERT INTO post_outbox (post_id, message) SELECT post_id, jsonb_build_object('v', 1,
            'post_id', lpad(post_id::text, 19, '0'), 'revision', revision, 'happened', 'deleted',
            'author_id', author_id, 'title', '', 'body', '') FROM post";
    assert_eq!(sqlx::query(change).bind(post.0).execute(at).await.unwrap().rows_affected(), 1);
}

/// Subscribes a user to an author as the product does: under the author's lock, and with what has passed already.
pub(crate) const SUBSCRIBE: [&str; 3] = [
    "SELECT $1, pg_advisory_xact_lock_shared(hashtextextended('onrush-author-' || current_schema() || $2, 0))",
    "INSERT INTO subscriptions (user_id, author_id) VALUES ($1, $2)",
    "INSERT INTO inbox (user_id, post_id) SELECT $1, post_id FROM posts
     WHERE author_id = $2 AND inspection = 'passed' AND deleted_at IS NULL ON CONFLICT DO NOTHING",
];

pub(crate) async fn subscribe(stores: &Stores, user: &str, author: &str) {
    let mut transaction = stores.database.begin().await.unwrap();
    for statement in SUBSCRIBE {
        sqlx::query(statement).bind(user).bind(author).execute(&mut *transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

/// What the loops of one node work with.
pub(crate) fn context(stores: &Stores) -> Arc<LaneContext> {
    let config = &stores.config;
    let cache = Cache::new(stores.redis.clone(), &config.cache);
    Arc::new(LaneContext {
        database: stores.database.clone(),
        producer: stores.producer.clone(),
        users: Users::new(&config.upstream, cache.clone()).unwrap(),
        inspector: Inspector::new(&config.inspector).unwrap(),
        posts: Posts::new(stores.database.clone(), cache.clone()),
        inboxes: Inboxes::new(stores.database.clone(), cache, config.feed.newest_max),
        pace: Pace::new(stores.database.clone(), config.feed.bulk_per_second_max),
        settings: config.feed.clone(),
    })
}

/// The loops of one node.
pub(crate) struct Loops {
    pub(crate) context: Arc<LaneContext>,
    shutdown: CancellationToken,
    running: Vec<JoinHandle<()>>,
}

impl Loops {
    /// All of them, the relay too.
    pub(crate) fn all(stores: &Stores) -> Self {
        let mut loops = Self::only(stores, &FeedConsumer::ALL);
        let relay = PostRelay::new(stores.database.clone(), stores.producer.clone(), &stores.config);
        loops.running.push(tokio::spawn(relay.run(loops.shutdown.clone())));
        loops
    }

    pub(crate) fn only(stores: &Stores, consumer: &[FeedConsumer]) -> Self {
        let (shutdown, context) = (CancellationToken::new(), context(stores));
        let start = |consumer: &FeedConsumer| {
            tokio::spawn(LaneWorker::new(*consumer, Arc::clone(&context), &stores.config).run(shutdown.clone()))
        };
        let running = consumer.iter().map(start).collect();
        Self { context, shutdown, running }
    }

    /// One that looks after posts, at the pace of these loops. The test ticks it.
    pub(crate) fn reconciler(&self, stores: &Stores) -> FeedReconciler {
        FeedReconciler::new(Arc::clone(&self.context), stores.redis.clone(), &stores.config).unwrap()
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        for running in self.running {
            running.await.unwrap();
        }
    }

    /// As a crash would: nothing is finished, and nobody is told.
    pub(crate) async fn kill(self) {
        for running in self.running {
            running.abort();
            assert!(running.await.unwrap_err().is_cancelled());
        }
    }
}

/// Waits until a lane has dealt with all that is in its topic.
pub(crate) async fn caught_up(stores: &Stores, lane: Lane) {
    let settings = &stores.config.feed;
    let offsets = Offsets::of(&stores.config.kafka, lane.topic(settings), &lane.group(settings)).unwrap();
    eventually("the lane has caught up", async || {
        let ends = offsets.ends().await.unwrap();
        offsets.lag(&ends).await.unwrap() == 0
    })
    .await;
}

/// The message of a post as it was first written, or as it is now.
pub(crate) fn original(post: PostId, revision: i32, happened: Happened) -> Original {
    let (author_id, title, body) = ("author".into(), "title".into(), "text".into());
    Original { v: SCHEMA_VERSION, post_id: post, revision, happened, author_id, title, body }
}

pub(crate) fn inspected(post: PostId, revision: i32, outcome: Outcome) -> Inspected {
    let Original { author_id, title, body, .. } = original(post, revision, Happened::Created);
    let (category, tags) = ("general".into(), Vec::new());
    Inspected { v: SCHEMA_VERSION, post_id: post, revision, outcome, author_id, title, body, category, tags }
}

/// Hands a message to a lane, past Kafka.
pub(crate) async fn handle(context: &LaneContext, lane: Lane, message: &impl Serialize) -> Result<(), LaneError> {
    let value = serde_json::to_vec(message).unwrap();
    let record = Record { partition: 0, offset: 0, key: Vec::new(), value, headers: Vec::new(), tries: 0 };
    context.handle(lane, &record).await
}

/// Who has the post in the inbox.
pub(crate) async fn readers(stores: &Stores, post: PostId) -> Vec<String> {
    let rows = sqlx::query_scalar("SELECT user_id FROM inbox WHERE post_id = $1 ORDER BY user_id").bind(post.0);
    rows.fetch_all(&stores.database).await.unwrap()
}

//! Who has written what? Posts, from their authors to everybody, through the cache.
//!
//! - A change and the message about it are one transaction. It locks the post's row before it draws the message's number: a
//!   post's messages are numbered in the order of its changes.
//! - An edit has to be inspected again. A deleted post leaves its row behind, without a text, since messages about it may
//!   still be under way.
//! - After the commit nothing older is answered. What was begun is finished by us: whoever asked may have hung up. If Redis
//!   cannot be told, or the node dies first, the fill lane tells it again, and `reconcile` does where Kafka is away, too. What
//!   nobody tells is answered until it expires: `cache.ttl_ms`, and its jitter, at most.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Row, query};

use super::detached::to_the_end;
use super::error::FeedError;
use super::message::{Happened, Original, SCHEMA_VERSION};
use super::post::{Inspection, Post, PostId};
use super::ready::ReadyPost;
use crate::cache::{Cache, CacheError, Found, Kind};
use crate::clock::Millis;
use crate::database::Database;
use crate::ids::UserId;

static POST: Kind<ReadyPost> = Kind::new("post").costly().essential();

/// What an author writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// What it is called.
    pub title: String,
    /// What it says.
    pub body: String,
}

/// What an author changes. What is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// What it is called.
    pub title: Option<String>,
    /// What it says.
    pub body: Option<String>,
}

/// All posts. Clones are the same ones.
#[derive(Clone)]
pub struct Posts {
    database: Database,
    cache: Cache,
}

impl Posts {
    /// Asks nobody yet.
    #[must_use]
    pub fn new(database: Database, cache: Cache) -> Self {
        Self { database, cache }
    }

    /// Publishes a post. Only its author sees it until it has passed inspection.
    pub async fn create(&self, author: &UserId, text: Text) -> Result<Post, FeedError> {
        let (all, author) = (self.clone(), author.clone());
        to_the_end(async move {
            let post = all.insert(&author, text).await?;
            all.changed(post.post_id).await;
            Ok(post)
        })
        .await
    }

    /// Changes a post of this author; `None`: they have no such post. The text as it was is no change. An error: it may have
    /// happened.
    pub async fn edit(&self, author: &UserId, id: PostId, edit: Edit) -> Result<Option<Post>, FeedError> {
        let (all, author) = (self.clone(), author.clone());
        to_the_end(async move {
            let edited = all.update(&author, id, edit).await;
            if !matches!(edited, Ok(None)) {
                all.changed(id).await;
            }
            edited
        })
        .await
    }

    /// Deletes a post of this author; `false`: they never had it. One that is deleted already stays so. An error: as above.
    pub async fn delete(&self, author: &UserId, id: PostId) -> Result<bool, FeedError> {
        let (all, author) = (self.clone(), author.clone());
        to_the_end(async move {
            let deleted = all.strike(&author, id).await;
            if !matches!(deleted, Ok(false)) {
                all.changed(id).await;
            }
            deleted
        })
        .await
    }

    /// The post as it stands; none if it was deleted.
    pub async fn find(&self, id: PostId) -> Result<Found<ReadyPost>, CacheError> {
        let database = self.database.clone();
        self.cache.get(&POST, &id.to_string(), move || load(database, id)).await
    }

    /// Puts the post into the cache as the database has it now.
    pub async fn refresh(&self, id: PostId) -> Result<(), CacheError> {
        let database = self.database.clone();
        self.cache.refresh(&POST, &id.to_string(), move || load(database, id)).await.map(drop)
    }

    /// What is kept of the post is not so any more.
    pub async fn invalidate(&self, id: PostId) -> Result<(), CacheError> {
        self.cache.invalidate(&POST, &[id.to_string()]).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn insert(&self, author: &UserId, text: Text) -> Result<Post, FeedError> {
        let mut transaction = self.database.begin().await?;
        let row = query(
            "INSERT INTO posts (author_id, title, body) VALUES ($1, $2, $3)
             RETURNING *, floor(extract(epoch FROM published_at) * 1000)::bigint AS published_at_ms",
        )
        .bind(author.as_str())
        .bind(&text.title)
        .bind(&text.body)
        .fetch_one(&mut *transaction)
        .await?;
        let post = post_of(&row)?;
        tell(&mut transaction, &post, Happened::Created).await?;
        transaction.commit().await?;
        Ok(post)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%id))]
    async fn update(&self, author: &UserId, id: PostId, edit: Edit) -> Result<Option<Post>, FeedError> {
        let mut transaction = self.database.begin().await?;
        let Some(before) = lock(&mut transaction, author, id).await?.filter(|it| !it.is_deleted) else {
            return Ok(None);
        };
        let title = edit.title.unwrap_or_else(|| before.post.title.clone());
        let body = edit.body.unwrap_or_else(|| before.post.body.clone());
        if title == before.post.title && body == before.post.body {
            return Ok(Some(before.post));
        }
        let row = query(
            "UPDATE posts SET title = $2, body = $3, revision = revision + 1, inspection = 'pending', category = NULL,
                              tags = '{}', reason = NULL
             WHERE post_id = $1
             RETURNING *, floor(extract(epoch FROM published_at) * 1000)::bigint AS published_at_ms",
        )
        .bind(id.0)
        .bind(&title)
        .bind(&body)
        .fetch_one(&mut *transaction)
        .await?;
        let post = post_of(&row)?;
        tell(&mut transaction, &post, Happened::Edited).await?;
        transaction.commit().await?;
        Ok(Some(post))
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%id))]
    async fn strike(&self, author: &UserId, id: PostId) -> Result<bool, FeedError> {
        let mut transaction = self.database.begin().await?;
        let Some(before) = lock(&mut transaction, author, id).await? else { return Ok(false) };
        if before.is_deleted {
            return Ok(true);
        }
        let row = query(
            "UPDATE posts SET title = '', body = '', revision = revision + 1, inspection = 'pending', category = NULL,
                              tags = '{}', reason = NULL, deleted_at = clock_timestamp()
             WHERE post_id = $1
             RETURNING *, floor(extract(epoch FROM published_at) * 1000)::bigint AS published_at_ms",
        )
        .bind(id.0)
        .fetch_one(&mut *transaction)
        .await?;
        tell(&mut transaction, &post_of(&row)?, Happened::Deleted).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// What is kept of these posts is not so any more.
    pub(super) async fn invalidate_all(&self, ids: &[PostId]) -> Result<(), CacheError> {
        self.cache.invalidate(&POST, &ids.iter().map(PostId::to_string).collect::<Vec<_>>()).await
    }

    /// The change holds, whatever Redis says: the fill lane comes to the post as soon as its message does. Also where it is
    /// not known whether it was made, or was made before: who asks again for what failed has it told again.
    async fn changed(&self, id: PostId) {
        if let Err(error) = self.invalidate(id).await {
            metrics::counter!("onrush_feed_invalidations_failed_total", "kind" => "post").increment(1);
            tracing::warn!(%id, %error, "a changed post may be answered as it was, until its message has come to the fill lane");
        }
    }
}

/// A row that is locked until the transaction ends.
struct Locked {
    post: Post,
    is_deleted: bool,
}

async fn lock(transaction: &mut PgConnection, author: &UserId, id: PostId) -> Result<Option<Locked>, sqlx::Error> {
    let row = query(
        "SELECT *, floor(extract(epoch FROM published_at) * 1000)::bigint AS published_at_ms,
                deleted_at IS NOT NULL AS is_deleted
         FROM posts WHERE post_id = $1 AND author_id = $2 FOR UPDATE",
    )
    .bind(id.0)
    .bind(author.as_str())
    .fetch_optional(transaction)
    .await?;
    row.map(|row| Ok(Locked { post: post_of(&row)?, is_deleted: row.try_get("is_deleted")? })).transpose()
}

/// Sends the message of a post that waits for its inspection once more, if it still waits and is still of this revision.
pub(super) async fn send_again(database: &Database, id: PostId, revision: i32) -> Result<(), sqlx::Error> {
    let mut transaction = database.begin().await?;
    let row = query(
        "SELECT *, floor(extract(epoch FROM published_at) * 1000)::bigint AS published_at_ms
         FROM posts WHERE post_id = $1 AND revision = $2 AND inspection = 'pending' AND deleted_at IS NULL FOR UPDATE",
    )
    .bind(id.0)
    .bind(revision)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let happened = if revision == 1 { Happened::Created } else { Happened::Edited };
    tell(&mut transaction, &post_of(&row)?, happened).await?;
    transaction.commit().await
}

/// Writes the message about a change, within its transaction.
async fn tell(transaction: &mut PgConnection, post: &Post, happened: Happened) -> Result<(), sqlx::Error> {
    let message = Original {
        v: SCHEMA_VERSION,
        post_id: post.post_id,
        revision: post.revision,
        happened,
        author_id: post.author_id.clone(),
        title: post.title.clone(),
        body: post.body.clone(),
    };
    query("INSERT INTO post_outbox (post_id, message) VALUES ($1, $2)")
        .bind(post.post_id.0)
        .bind(sqlx::types::Json(message))
        .execute(transaction)
        .await
        .map(drop)
}

async fn load(database: Database, id: PostId) -> Result<Option<ReadyPost>, sqlx::Error> {
    let row = query(
        "SELECT *, floor(extract(epoch FROM published_at) * 1000)::bigint AS published_at_ms
         FROM posts WHERE post_id = $1 AND deleted_at IS NULL",
    )
    .bind(id.0)
    .fetch_optional(&database)
    .await?;
    row.map(|row| Ok(post_of(&row)?.into())).transpose()
}

fn post_of(row: &PgRow) -> Result<Post, sqlx::Error> {
    let inspection = match row.try_get("inspection")? {
        "pending" => Inspection::Pending,
        "passed" => Inspection::Passed,
        "rejected" => Inspection::Rejected,
        _ => return Err(sqlx::Error::Decode("posts.inspection holds what was never written".into())),
    };
    Ok(Post {
        post_id: PostId(row.try_get("post_id")?),
        author_id: row.try_get("author_id")?,
        title: row.try_get("title")?,
        body: row.try_get("body")?,
        category: row.try_get("category")?,
        tags: row.try_get("tags")?,
        inspection,
        reason: row.try_get("reason")?,
        revision: row.try_get("revision")?,
        published_at: Millis(row.try_get("published_at_ms")?),
    })
}

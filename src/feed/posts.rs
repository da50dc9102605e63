//! What does a post say? As the database has it, kept by the cache.

use sqlx::Row;

use super::post::{Inspection, Post, PostId};
use crate::cache::{Cache, CacheError, Kind};
use crate::clock::Millis;
use crate::database::Database;

static POST: Kind<Post> = Kind::new("post").essential();

/// Posts as they are read.
#[derive(Clone)]
pub struct Posts {
    cache: Cache,
    database: Database,
}

impl Posts {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(cache: Cache, database: Database) -> Self {
        Self { cache, database }
    }

    /// Loads the post anew.
    pub async fn refresh(&self, id: PostId) -> Result<(), CacheError> {
        let database = self.database.clone();
        self.cache.refresh(&POST, &id.to_string(), move || load(database, id)).await?;
        Ok(())
    }

    /// What is kept of the post is not so any more.
    pub async fn invalidate(&self, id: PostId) -> Result<(), CacheError> {
        self.cache.invalidate(&POST, &[id.to_string()]).await
    }
}

async fn load(database: Database, id: PostId) -> Result<Option<Post>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT author_id, title, body, category, tags, inspection, reason, revision,
                floor(extract(epoch FROM published_at) * 1000)::bigint
         FROM posts WHERE post_id = $1 AND deleted_at IS NULL",
    )
    .bind(id.0)
    .fetch_optional(&database)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Post {
        post_id: id,
        author_id: row.try_get(0)?,
        title: row.try_get(1)?,
        body: row.try_get(2)?,
        category: row.try_get(3)?,
        tags: row.try_get(4)?,
        inspection: match row.try_get(5)? {
            "passed" => Inspection::Passed,
            "rejected" => Inspection::Rejected,
            _ => Inspection::Pending,
        },
        reason: row.try_get(6)?,
        revision: row.try_get(7)?,
        published_at: Millis(row.try_get(8)?),
    }))
}

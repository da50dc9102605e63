//! How does a post come into the index, and out of it?

use crate::database::Database;
use crate::feed::message::Inspected;
use crate::feed::post::PostId;

use super::document::document;

/// Puts a passed post into the index, or an older revision's place; an older revision than what is there changes nothing.
pub async fn put(database: &Database, post: &Inspected) -> Result<(), sqlx::Error> {
    // A message may come again after the post has changed or gone: then its row would be found by nobody and stay.
    sqlx::query(
        "INSERT INTO post_search (post_id, revision, document)
         SELECT $1, $2, $3::tsvector
         WHERE NOT EXISTS (SELECT FROM posts WHERE post_id = $1 AND (revision > $2 OR deleted_at IS NOT NULL))
         ON CONFLICT (post_id) DO UPDATE SET revision = EXCLUDED.revision, document = EXCLUDED.document
         WHERE post_search.revision <= EXCLUDED.revision",
    )
    .bind(post.post_id.0)
    .bind(post.revision)
    .bind(document(&post.title, &post.tags, &post.body))
    .execute(database)
    .await?;
    Ok(())
}

/// Takes a post out of the index, unless a newer revision is in it.
pub async fn remove(database: &Database, post: PostId, revision: i32) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM post_search WHERE post_id = $1 AND revision <= $2")
        .bind(post.0)
        .bind(revision)
        .execute(database)
        .await?;
    Ok(())
}

/// Takes out a revision of a post that the post has not come to.
pub async fn remove_above(database: &Database, post: PostId, revision: i32) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM post_search WHERE post_id = $1 AND revision > $2
            AND NOT EXISTS (SELECT FROM posts WHERE posts.post_id = $1 AND posts.revision >= post_search.revision)",
    )
    .bind(post.0)
    .bind(revision)
    .execute(database)
    .await?;
    Ok(())
}

//! Brings a post into the inboxes of its author's subscribers, some at a time, and out of them.
//!
//! - Each part is a transaction of its own, under the author's lock, in which the post is what the message says. So
//!   whoever subscribes or unsubscribes, edits or deletes meanwhile is before or after it, never in between.
//! - How many rows a part has is what the pace lets through; nothing waits for the pace while it holds the lock.
//! - An author with very many subscribers is read by them instead. That is found out here, and stays so.

use sqlx::{Postgres, Transaction};

use super::{LaneContext, LaneError};
use crate::feed::{Inspected, Outcome};

/// To whom a post is brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::feed) enum Due {
    /// All who subscribe now.
    All,
    /// Those of them who subscribed before it was published, and do not have it.
    Missing,
}

/// What became of a part.
enum Part {
    /// These had it due; they have it now.
    Written(Vec<String>),
    /// Those who subscribe read the author.
    IsRead,
    /// The post is another by now, and the message of that comes later.
    Stale,
}

impl LaneContext {
    pub(super) async fn deliver(&self, message: &Inspected) -> Result<(), LaneError> {
        match message.outcome {
            Outcome::Passed => self.put_in(message, Due::All).await,
            Outcome::Withdrawn => self.take_out(message).await,
        }
    }

    pub(in crate::feed) async fn put_in(&self, message: &Inspected, due: Due) -> Result<(), LaneError> {
        let mut after = String::new();
        loop {
            let waiting = self.subscribers(message, due, &after, self.settings.inbox_batch_max.into()).await?;
            if waiting == 0 && !after.is_empty() {
                return Ok(());
            }
            let permit = self.pace.permit(waiting).await?;
            match self.write_part(message, due, &after, permit.rows).await? {
                Part::Stale => {
                    permit.done(0);
                    return Ok(());
                }
                Part::IsRead => {
                    permit.done(1);
                    return Ok(self.inboxes.invalidate_author(&message.author_id).await?);
                }
                Part::Written(users) => {
                    permit.done(users.len() as u64);
                    // All of them, not only those to whom it is new: this may be the second try.
                    self.inboxes.invalidate(&users).await?;
                    let Some(last) = users.into_iter().next_back() else { return Ok(()) };
                    after = last;
                }
            }
        }
    }

    async fn write_part(&self, message: &Inspected, due: Due, after: &str, rows_max: u64) -> Result<Part, LaneError> {
        let mut transaction = self.database.begin().await?;
        self.lock_author(&mut transaction, &message.author_id).await?;
        let is_so: Option<i32> = sqlx::query_scalar(
            "SELECT 1 FROM posts WHERE post_id = $1 AND revision = $2 AND inspection = 'passed' AND deleted_at IS NULL
             FOR SHARE",
        )
        .bind(message.post_id.0)
        .bind(message.revision)
        .fetch_optional(&mut *transaction)
        .await?;
        if is_so.is_none() {
            return Ok(Part::Stale);
        }
        if self.is_read(&mut transaction, &message.author_id, after.is_empty()).await? {
            transaction.commit().await?;
            return Ok(Part::IsRead);
        }
        let users: Vec<String> = sqlx::query_scalar(
            "WITH due AS (
                 SELECT user_id FROM subscriptions s
                 WHERE author_id = $1 AND user_id > $2
                   AND (NOT $5 OR (subscribed_at <= (SELECT published_at FROM posts WHERE post_id = $4)
                                   AND NOT EXISTS (SELECT FROM inbox i WHERE i.user_id = s.user_id AND i.post_id = $4)))
                 ORDER BY user_id LIMIT $3
             ), written AS (
                 INSERT INTO inbox (user_id, post_id) SELECT user_id, $4 FROM due ON CONFLICT DO NOTHING
             )
             SELECT user_id FROM due ORDER BY user_id",
        )
        .bind(&message.author_id)
        .bind(after)
        .bind(i64::try_from(rows_max).unwrap_or(i64::MAX))
        .bind(message.post_id.0)
        .bind(due == Due::Missing)
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Part::Written(users))
    }

    /// Whether the author is read instead of written; `looks`: counts the subscribers, and remembers if they are too many.
    async fn is_read(
        &self,
        at: &mut Transaction<'_, Postgres>,
        author: &str,
        looks: bool,
    ) -> Result<bool, sqlx::Error> {
        let is_known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM read_authors WHERE author_id = $1)")
            .bind(author)
            .fetch_one(&mut **at)
            .await?;
        if is_known || !looks {
            return Ok(is_known);
        }
        let done = sqlx::query(
            "INSERT INTO read_authors (author_id)
             SELECT $1 WHERE (SELECT count(*) FROM (SELECT FROM subscriptions WHERE author_id = $1 LIMIT $2::bigint + 1) s) > $2::bigint
             ON CONFLICT DO NOTHING",
        )
        .bind(author)
        .bind(i64::try_from(self.settings.write_subscribers_max).unwrap_or(i64::MAX - 1))
        .execute(&mut **at)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    pub(in crate::feed) async fn take_out(&self, message: &Inspected) -> Result<(), LaneError> {
        loop {
            let waiting: i64 =
                sqlx::query_scalar("SELECT count(*) FROM (SELECT FROM inbox WHERE post_id = $1 LIMIT $2) some_of_them")
                    .bind(message.post_id.0)
                    .bind(i64::from(self.settings.inbox_batch_max))
                    .fetch_one(&self.database)
                    .await?;
            // Also where none is seen: what an open subscription puts there is seen under the author's lock alone.
            let permit = self.pace.permit(waiting.unsigned_abs().max(1)).await?;
            let removed = self.remove_part(message, permit.rows).await?;
            permit.done(removed);
            if removed == 0 {
                break;
            }
        }
        Ok(self.inboxes.invalidate_author(&message.author_id).await?)
    }

    /// Answers how many it removed. None where the post has passed since: the message of that comes after this one, and
    /// finds them there.
    async fn remove_part(&self, message: &Inspected, rows_max: u64) -> Result<u64, LaneError> {
        let mut transaction = self.database.begin().await?;
        self.lock_author(&mut transaction, &message.author_id).await?;
        let has_passed: Option<bool> = sqlx::query_scalar(
            "SELECT inspection = 'passed' AND deleted_at IS NULL FROM posts WHERE post_id = $1 FOR SHARE",
        )
        .bind(message.post_id.0)
        .fetch_optional(&mut *transaction)
        .await?;
        if has_passed == Some(true) {
            return Ok(0);
        }
        let users: Vec<String> = sqlx::query_scalar(
            "DELETE FROM inbox WHERE post_id = $1 AND user_id IN (
                 SELECT user_id FROM inbox WHERE post_id = $1 ORDER BY user_id LIMIT $2 FOR UPDATE
             ) RETURNING user_id",
        )
        .bind(message.post_id.0)
        .bind(i64::try_from(rows_max).unwrap_or(i64::MAX))
        .fetch_all(&mut *transaction)
        .await?;
        // While Redis cannot hear of it nothing is removed: afterwards nobody would know whose inboxes these were.
        self.inboxes.invalidate(&users).await?;
        transaction.commit().await?;
        // What was loaded in between is the old one. If this fails, it shows a post that may not be read, and is left out.
        self.inboxes.invalidate(&users).await?;
        Ok(users.len() as u64)
    }

    /// Subscribers after this one, but at most so many.
    async fn subscribers(
        &self,
        message: &Inspected,
        due: Due,
        after: &str,
        count_max: u64,
    ) -> Result<u64, sqlx::Error> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM (
                 SELECT FROM subscriptions s
                 WHERE author_id = $1 AND user_id > $2
                   AND (NOT $5 OR (subscribed_at <= (SELECT published_at FROM posts WHERE post_id = $4)
                                   AND NOT EXISTS (SELECT FROM inbox i WHERE i.user_id = s.user_id AND i.post_id = $4)))
                 LIMIT $3
             ) some_of_them",
        )
        .bind(&message.author_id)
        .bind(after)
        .bind(i64::try_from(count_max).unwrap_or(i64::MAX))
        .bind(message.post_id.0)
        .bind(due == Due::Missing)
        .fetch_one(&self.database)
        .await?;
        Ok(count.unsigned_abs())
    }

    /// Until the transaction ends nobody subscribes to this author, or unsubscribes.
    async fn lock_author(&self, at: &mut Transaction<'_, Postgres>, author: &str) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('onrush-author-' || current_schema() || $1, 0))")
            .bind(author)
            .execute(&mut **at)
            .await?;
        Ok(())
    }
}

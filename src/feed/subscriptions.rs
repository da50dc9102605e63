//! Who reads whom? Subscriptions, and what they bring into an inbox and take out of it.
//!
//! - A subscription and what it brings are one transaction, under a lock of the author that deliveries take, too: a post that
//!   passes at the same moment is in the inbox once.
//! - Whoever follows an author who is read instead of written has nothing brought: it is read.
//! - One may follow oneself: then one's own posts are in one's feed.

use sqlx::postgres::PgConnection;
use sqlx::{query, query_scalar};

use super::detached::to_the_end;
use super::error::FeedError;
use super::inbox::Inboxes;
use crate::config;
use crate::database::Database;
use crate::ids::UserId;

/// What becomes of the wish to follow an author.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscribed {
    /// The user follows the author, maybe since long.
    Done,
    /// The user follows as many authors as one may: this many.
    TooMany(u64),
    /// The user follows as many authors with very many subscribers as one may: this many.
    TooManyRead(u64),
}

/// All subscriptions. Clones are the same ones.
#[derive(Clone)]
pub struct Subscriptions {
    database: Database,
    inboxes: Inboxes,
    authors_max: u64,
    read_authors_max: u64,
    newest_max: i64,
}

impl Subscriptions {
    /// Asks nobody yet.
    #[must_use]
    pub fn new(database: Database, inboxes: Inboxes, config: &config::Feed) -> Self {
        Self {
            database,
            inboxes,
            authors_max: config.subscriptions_max,
            read_authors_max: config.read_authors_max as u64,
            newest_max: i64::try_from(config.newest_max).unwrap_or(i64::MAX),
        }
    }

    /// The user follows the author from now on, and finds the author's newest posts in the inbox. An error: it may have
    /// happened, and the same again mends what is left to do.
    pub async fn subscribe(&self, user: &UserId, author: &UserId) -> Result<Subscribed, FeedError> {
        let (all, user, author) = (self.clone(), user.clone(), author.clone());
        to_the_end(async move {
            let subscribed = all.write(&user, &author).await;
            // Also where it is not known whether it is so now.
            let told = all.inboxes.invalidate(&[user.to_string()]).await;
            let subscribed = subscribed?;
            told?;
            Ok(subscribed)
        })
        .await
    }

    /// The user does not follow the author any more, and finds none of the author's posts in the inbox. An error: as above.
    pub async fn unsubscribe(&self, user: &UserId, author: &UserId) -> Result<(), FeedError> {
        let (all, user, author) = (self.clone(), user.clone(), author.clone());
        to_the_end(async move {
            let struck = all.strike(&user, &author).await;
            let told = all.inboxes.invalidate(&[user.to_string()]).await;
            struck?;
            Ok(told?)
        })
        .await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%user, %author))]
    async fn write(&self, user: &UserId, author: &UserId) -> Result<Subscribed, FeedError> {
        let mut transaction = self.database.begin().await?;
        lock(&mut transaction, user.as_str(), author.as_str()).await?;
        let is_new = query("INSERT INTO subscriptions (author_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(author.as_str())
            .bind(user.as_str())
            .execute(&mut *transaction)
            .await?
            .rows_affected()
            == 1;
        if !is_new {
            return Ok(Subscribed::Done);
        }
        // What is refused is rolled back with the transaction.
        let all: i64 = query_scalar("SELECT count(*) FROM subscriptions WHERE user_id = $1")
            .bind(user.as_str())
            .fetch_one(&mut *transaction)
            .await?;
        if all.unsigned_abs() > self.authors_max {
            return Ok(Subscribed::TooMany(self.authors_max));
        }
        let is_read: bool = query_scalar("SELECT EXISTS (SELECT FROM read_authors WHERE author_id = $1)")
            .bind(author.as_str())
            .fetch_one(&mut *transaction)
            .await?;
        if !is_read {
            self.bring(&mut transaction, user, author).await?;
        } else if read_authors_of(&mut transaction, user).await? > self.read_authors_max {
            return Ok(Subscribed::TooManyRead(self.read_authors_max));
        }
        transaction.commit().await?;
        Ok(Subscribed::Done)
    }

    /// The author's newest posts come into the inbox.
    async fn bring(&self, transaction: &mut PgConnection, user: &UserId, author: &UserId) -> Result<(), sqlx::Error> {
        query(
            "INSERT INTO inbox (user_id, post_id)
             SELECT $1, post_id FROM posts WHERE author_id = $2 AND inspection = 'passed' AND deleted_at IS NULL
             ORDER BY post_id DESC LIMIT $3
             ON CONFLICT DO NOTHING",
        )
        .bind(user.as_str())
        .bind(author.as_str())
        .bind(self.newest_max)
        .execute(transaction)
        .await
        .map(drop)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%user, %author))]
    async fn strike(&self, user: &UserId, author: &UserId) -> Result<(), FeedError> {
        let mut transaction = self.database.begin().await?;
        lock(&mut transaction, user.as_str(), author.as_str()).await?;
        let done = query("DELETE FROM subscriptions WHERE author_id = $1 AND user_id = $2")
            .bind(author.as_str())
            .bind(user.as_str())
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 1 {
            take_out(&mut transaction, user.as_str(), author.as_str()).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// What is in the inbox of a user who does not follow its author goes, if that is still so.
pub(super) async fn clear(database: &Database, user: &str, author: &str) -> Result<(), sqlx::Error> {
    let mut transaction = database.begin().await?;
    lock(&mut transaction, user, author).await?;
    let follows: bool = query_scalar("SELECT EXISTS (SELECT FROM subscriptions WHERE author_id = $1 AND user_id = $2)")
        .bind(author)
        .bind(user)
        .fetch_one(&mut *transaction)
        .await?;
    if !follows {
        take_out(&mut transaction, user, author).await?;
    }
    transaction.commit().await
}

async fn take_out(transaction: &mut PgConnection, user: &str, author: &str) -> Result<(), sqlx::Error> {
    query(
        "DELETE FROM inbox USING posts
         WHERE inbox.user_id = $1 AND inbox.post_id = posts.post_id AND posts.author_id = $2",
    )
    .bind(user)
    .bind(author)
    .execute(transaction)
    .await
    .map(drop)
}

/// Changes of one user's subscriptions come one after another, so that the limits hold; then deliveries of this author wait
/// until the transaction has ended, and it for them. Who subscribes to the same author does not wait.
async fn lock(transaction: &mut PgConnection, user: &str, author: &str) -> Result<(), sqlx::Error> {
    query("SELECT pg_advisory_xact_lock(hashtextextended('onrush-subscriber-' || current_schema() || $1, 0))")
        .bind(user)
        .execute(&mut *transaction)
        .await?;
    query("SELECT pg_advisory_xact_lock_shared(hashtextextended('onrush-author-' || current_schema() || $1, 0))")
        .bind(author)
        .execute(&mut *transaction)
        .await
        .map(drop)
}

async fn read_authors_of(transaction: &mut PgConnection, user: &UserId) -> Result<u64, sqlx::Error> {
    let count: i64 =
        query_scalar("SELECT count(*) FROM subscriptions JOIN read_authors USING (author_id) WHERE user_id = $1")
            .bind(user.as_str())
            .fetch_one(transaction)
            .await?;
    Ok(count.unsigned_abs())
}

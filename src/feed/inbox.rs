//! What was delivered to whom? The newest of each inbox and of each author who is read instead, through the cache; the rest
//! from the database.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::{query_as, query_scalar};

use super::post::PostId;
use crate::cache::{Cache, CacheError, Found, Kind};
use crate::database::Database;
use crate::ids::UserId;

static INBOX: Kind<Inbox> = Kind::new("inbox").personal().essential();
static AUTHOR_POSTS: Kind<Newest> = Kind::new("author-posts").costly().essential();
/// Deep pages are asked for once by most: what is kept of them only breaks the fall of many who ask at once. Nobody
/// invalidates it, so it is kept for a moment.
static OLDER: Kind<Newest> =
    Kind::new("older").personal().fresh_for(Duration::from_secs(1)).stale_for(Duration::from_secs(0));

/// For so long the followers are told with each post, in s: whatever an inbox was kept of before has expired by then.
const READ_LATELY_S: f64 = 300.0;

/// Inboxes whose entries are invalidated by one call.
const INVALIDATED_AT_ONCE: usize = 500;

/// The newest posts of a list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newest {
    /// Which.
    pub ids: Vec<PostId>,
    /// There are none below these.
    pub is_all: bool,
}

/// What is kept of a user's inbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbox {
    /// What was delivered.
    pub newest: Newest,
    /// Authors whom the user follows and whose posts are delivered to nobody: they are read.
    pub read_authors: Vec<String>,
}

/// All inboxes. Clones are the same ones.
#[derive(Clone)]
pub struct Inboxes {
    database: Database,
    cache: Cache,
    newest_max: usize,
}

impl Inboxes {
    /// Asks nobody yet.
    #[must_use]
    pub fn new(database: Database, cache: Cache, newest_max: usize) -> Self {
        Self { database, cache, newest_max }
    }

    /// The newest of a user's inbox, and whom to read besides. There always is one, if an empty one.
    pub(super) async fn of(&self, user: &UserId) -> Result<Found<Inbox>, CacheError> {
        let (database, owner, count) = (self.database.clone(), user.clone(), self.newest_max);
        self.cache.get(&INBOX, user.as_str(), move || load_inbox(database, owner, count)).await
    }

    /// The newest passed posts of an author who is read.
    pub(super) async fn of_author(&self, author: &str) -> Result<Found<Newest>, CacheError> {
        let (database, owner, count) = (self.database.clone(), author.to_owned(), self.newest_max);
        self.cache.get(&AUTHOR_POSTS, author, move || load_author(database, owner, count)).await
    }

    /// Passed posts below this one of all that a user reads, newest first, at most so many.
    pub(super) async fn older(&self, user: &UserId, below: PostId, count: usize) -> Result<Found<Newest>, CacheError> {
        // No id has a control character.
        let key = format!("{user}\u{1f}{below}\u{1f}{count}");
        let (database, owner) = (self.database.clone(), user.clone());
        self.cache.get(&OLDER, &key, move || load_older(database, owner, below, count)).await
    }

    /// What is kept of these users' inboxes, and of whom they read, is not so any more.
    pub async fn invalidate(&self, users: &[String]) -> Result<(), CacheError> {
        for some in users.chunks(INVALIDATED_AT_ONCE) {
            self.cache.invalidate(&INBOX, some).await?;
        }
        Ok(())
    }

    /// What is kept of this author's posts is not so any more. It matters for authors who are read; of one who has become so
    /// lately, the followers' inboxes do not say it yet.
    pub async fn invalidate_author(&self, author: &str) -> Result<(), CacheError> {
        let failed = |error: sqlx::Error| CacheError::Source(error.to_string());
        let is_lately: Option<bool> = query_scalar(
            "SELECT since > clock_timestamp() - make_interval(secs => $2) FROM read_authors WHERE author_id = $1",
        )
        .bind(author)
        .bind(READ_LATELY_S)
        .fetch_optional(&self.database)
        .await
        .map_err(failed)?;
        if is_lately == Some(true) {
            let mut after = String::new();
            loop {
                let some = self.followers(author, &after).await.map_err(failed)?;
                self.invalidate(&some).await?;
                let Some(last) = some.into_iter().next_back() else { break };
                after = last;
            }
        }
        self.cache.invalidate(&AUTHOR_POSTS, &[author.to_owned()]).await
    }

    async fn followers(&self, author: &str, after: &str) -> Result<Vec<String>, sqlx::Error> {
        query_scalar(
            "SELECT user_id FROM subscriptions WHERE author_id = $1 AND user_id > $2 ORDER BY user_id LIMIT $3",
        )
        .bind(author)
        .bind(after)
        .bind(bound(INVALIDATED_AT_ONCE))
        .fetch_all(&self.database)
        .await
    }
}

fn newest_of(ids: Vec<i64>, count: usize) -> Newest {
    Newest { is_all: ids.len() < count, ids: ids.into_iter().map(PostId).collect() }
}

fn bound(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

async fn load_inbox(database: Database, user: UserId, count: usize) -> Result<Option<Inbox>, sqlx::Error> {
    // One statement, so that an author who becomes one that is read is in one half or the other.
    let (ids, read_authors): (Vec<i64>, Vec<String>) = query_as(
        "SELECT ARRAY (SELECT post_id FROM inbox WHERE user_id = $1 ORDER BY post_id DESC LIMIT $2),
                ARRAY (SELECT author_id FROM subscriptions JOIN read_authors USING (author_id) WHERE user_id = $1)",
    )
    .bind(user.as_str())
    .bind(bound(count))
    .fetch_one(&database)
    .await?;
    Ok(Some(Inbox { newest: newest_of(ids, count), read_authors }))
}

async fn load_author(database: Database, author: String, count: usize) -> Result<Option<Newest>, sqlx::Error> {
    let ids = query_scalar(
        "SELECT post_id FROM posts WHERE author_id = $1 AND inspection = 'passed' AND deleted_at IS NULL
         ORDER BY post_id DESC LIMIT $2",
    )
    .bind(author)
    .bind(bound(count))
    .fetch_all(&database)
    .await?;
    Ok(Some(newest_of(ids, count)))
}

async fn load_older(
    database: Database,
    user: UserId,
    below: PostId,
    count: usize,
) -> Result<Option<Newest>, sqlx::Error> {
    let ids = query_scalar(
        "(SELECT i.post_id FROM inbox i JOIN posts p USING (post_id)
          WHERE i.user_id = $1 AND i.post_id < $2 AND p.inspection = 'passed' AND p.deleted_at IS NULL
          ORDER BY i.post_id DESC LIMIT $3)
         UNION
         (SELECT p.post_id FROM subscriptions JOIN read_authors USING (author_id) CROSS JOIN LATERAL (
              SELECT post_id FROM posts
              WHERE posts.author_id = subscriptions.author_id AND posts.post_id < $2
                AND inspection = 'passed' AND deleted_at IS NULL
              ORDER BY post_id DESC LIMIT $3) p
          WHERE user_id = $1 ORDER BY p.post_id DESC LIMIT $3)
         ORDER BY post_id DESC LIMIT $3",
    )
    .bind(user.as_str())
    .bind(below.0)
    .bind(bound(count))
    .fetch_all(&database)
    .await?;
    Ok(Some(newest_of(ids, count)))
}

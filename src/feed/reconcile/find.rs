//! What is not where it belongs? A page of posts, held against inboxes, the search index and the inspection.
//!
//! What is legitimately absent is no fault: posts of authors who are read instead, and posts that were published before a
//! user subscribed, of which only the newest are brought.

use std::collections::BTreeSet;
use std::fmt;

use sqlx::{query_as, query_scalar};

use super::super::lanes::LaneContext;
use super::super::post::PostId;

/// Faults of one kind that a page answers; the next round finds the others.
const FAULTS_MAX: i64 = 1_000;

/// Something that is not so as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// Some who subscribed before it was published do not have it.
    NotDelivered(PostId),
    /// It may not be read, and is in inboxes.
    InInboxes(PostId),
    /// A user has posts of an author and does not follow them.
    NotFollowed { user: String, author: String },
    /// It may be read, and cannot be found as it is.
    NotIndexed(PostId),
    /// It may not be read, and is in the index, as of this revision.
    Indexed(PostId, i32),
    /// Nothing is under way that would inspect this revision.
    Pending { post: PostId, revision: i32 },
}

impl Fault {
    /// As metrics name it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::NotDelivered(_) => "not_delivered",
            Self::InInboxes(_) => "in_inboxes",
            Self::NotFollowed { .. } => "not_followed",
            Self::NotIndexed(_) => "not_indexed",
            Self::Indexed(..) => "indexed",
            Self::Pending { .. } => "pending",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDelivered(post) => write!(f, "post {post} is missing from inboxes"),
            Self::InInboxes(post) => write!(f, "post {post} may not be read and is in inboxes"),
            Self::NotFollowed { user, author } => write!(f, "the inbox of {user} has posts of {author}, not followed"),
            Self::NotIndexed(post) => write!(f, "post {post} is missing from the search index"),
            Self::Indexed(post, _) => write!(f, "post {post} may not be read and is in the search index"),
            Self::Pending { post, revision } => {
                write!(f, "post {post} waits for an inspection of revision {revision} that nobody does")
            }
        }
    }
}

/// Posts above `after`, up to and with `to`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) after: PostId,
    pub(super) to: PostId,
    pub(super) posts: u64,
    /// Above it there are only posts that are too young.
    pub(super) is_last: bool,
}

impl LaneContext {
    /// The next posts, at most `reconcile_max`, and fewer where they have very many subscribers; at least one.
    pub(super) async fn page(&self, after: PostId, compared_max: i64) -> Result<Page, sqlx::Error> {
        let settings = &self.settings;
        let posts_max = i64::from(settings.reconcile_max);
        // An id says when it was given.
        let horizon: i64 =
            query_scalar("SELECT (floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint - $1) << 21")
                .bind(i64::try_from(settings.reconcile_grace_ms).unwrap_or(i64::MAX))
                .fetch_one(&self.database)
                .await?;
        let posts: Vec<(i64, i64)> = query_as(
            "WITH page AS MATERIALIZED (
                 SELECT post_id, author_id FROM posts WHERE post_id > $1 AND post_id <= $2 ORDER BY post_id LIMIT $3
             ), sizes AS MATERIALIZED (
                 SELECT author_id, (SELECT count(*) FROM (
                     SELECT FROM subscriptions WHERE subscriptions.author_id = authors.author_id LIMIT $4) s) AS size
                 FROM (SELECT DISTINCT author_id FROM page) authors
             )
             SELECT post_id, size FROM page JOIN sizes USING (author_id) ORDER BY post_id",
        )
        .bind(after.0)
        .bind(horizon)
        .bind(posts_max)
        .bind(compared_max)
        .fetch_all(&self.database)
        .await?;
        let mut compared = 0;
        let fit = posts.iter().take_while(|(_, size)| {
            let is_first = compared == 0;
            compared += size + 1;
            is_first || compared <= compared_max
        });
        let fit = fit.count();
        let is_last = fit == posts.len() && posts.len() < usize::try_from(posts_max).unwrap_or(usize::MAX);
        let to = if is_last { horizon.max(after.0) } else { posts[fit - 1].0 };
        Ok(Page { after, to: PostId(to), posts: fit as u64, is_last })
    }

    /// What is wrong with a page.
    pub(super) async fn faults(&self, page: &Page) -> Result<BTreeSet<Fault>, sqlx::Error> {
        let mut faults = BTreeSet::new();
        let ids = async |sql: &'static str| -> Result<Vec<i64>, sqlx::Error> {
            query_scalar(sql).bind(page.after.0).bind(page.to.0).bind(FAULTS_MAX).fetch_all(&self.database).await
        };
        let not_delivered = ids("SELECT post_id FROM posts p
             WHERE post_id > $1 AND post_id <= $2 AND inspection = 'passed' AND deleted_at IS NULL
               AND NOT EXISTS (SELECT FROM read_authors r WHERE r.author_id = p.author_id)
               AND EXISTS (SELECT FROM subscriptions s
                           WHERE s.author_id = p.author_id AND s.subscribed_at <= p.published_at
                             AND NOT EXISTS (SELECT FROM inbox i
                                             WHERE i.user_id = s.user_id AND i.post_id = p.post_id))
             ORDER BY post_id LIMIT $3");
        faults.extend(not_delivered.await?.into_iter().map(|id| Fault::NotDelivered(PostId(id))));
        let in_inboxes = ids("SELECT DISTINCT post_id FROM inbox i
             WHERE post_id > $1 AND post_id <= $2
               AND NOT EXISTS (SELECT FROM posts p WHERE p.post_id = i.post_id AND inspection = 'passed'
                                                     AND deleted_at IS NULL)
             ORDER BY post_id LIMIT $3");
        faults.extend(in_inboxes.await?.into_iter().map(|id| Fault::InInboxes(PostId(id))));
        let not_followed: Vec<(String, String)> = query_as(
            "SELECT DISTINCT user_id, author_id FROM inbox i JOIN posts p USING (post_id)
             WHERE post_id > $1 AND post_id <= $2
               AND NOT EXISTS (SELECT FROM subscriptions s WHERE s.author_id = p.author_id AND s.user_id = i.user_id)
             LIMIT $3",
        )
        .bind(page.after.0)
        .bind(page.to.0)
        .bind(FAULTS_MAX)
        .fetch_all(&self.database)
        .await?;
        faults.extend(not_followed.into_iter().map(|(user, author)| Fault::NotFollowed { user, author }));
        let not_indexed = ids("SELECT post_id FROM posts p
             WHERE post_id > $1 AND post_id <= $2 AND inspection = 'passed' AND deleted_at IS NULL
               AND NOT EXISTS (SELECT FROM post_search s WHERE s.post_id = p.post_id AND s.revision = p.revision)
             ORDER BY post_id LIMIT $3");
        faults.extend(not_indexed.await?.into_iter().map(|id| Fault::NotIndexed(PostId(id))));
        let indexed: Vec<(i64, i32)> = query_as(
            "SELECT s.post_id, s.revision FROM post_search s
             WHERE s.post_id > $1 AND s.post_id <= $2
               AND NOT EXISTS (SELECT FROM posts p WHERE p.post_id = s.post_id AND inspection = 'passed'
                                                     AND deleted_at IS NULL)
             ORDER BY s.post_id LIMIT $3",
        )
        .bind(page.after.0)
        .bind(page.to.0)
        .bind(FAULTS_MAX)
        .fetch_all(&self.database)
        .await?;
        faults.extend(indexed.into_iter().map(|(id, revision)| Fault::Indexed(PostId(id), revision)));
        Ok(faults)
    }

    /// Posts that wait for an inspection, and whose message neither waits in the database, nor was refused by Kafka, nor is
    /// a letter that an operator has to look at or has thrown away.
    pub(super) async fn lost_pending(&self) -> Result<Vec<Fault>, sqlx::Error> {
        let lost: Vec<(i64, i32)> = query_as(
            "SELECT post_id, revision FROM posts p
             WHERE inspection = 'pending' AND deleted_at IS NULL
               AND post_id <= (floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint - $1) << 21
               AND NOT EXISTS (SELECT FROM post_outbox o WHERE o.state = 'waiting' AND o.post_id = p.post_id)
               AND NOT EXISTS (SELECT FROM post_outbox o WHERE o.state = 'failed' AND o.post_id = p.post_id)
               AND NOT EXISTS (SELECT FROM dead_letters d
                               WHERE d.record_key = convert_to(lpad(p.post_id::text, 19, '0'), 'UTF8')
                                 AND d.lane = 'inspect' AND d.state <> 'replayed')
             ORDER BY post_id LIMIT $2",
        )
        .bind(i64::try_from(self.settings.reconcile_grace_ms).unwrap_or(i64::MAX))
        .bind(i64::from(self.settings.reconcile_max))
        .fetch_all(&self.database)
        .await?;
        Ok(lost.into_iter().map(|(id, revision)| Fault::Pending { post: PostId(id), revision }).collect())
    }
}

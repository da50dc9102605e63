//! Is every post where it belongs? Looks, page by page, for what was lost on the way or was left behind, and mends it.
//!
//! - One node at a time, by an advisory lock; how far it is stands in the database, so whoever takes over goes on there.
//! - What is missing may be on its way: it is looked at again once the lanes have passed all that was in Kafka, and only
//!   what is wrong both times is mended. So nothing is done twice.
//! - It mends through the lanes' own code, and at their pace. What it cannot mend is counted, said, and passed by.
//! - Whose message Kafka has not had yet is taken out of the cache here: its author's node may have died, or Redis may have
//!   been away. Where Redis may have come back with less, so is all that has changed since the oldest entry was made.

mod find;
mod mend;
mod under_way;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, query, query_as, query_scalar};
use tokio_util::sync::CancellationToken;

use super::lanes::{LaneContext, LaneError};
use super::post::PostId;
use super::relay;
use crate::config::Config;
use crate::kafka::KafkaError;
use crate::redis::Redis;
use find::{Fault, Page};
use under_way::Way;

/// How long a fault may take to be mended. A node without a share of the pace would wait for ever, with the lock.
const MEND_MAX: Duration = Duration::from_mins(1);
/// Inbox rows and subscribers that a page compares, about, and posts that one call takes out of the cache.
const COMPARED_MAX: i64 = 100_000;
const TOLD_AT_ONCE: i64 = 500;

/// What a tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconciled {
    /// Another node does it.
    AnotherNode,
    /// So many posts were looked at, so many faults mended, and so many not.
    Page {
        /// Posts of the page.
        posts: u64,
        /// What was wrong and is not any more.
        mended: u64,
        /// What is wrong still.
        unmended: u64,
    },
    /// As above, and no posts are left: the next page is the first again.
    Ended {
        /// See `Page`.
        posts: u64,
        /// See `Page`.
        mended: u64,
        /// See `Page`.
        unmended: u64,
    },
    /// Something is missing that may be on its way: this page is looked at again.
    OnItsWay,
}

/// Looks after posts. One a node that delivers and indexes, of which one works.
pub struct FeedReconciler {
    context: Arc<LaneContext>,
    redis: Arc<Redis>,
    /// An entry of the cache that was made longer ago has expired.
    entry_life: Duration,
    way: Way,
    session: Option<PgConnection>,
    /// What was wrong in the page when it was looked at first, and since when that is so.
    suspects: Option<(Page, BTreeSet<Fault>, Instant)>,
    /// Rows that a page compares: less, once the database took too long.
    compared_max: i64,
    tells_all: bool,
}

impl FeedReconciler {
    /// Connects to nothing yet.
    pub fn new(context: Arc<LaneContext>, redis: Arc<Redis>, config: &Config) -> Result<Self, KafkaError> {
        let cache = &config.cache;
        let entry_ms = cache.ttl_ms + cache.ttl_ms * cache.jitter_percent / 100 + cache.redis_timeout_ms;
        Ok(Self {
            way: Way::new(config)?,
            context,
            redis,
            entry_life: Duration::from_millis(entry_ms),
            session: None,
            suspects: None,
            compared_max: COMPARED_MAX,
            tells_all: true,
        })
    }

    /// Until it is told to stop; a fault that is being mended is left to whoever comes next.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut reconnects = self.redis.reconnects();
        let every = Duration::from_millis(self.context.settings.reconcile_every_ms);
        loop {
            let pause = tokio::select! {
                () = shutdown.cancelled() => break,
                () = reconnects.next() => {
                    self.tells_all = true;
                    Duration::ZERO
                }
                () = tokio::time::sleep(every) => every,
            };
            if let Some(Err(error)) = shutdown.run_until_cancelled(self.tick()).await {
                metrics::counter!("onrush_feed_reconcile_failures_total").increment(1);
                tracing::warn!(%error, ?pause, "posts are not being reconciled; it is tried again");
            }
        }
        self.close().await;
    }

    /// Gives the lock up.
    pub async fn close(&mut self) {
        if let Some(session) = self.session.take()
            && let Err(error) = session.close().await
        {
            tracing::debug!(%error, "closing a session");
        }
    }

    /// Looks at one page, if this is the node that does it.
    pub async fn tick(&mut self) -> Result<Reconciled, LaneError> {
        let outcome = self.work().await;
        if let Err(error) = &outcome {
            if takes_too_long(error) && self.compared_max > 1 {
                self.compared_max /= 2;
            } else if takes_too_long(error) {
                self.pass_by().await?;
            }
            // Whether it still has the lock nobody knows, and another may have what this one lacks.
            self.close().await;
            self.suspects = None;
        }
        outcome
    }

    async fn work(&mut self) -> Result<Reconciled, LaneError> {
        if !self.has_lock().await? {
            self.suspects = None;
            return Ok(Reconciled::AnotherNode);
        }
        self.tell_again().await?;
        let pending = self.context.lost_pending().await?;
        let (page, found, since) = match self.suspects.take() {
            None => {
                let page = self.next_page().await?;
                let mut found = self.context.faults(&page).await?;
                found.extend(pending);
                if found.is_empty() {
                    return self.end_page(&page, 0, 0).await;
                }
                self.way.begin();
                (page, found, Instant::now())
            }
            Some(suspects) => suspects,
        };
        if !self.way.is_passed().await? {
            metrics::gauge!("onrush_feed_reconcile_waits_seconds").set(since.elapsed().as_secs_f64());
            self.suspects = Some((page, found, since));
            return Ok(Reconciled::OnItsWay);
        }
        metrics::gauge!("onrush_feed_reconcile_waits_seconds").set(0.0);
        let again = self.look_again(&page).await?;
        let confirmed: Vec<&Fault> = found.intersection(&again).collect();
        let mut sent_again = BTreeSet::new();
        for fault in &confirmed {
            if self.mend(fault).await? && matches!(fault, Fault::Pending { .. }) {
                sent_again.insert(*fault);
            }
        }
        let left = if confirmed.is_empty() { BTreeSet::new() } else { self.look_again(&page).await? };
        // What was sent again is on its way now.
        let is_left = |fault: &&&Fault| left.contains(**fault) && !sent_again.contains(**fault);
        let mut unmended = 0;
        for fault in confirmed.iter().filter(is_left) {
            unmended += 1;
            tracing::error!(%fault, "a post is not where it belongs, and cannot be mended: look at the lines before this one");
        }
        self.end_page(&page, confirmed.len() as u64 - unmended, unmended).await
    }

    async fn look_again(&self, page: &Page) -> Result<BTreeSet<Fault>, LaneError> {
        let mut found = self.context.faults(page).await?;
        found.extend(self.context.lost_pending().await?);
        Ok(found)
    }

    /// Answers whether it was mended, as far as those know who did it.
    async fn mend(&self, fault: &Fault) -> Result<bool, LaneError> {
        let mending = tokio::time::timeout(MEND_MAX, self.context.mend(fault)).await;
        match mending {
            Ok(Ok(())) => {
                metrics::counter!("onrush_feed_reconciled_total", "fault" => fault.name()).increment(1);
                tracing::warn!(%fault, "a post was not where it belongs, and is now");
                Ok(true)
            }
            Ok(Err(error)) if error.is_of_the_message() => {
                tracing::error!(%fault, %error, "a post is not where it belongs");
                Ok(false)
            }
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => Err(LaneError::Stopping),
        }
    }

    async fn has_lock(&mut self) -> Result<bool, LaneError> {
        if let Some(session) = &mut self.session {
            session.ping().await?;
            return Ok(true);
        }
        let mut session = relay::connect(&self.context.database).await?;
        let has_lock: bool = query_scalar(
            "SELECT pg_try_advisory_lock(hashtextextended('onrush-post-reconciler-' || current_schema(), 0))",
        )
        .fetch_one(&mut session)
        .await?;
        if has_lock {
            tracing::info!("this node looks after posts that were lost on their way");
            self.session = Some(session);
            self.tells_all = true;
        } else {
            session.close().await?;
        }
        Ok(has_lock)
    }

    /// Takes out of the cache what has changed and was perhaps not told: what Kafka has not had yet, or all.
    async fn tell_again(&mut self) -> Result<(), LaneError> {
        let mut after = 0;
        loop {
            let changed: Vec<i64> = query_scalar(
                "SELECT DISTINCT post_id FROM post_outbox
                 WHERE (state IN ('waiting', 'failed') OR $1) AND post_id > $2
                   AND created_at > clock_timestamp() - make_interval(secs => $3)
                 ORDER BY post_id LIMIT $4",
            )
            .bind(self.tells_all)
            .bind(after)
            .bind(self.entry_life.as_secs_f64())
            .bind(TOLD_AT_ONCE)
            .fetch_all(&self.context.database)
            .await?;
            let Some(last) = changed.last() else { break };
            after = *last;
            let changed: Vec<PostId> = changed.into_iter().map(PostId).collect();
            self.context.posts.invalidate_all(&changed).await?;
        }
        self.tells_all = false;
        Ok(())
    }

    /// A single post for which the database takes too long is not looked at.
    async fn pass_by(&self) -> Result<(), LaneError> {
        let passed: Option<i64> = query_scalar(
            "UPDATE post_reconciliation SET unmended = unmended + 1,
                    after = (SELECT min(post_id) FROM posts WHERE post_id > post_reconciliation.after)
             WHERE EXISTS (SELECT FROM posts WHERE post_id > post_reconciliation.after)
             RETURNING after",
        )
        .fetch_optional(&self.context.database)
        .await?;
        if let Some(post) = passed.map(PostId) {
            tracing::error!(%post, "to look whether a post is where it belongs takes the database too long: it is passed by");
        }
        Ok(())
    }

    async fn next_page(&self) -> Result<Page, LaneError> {
        let after: i64 =
            query_scalar("SELECT after FROM post_reconciliation").fetch_one(&self.context.database).await?;
        Ok(self.context.page(PostId(after), self.compared_max).await?)
    }

    async fn end_page(&mut self, page: &Page, mended: u64, unmended: u64) -> Result<Reconciled, LaneError> {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let database = &self.context.database;
        if page.is_last {
            let (seconds,): (f64,) = query_as(
                "UPDATE post_reconciliation SET after = 0, unmended_before = unmended + $2, unmended = 0,
                        mended = mended + $1, ended_at = clock_timestamp(), began_at = clock_timestamp()
                 FROM (SELECT began_at AS began FROM post_reconciliation) AS before
                 RETURNING extract(epoch FROM clock_timestamp() - before.began)::float8",
            )
            .bind(number(mended))
            .bind(number(unmended))
            .fetch_one(database)
            .await?;
            metrics::gauge!("onrush_feed_reconcile_round_seconds").set(seconds);
        } else {
            query("UPDATE post_reconciliation SET after = $1, unmended = unmended + $3, mended = mended + $2")
                .bind(page.to.0)
                .bind(number(mended))
                .bind(number(unmended))
                .execute(database)
                .await?;
        }
        self.compared_max = (self.compared_max * 2).min(COMPARED_MAX);
        metrics::counter!("onrush_feed_reconciled_posts_total").increment(page.posts);
        let posts = page.posts;
        Ok(if page.is_last {
            Reconciled::Ended { posts, mended, unmended }
        } else {
            Reconciled::Page { posts, mended, unmended }
        })
    }
}

/// Whether the statement was ended by its time limit.
fn takes_too_long(error: &LaneError) -> bool {
    let LaneError::Database(error) = error else { return false };
    error.as_database_error().and_then(|error| error.code().map(|code| code == "57014")).unwrap_or(false)
}

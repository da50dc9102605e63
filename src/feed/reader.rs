//! What has a user to read? A page of the feed: what was delivered, and what is read of authors with very many subscribers.
//!
//! - Newest first, each post once. A page goes on below the last post of the one before, wherever new ones arrive.
//! - What is not passed at the moment is left out, and the page filled with what comes after it.
//! - Nobody waits for the user-info API longer than its time limit; without an answer an author has no name.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, try_join_all};

use super::error::FeedError;
use super::inbox::Inboxes;
use super::merge::Lists;
use super::post::{Inspection, PostId};
use super::posts::Posts;
use super::ready::ReadyPost;
use crate::config;
use crate::ids::UserId;
use crate::upstream::Users;

/// How often a page is filled up before it is answered as it is, shorter than asked for.
const ROUNDS_MAX: usize = 5;

/// A post in a feed.
#[derive(Debug, Clone)]
pub struct Item {
    /// Which.
    pub post: Arc<ReadyPost>,
    /// What its author is called; `None`: the user-info API does not say.
    pub author_name: Option<String>,
}

/// A page of a feed.
#[derive(Debug, Clone)]
pub struct FeedPage {
    /// Newest first.
    pub items: Vec<Item>,
    /// The next page goes on below this; `None`: there is none.
    pub next: Option<PostId>,
    /// Some of it may have changed since.
    pub is_stale: bool,
}

/// Which page.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// `next` of the page before.
    pub below: Option<PostId>,
    /// Items at most.
    pub limit: usize,
}

/// Reads feeds.
pub struct Reader {
    posts: Posts,
    inboxes: Inboxes,
    users: Users,
    read_authors_max: usize,
    names_wait_max: Duration,
}

/// What a page is made of, while it is being filled.
struct PageDraft {
    posts: Vec<Arc<ReadyPost>>,
    is_stale: bool,
}

impl Reader {
    /// Asks nobody yet.
    #[must_use]
    pub fn new(posts: Posts, inboxes: Inboxes, users: Users, feed: &config::Feed, upstream: &config::Upstream) -> Self {
        Self {
            posts,
            inboxes,
            users,
            read_authors_max: feed.read_authors_max,
            names_wait_max: Duration::from_millis(upstream.timeout_ms),
        }
    }

    /// A page of the user's feed.
    #[tracing::instrument(level = "debug", skip_all, fields(%user))]
    pub async fn page(&self, user: &UserId, wanted: Wanted) -> Result<FeedPage, FeedError> {
        let mut draft = PageDraft { posts: Vec::new(), is_stale: false };
        let lists = self.lists(user, &mut draft).await?;
        let mut below = wanted.below.unwrap_or(PostId(i64::MAX));
        for _ in 0..ROUNDS_MAX {
            // One more than asked for tells whether there is a next page.
            let count = wanted.limit + 1 - draft.posts.len();
            let (ids, is_end) = self.candidates(user, &lists, below, count, &mut draft).await?;
            below = ids.last().copied().unwrap_or(below);
            self.read(&ids, &mut draft).await?;
            if draft.posts.len() > wanted.limit {
                draft.posts.truncate(wanted.limit);
                let next = draft.posts.last().map(|post| post.post_id);
                return Ok(self.named(draft, next).await);
            }
            if is_end {
                return Ok(self.named(draft, None).await);
            }
        }
        metrics::counter!("onrush_feed_short_pages_total").increment(1);
        Ok(self.named(draft, Some(below)).await)
    }

    /// What is kept of all that the user reads.
    async fn lists(&self, user: &UserId, draft: &mut PageDraft) -> Result<Lists, FeedError> {
        let inbox = self.inboxes.of(user).await?;
        draft.is_stale |= inbox.is_stale;
        let Some(inbox) = inbox.value else { return Ok(Lists::default()) };
        if inbox.read_authors.len() > self.read_authors_max {
            // They were followed before they had so many subscribers. One question for all is cheaper then.
            return Ok(Lists::unknown());
        }
        let mut lists = vec![inbox.newest.clone()];
        for found in try_join_all(inbox.read_authors.iter().map(|author| self.inboxes.of_author(author))).await? {
            draft.is_stale |= found.is_stale;
            lists.extend(found.value.map(|newest| newest.as_ref().clone()));
        }
        Ok(Lists::new(lists))
    }

    /// The posts that come next, and whether there are none after them.
    async fn candidates(
        &self,
        user: &UserId,
        lists: &Lists,
        below: PostId,
        count: usize,
        draft: &mut PageDraft,
    ) -> Result<(Vec<PostId>, bool), FeedError> {
        let mut ids = lists.below(below, count);
        let (true, Some(floor)) = (ids.len() < count, lists.floor) else {
            let is_end = ids.len() < count;
            return Ok((ids, is_end));
        };
        let left = count - ids.len();
        let older = self.inboxes.older(user, below.min(floor), left).await?;
        draft.is_stale |= older.is_stale;
        ids.extend(older.value.iter().flat_map(|older| &older.ids));
        let is_end = ids.len() < count;
        Ok((ids, is_end))
    }

    /// Those of these posts that may be read now.
    async fn read(&self, ids: &[PostId], draft: &mut PageDraft) -> Result<(), FeedError> {
        for found in try_join_all(ids.iter().map(|id| self.posts.find(*id))).await? {
            draft.is_stale |= found.is_stale;
            draft.posts.extend(found.value.filter(|post| post.inspection == Inspection::Passed));
        }
        Ok(())
    }

    /// The page, with its authors' names as far as they are had in time.
    async fn named(&self, draft: PageDraft, next: Option<PostId>) -> FeedPage {
        let authors: HashSet<&str> = draft.posts.iter().map(|post| post.author_id.as_str()).collect();
        let names: HashMap<&str, String> =
            join_all(authors.into_iter().map(async |author| Some((author, self.name(author).await?))))
                .await
                .into_iter()
                .flatten()
                .collect();
        let item = |post: &Arc<ReadyPost>| Item {
            author_name: names.get(post.author_id.as_str()).cloned(),
            post: Arc::clone(post),
        };
        FeedPage { items: draft.posts.iter().map(item).collect(), next, is_stale: draft.is_stale }
    }

    async fn name(&self, author: &str) -> Option<String> {
        let author = author.parse().ok()?;
        let why = match tokio::time::timeout(self.names_wait_max, self.users.find(&author)).await {
            Ok(Ok(known)) => return known.map(|known| known.name),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        metrics::counter!("onrush_feed_names_missing_total").increment(1);
        tracing::debug!(%author, why, "a feed is answered without an author's name");
        None
    }
}

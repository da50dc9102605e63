//! What did somebody receive? The newest of it, kept by the cache.

use super::post::PostId;
use crate::cache::{Cache, CacheError, Kind};

static INBOX: Kind<Vec<PostId>> = Kind::new("inbox").personal();
static AUTHOR_POSTS: Kind<Vec<PostId>> = Kind::new("author-posts");

/// Inboxes as they are read.
#[derive(Clone)]
pub struct Inboxes {
    cache: Cache,
}

impl Inboxes {
    /// Nothing is loaded yet.
    #[must_use]
    pub fn new(cache: Cache) -> Self {
        Self { cache }
    }

    /// What is kept of these users' inboxes is not so any more.
    pub async fn invalidate(&self, users: &[String]) -> Result<(), CacheError> {
        self.cache.invalidate(&INBOX, users).await
    }

    /// The same, of the posts of an author who is read instead of written.
    pub async fn invalidate_author(&self, author: &str) -> Result<(), CacheError> {
        self.cache.invalidate(&AUTHOR_POSTS, &[author.to_owned()]).await
    }
}

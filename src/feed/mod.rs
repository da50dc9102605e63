//! What is there to read? Posts of authors, their inspection, the inboxes of subscribers, search.
//!
//! - A post and the message about it are written by one transaction; the relay sends the messages in their order.
//! - What was not inspected, was rejected or is gone is read by nobody but its author.
//! - A post is in each due inbox once, whatever is killed.
//! - What was begun is finished by us, not by its caller, and what was lost on the way is found and mended.
//! - Bulk work has a rate of its own: the ledger of claims does not notice it.

mod inbox;
pub mod inspect;
mod lanes;
mod merge;
mod message;
mod pace;
mod post;
mod posts;
mod reader;
mod ready;
mod reconcile;
mod relay;
pub mod search;
mod subscriptions;
mod work;

use thiserror::Error;
use tracing::Instrument;

use crate::cache::{Cache, CacheError};
use crate::config;
use crate::database::Database;
use crate::upstream::Users;
pub use inbox::{Inbox, Inboxes, Newest};
pub use lanes::{Lane, LaneError, Means};
pub use message::{Happened, Inspected, Original, Outcome, SCHEMA_VERSION};
pub use pace::Pace;
pub use post::{Inspection, InvalidPostId, Post, PostId};
pub use posts::{Edit, Posts, Text};
pub use reader::{FeedPage, Item, Reader, Wanted};
pub use ready::{Form, PostView, ReadyPost};
pub use reconcile::{FeedReconciler, Reconciled};
pub use relay::{PostOutbox, PostRelay, PostRelayError, Relayed};
pub use subscriptions::{Subscribed, Subscriptions};
pub use work::{LaneWorker, Reads};

/// Why something could not be written or read. What was asked for may have happened.
#[derive(Debug, Error)]
pub enum FeedError {
    /// The database is away or refused. Worth another try.
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
    /// The cache has nothing to say, or could not be told. Worth another try.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// What authors write and readers ask for.
pub struct Feed {
    /// Posts by their ids.
    pub posts: Posts,
    /// Who reads whom.
    pub subscriptions: Subscriptions,
    /// What was delivered.
    pub inboxes: Inboxes,
    /// Pages of feeds.
    pub reader: Reader,
    /// Looks for posts.
    pub search: search::Searcher,
}

impl Feed {
    /// Asks nobody yet.
    #[must_use]
    pub fn new(database: &Database, cache: &Cache, users: Users, config: &config::Config) -> Self {
        let posts = Posts::new(database.clone(), cache.clone());
        let inboxes = Inboxes::new(database.clone(), cache.clone(), config.feed.newest_max);
        Self {
            subscriptions: Subscriptions::new(database.clone(), inboxes.clone(), &config.feed),
            reader: Reader::new(posts.clone(), inboxes.clone(), users, &config.feed, &config.upstream),
            search: search::Searcher::new(database.clone(), cache.clone(), &config.search),
            posts,
            inboxes,
        }
    }
}

/// Whoever asked may go away in the middle: what is committed is told to the cache all the same. The task is never aborted:
/// if it has not ended well it has panicked.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, FeedError>> + Send + 'static,
) -> Result<T, FeedError> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(done) => done,
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}

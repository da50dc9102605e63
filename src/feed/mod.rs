//! What is there to read? Posts of authors, their inspection, the inboxes of subscribers, search.
//!
//! - A post and the message about it are written by one transaction; the relay sends the messages in their order.
//! - What was not inspected, was rejected or is gone is read by nobody but its author.
//! - A post is in each due inbox once, whatever is killed.
//! - What was begun is finished by us, not by its caller, and what was lost on the way is found and mended.
//! - Bulk work has a rate of its own: the ledger of claims does not notice it.

mod detached;
mod error;
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

use crate::cache::Cache;
use crate::config;
use crate::database::Database;
use crate::upstream::Users;
pub use error::FeedError;
pub use inbox::{Inbox, Inboxes, Newest};
pub use lanes::{Lane, LaneContext, LaneError};
pub use message::{Happened, Inspected, Original, Outcome, SCHEMA_VERSION};
pub use pace::Pace;
pub use post::{Inspection, InvalidPostId, Post, PostId};
pub use posts::{Edit, Posts, Text};
pub use reader::{FeedPage, Item, Reader, Wanted};
pub use ready::{Form, PostView, ReadyPost};
pub use reconcile::{FeedReconciler, Reconciled};
pub use relay::{PostOutbox, PostRelay, PostRelayError, Relayed};
pub use subscriptions::{Subscribed, Subscriptions};
pub use work::{FeedConsumer, LaneWorker};

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

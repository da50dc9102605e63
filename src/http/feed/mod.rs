//! Routes of posts, feeds, subscriptions, search and the front page.

pub(crate) mod front_page;
pub(crate) mod posts;
pub(crate) mod routes;
pub(crate) mod search;
pub(crate) mod subscriptions;

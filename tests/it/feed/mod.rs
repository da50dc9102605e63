//! What there is to read: posts, subscriptions, the feed and the front page.

mod desk;
mod posts;
mod reading;
mod subscriptions;
mod view;

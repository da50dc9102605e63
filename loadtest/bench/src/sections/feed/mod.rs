//! The chapter of the feed: what a read costs from each tier, what compression saves, what a flood of posts does to claims,
//! and how long a search takes.

pub mod compression;
pub mod flood;
pub mod posts;
pub mod reads;
pub mod search;

//! What travels through Kafka about posts. The key is the post's id, so each post's messages keep their order.

use serde::{Deserialize, Serialize};

use super::post::PostId;

/// The form of the messages: readers refuse others.
pub const SCHEMA_VERSION: u32 = 1;

/// What happened to a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// It was written.
    Created,
    /// It was changed, and has to be inspected again.
    Edited,
    /// It is gone.
    Deleted,
}

/// A message of `feed.original_topic`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// See [`SCHEMA_VERSION`].
    pub v: u32,
    /// Which post.
    pub post_id: PostId,
    /// Of which revision this speaks.
    pub revision: i32,
    /// What happened.
    pub happened: Happened,
    /// Whose it is.
    pub author_id: String,
    /// Empty where it was deleted.
    pub title: String,
    /// Empty where it was deleted.
    pub body: String,
}

/// What became of the inspection, for those who only want what passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It may be read.
    Passed,
    /// It may not be read any more: edited, deleted, or rejected after an edit.
    Withdrawn,
}

/// A message of `feed.inspected_topic`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspected {
    /// See [`SCHEMA_VERSION`].
    pub v: u32,
    /// Which post.
    pub post_id: PostId,
    /// Of which revision this speaks.
    pub revision: i32,
    /// Whether it may be read.
    pub outcome: Outcome,
    /// Whose it is.
    pub author_id: String,
    /// Empty where it was withdrawn, as are the rest.
    pub title: String,
    /// What it says.
    pub body: String,
    /// What it is about.
    pub category: String,
    /// Hash tags, without `#`.
    pub tags: Vec<String>,
}

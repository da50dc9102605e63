//! What is done with a message about a post? One lane for each answer, each a group of its own, none waiting for another.
//!
//! - What a lane does may be done twice, and again much later: what a message says is done only if the database still says
//!   so, too.
//! - A lane is finished with a message when all of it is written and acknowledged, and not before.

mod deliver;
mod error;
mod fill;
mod index;
mod inspect;

use std::sync::Arc;

use serde::de::DeserializeOwned;

pub(super) use deliver::Due;
pub use error::LaneError;

use super::inbox::Inboxes;
use super::inspect::Inspector;
use super::pace::Pace;
use super::posts::Posts;
use super::{Inspected, Original, SCHEMA_VERSION};
use crate::config;
use crate::database::Database;
use crate::ids::UserId;
use crate::kafka::{Producer, Record};
use crate::upstream::Users;

/// A lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Loads new posts into the cache, with their authors.
    Fill,
    /// Has posts inspected.
    Inspect,
    /// Brings what passed into the inboxes, and what was withdrawn out of them.
    Deliver,
    /// Brings it into the search index, and out of it.
    Index,
}

impl Lane {
    /// All of them, in the order in which a post passes them.
    pub const ALL: [Self; 4] = [Self::Fill, Self::Inspect, Self::Deliver, Self::Index];

    /// As groups, metrics and letters name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::Inspect => "inspect",
            Self::Deliver => "deliver",
            Self::Index => "index",
        }
    }

    /// As the configuration names it.
    #[must_use]
    pub fn setting(self) -> config::FeedLane {
        match self {
            Self::Fill => config::FeedLane::Fill,
            Self::Inspect => config::FeedLane::Inspect,
            Self::Deliver => config::FeedLane::Deliver,
            Self::Index => config::FeedLane::Index,
        }
    }

    /// The topic that it reads.
    #[must_use]
    pub fn topic(self, settings: &config::Feed) -> &str {
        match self {
            Self::Fill | Self::Inspect => &settings.original_topic,
            Self::Deliver | Self::Index => &settings.inspected_topic,
        }
    }

    /// Its group.
    #[must_use]
    pub fn group(self, settings: &config::Feed) -> String {
        format!("{}-{}", settings.group, self.name())
    }
}

/// What the lanes work with. One a node.
pub struct LaneContext {
    /// Where posts and inboxes are.
    pub database: Database,
    /// Where messages go.
    pub producer: Arc<Producer>,
    /// Who authors are.
    pub users: Users,
    /// Who says whether a post may be read.
    pub inspector: Inspector,
    /// What is kept of posts.
    pub posts: Posts,
    /// What is kept of inboxes.
    pub inboxes: Inboxes,
    /// How much bulk work is let through.
    pub pace: Arc<Pace>,
    /// How much, how often.
    pub settings: config::Feed,
}

impl LaneContext {
    /// Does what this lane does with a message.
    pub async fn handle(&self, lane: Lane, record: &Record) -> Result<(), LaneError> {
        match lane {
            Lane::Fill => self.fill(&read_original(record)?).await,
            Lane::Inspect => self.inspect(&read_original(record)?).await,
            Lane::Deliver => self.deliver(&read_inspected(record)?).await,
            Lane::Index => self.index(&read_inspected(record)?).await,
        }
    }
}

fn read<M: DeserializeOwned>(record: &Record) -> Result<M, LaneError> {
    serde_json::from_slice(&record.value).map_err(|error| LaneError::Unreadable(error.to_string()))
}

fn read_original(record: &Record) -> Result<Original, LaneError> {
    let message: Original = read(record)?;
    known(message.v).map(|()| message)
}

fn read_inspected(record: &Record) -> Result<Inspected, LaneError> {
    let message: Inspected = read(record)?;
    known(message.v).map(|()| message)
}

fn known(v: u32) -> Result<(), LaneError> {
    if v == SCHEMA_VERSION { Ok(()) } else { Err(LaneError::Unreadable(format!("version {v}"))) }
}

fn user(id: &str) -> Result<UserId, LaneError> {
    UserId::recorded(id).ok_or_else(|| LaneError::Unreadable(format!("author_id {id:?} is no user's id")))
}

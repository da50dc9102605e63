//! What is on offer? Campaigns, from the operator's word to every node's memory.
//!
//! - The row in the database is the definition; Redis follows by version and decides; nodes keep a copy.
//! - A campaign is made in Redis only while the database says that it was never put. One that was and is missing is
//!   lost, not forgotten.
//! - A claim needs no lookup: a node has every campaign in memory.

mod catalog;
mod counters;
mod definition;
mod follow;
mod latch;
mod lifecycle;
mod put;
mod recorded;
mod stopped;
mod table;
mod view;

use std::sync::Arc;

use thiserror::Error;

use crate::config;
use crate::database::Database;
use crate::ids::CampaignId;
use crate::redis::{Redis, RedisError};
pub use catalog::{Campaign, Catalog};
pub use definition::{Definition, Draft, Durability, Message, Order, State, Waiting};
pub use follow::{Follower, Publisher};
pub use lifecycle::{Change, Created, Refused, Switch, WaitingChange};
pub(crate) use put::{announce, definition_args};
pub use recorded::Recorded;
pub(crate) use stopped::{remember_stopped, was_stopped};
pub use view::View;

/// Why something could not be done with a campaign.
#[derive(Debug, Error)]
pub enum CampaignError {
    /// Redis is away. What was asked for may have happened; it is safe to repeat.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The database is away or refused. What was asked for may have happened; it is safe to repeat.
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
    /// The campaign was in Redis and is not any more, or only an older state of it. An operator has to rebuild it.
    #[error("the campaign was lost in Redis and has to be rebuilt")]
    Lost,
    /// It is being made just now: Redis does not have it yet.
    #[error("the campaign is being made")]
    BeingMade,
    /// Its facts wait for Kafka, and there is no room for more.
    #[error("too many facts of the campaign wait for Kafka")]
    OutboxFull,
    /// Too many others changed it at the same moment.
    #[error("the campaign was changed by others at the same moment")]
    Contended,
    /// The installation has as many campaigns as it may.
    #[error("there are {0} campaigns already, the most that campaign.campaigns_max allows")]
    TooMany(usize),
}

/// The campaign's definition by its row, for who works on it from outside; `None` if there is none.
pub(crate) async fn find_definition(database: &Database, id: &CampaignId) -> Result<Option<Definition>, sqlx::Error> {
    Ok(table::find(database, id).await?.map(|stored| stored.definition))
}

/// The public face of the room.
pub struct Campaigns {
    redis: Arc<Redis>,
    database: Database,
    catalog: Catalog,
    limits: config::Campaign,
}

impl Campaigns {
    /// Knows nothing yet: see [`Follower`].
    #[must_use]
    pub fn new(redis: Arc<Redis>, database: Database, limits: config::Campaign) -> Self {
        let catalog = Catalog::new(Arc::clone(redis.marks()));
        Self { redis, database, catalog, limits }
    }

    /// The campaign, from memory or, for one that this node has not heard of yet, from Redis. `None`: there is none.
    pub async fn find(&self, id: &CampaignId) -> Result<Option<Arc<Campaign>>, RedisError> {
        match self.catalog.get(id) {
            Some(campaign) => Ok(Some(campaign)),
            // Apart, since it is rare and large: who waits for this would carry it along each time.
            None => Box::pin(self.catalog.fetch(&self.redis, id)).await,
        }
    }

    /// All campaigns in memory.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }
}

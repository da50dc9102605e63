//! All campaigns of an installation: the public face of the room.

use std::sync::Arc;

use super::catalog::{Campaign, Catalog};
use super::definition::Definition;
use super::table;
use crate::config;
use crate::database::Database;
use crate::ids::CampaignId;
use crate::redis::{Redis, RedisError};

/// The campaign's definition by its row, for who works on it from outside; `None` if there is none.
pub(crate) async fn find_definition(database: &Database, id: &CampaignId) -> Result<Option<Definition>, sqlx::Error> {
    Ok(table::find(database, id).await?.map(|stored| stored.definition))
}

/// What is on offer, as this node knows it and can change it.
pub struct Campaigns {
    pub(super) redis: Arc<Redis>,
    pub(super) database: Database,
    pub(super) catalog: Catalog,
    pub(super) limits: config::Campaign,
}

impl Campaigns {
    /// Knows nothing yet: see [`super::Follower`].
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

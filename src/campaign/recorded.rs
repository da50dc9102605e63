//! What does the database know of all campaigns? Asked before a Redis that was restarted or replaced decides anything.

use super::campaigns::Campaigns;
use super::definition::Definition;
use super::error::CampaignError;
use super::put::{announce, put_again};
use super::table;
use crate::ids::CampaignId;
use crate::redis::Inspection;

/// A campaign that was in Redis, by the database's word.
#[derive(Debug, Clone)]
pub struct Recorded {
    definition: Definition,
}

impl Recorded {
    /// The campaign's id.
    #[must_use]
    pub fn id(&self) -> &CampaignId {
        self.definition.id()
    }

    /// The version of its row.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.definition.version
    }
}

impl Campaigns {
    /// Takes all campaigns that were ever in Redis into memory, and raises their marks to what the ledger has of them.
    pub async fn recorded(&self) -> Result<Vec<Recorded>, CampaignError> {
        let mut recorded = Vec::new();
        for row in table::all(&self.database, false).await?.into_iter().filter(|row| row.ever_put) {
            let campaign = self.catalog.learn(row.definition.clone());
            // It was made there, and that was a fact.
            campaign.high_water.raise(1, 1);
            recorded.push(Recorded { definition: row.definition });
        }
        for (id, generation, fact_no) in table::highest_facts(&self.database).await? {
            self.redis.marks().of(&id).raise(generation, fact_no);
        }
        Ok(recorded)
    }

    /// Brings a campaign up to its row on a server that is being verified: a pause or an end that the server has forgotten holds
    /// before it decides again.
    pub async fn bring_up_to_date(
        &self,
        inspection: &Inspection<'_>,
        recorded: &Recorded,
    ) -> Result<(), CampaignError> {
        let campaign = self.catalog.learn(recorded.definition.clone());
        let put = put_again(inspection, &self.redis, &self.limits, &campaign, &recorded.definition).await?;
        tracing::warn!(campaign = %recorded.id(), version = recorded.version(), ?put, "Redis had an older definition: put again");
        Ok(())
    }

    /// Tells all nodes of a campaign that the directory in Redis lacks, whether its row is published or not: who is publishing it
    /// just now may have told the server's last life.
    pub async fn announce_again(&self, recorded: &Recorded) -> Result<(), CampaignError> {
        announce(&self.redis, recorded.id()).await?;
        tracing::warn!(campaign = %recorded.id(), "Redis had no announcement of it: announced again");
        Ok(())
    }
}

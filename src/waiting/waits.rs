//! How long did people wait? Percentiles of what the scripts have counted.

use std::collections::{BTreeMap, HashMap};

use crate::ids::CampaignId;
use crate::redis::{Redis, RedisError};

/// Waits in seconds, and how many users waited so long before they were admitted. Above a minute they are counted to ten
/// seconds, above an hour to a minute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waits(BTreeMap<u64, u64>);

impl Waits {
    /// As Redis has them.
    pub(super) async fn read(redis: &Redis, campaign: &CampaignId) -> Result<Self, RedisError> {
        Ok(Self::of(&redis.all_fields(&redis.keys().of(campaign).waits()).await?))
    }

    /// From the hash in Redis; what is no number there is left out.
    fn of(fields: &HashMap<String, String>) -> Self {
        let pairs = fields.iter().filter_map(|(seconds, users)| Some((seconds.parse().ok()?, users.parse().ok()?)));
        Self(pairs.collect())
    }

    /// The wait, in s, that so many of a hundred did not exceed (nearest rank); `None` while nobody was admitted.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let all: u64 = self.0.values().sum();
        let rank = (all * percent).div_ceil(100).max(1);
        let mut seen = 0;
        self.0.iter().find_map(|(seconds, users)| {
            seen += users;
            (seen >= rank).then_some(*seconds)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_go_by_nearest_rank() {
        let fields = [("0", "50"), ("3", "45"), ("120", "5")].map(|(s, n)| (s.to_owned(), n.to_owned()));
        let waits = Waits::of(&fields.into());
        assert_eq!([50, 51, 95, 96].map(|percent| waits.percentile(percent)), [Some(0), Some(3), Some(3), Some(120)]);
        assert_eq!(Waits::default().percentile(50), None);
    }
}

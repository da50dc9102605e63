//! Does Redis take writes? What a PING does not say: a server that is full, read-only or loading answers it as well.

use std::collections::{BTreeMap, BTreeSet};

use fred::prelude::{ClientLike, ClusterInterface, KeysInterface};
use fred::types::{ClusterHash, CustomCommand, Expiration};
use futures::future::try_join_all;

use super::error::RedisError;
use super::redis::Redis;

/// How long a probe's key stays.
const KEPT_S: i64 = 60;

impl Redis {
    /// Writes a key of no meaning to each server that decides.
    pub async fn probe_writes(&self) -> Result<(), RedisError> {
        let writes = self.probe_keys().into_iter().map(async |key| {
            let kept = Some(Expiration::EX(KEPT_S));
            self.pool.next().set::<(), _, _>(key, "1", kept, None, false).await
        });
        try_join_all(writes).await?;
        Ok(())
    }

    /// Memory of the fullest server that decides, in percent of its limit, or of its machine's memory where it has none.
    pub async fn memory_percent(&self) -> Result<u64, RedisError> {
        let slots: Vec<Option<u16>> = match self.pool.next().cached_cluster_state() {
            None => vec![None],
            Some(routing) => routing.slots().iter().map(|range| Some(range.start)).collect(),
        };
        let mut fullest = 0;
        for slot in slots {
            let hash = slot.map_or(ClusterHash::Random, ClusterHash::Custom);
            let command = CustomCommand::new_static("INFO", hash, false);
            let info: String = self.pool.next().custom(command, vec!["memory"]).await?;
            let number = |name: &str| -> Option<u64> {
                info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.trim().parse().ok()
            };
            let limit = number("maxmemory").filter(|limit| *limit > 0).or_else(|| number("total_system_memory"));
            let (Some(used), Some(limit)) = (number("used_memory"), limit.filter(|limit| *limit > 0)) else {
                return Err(RedisError::Unexpected("INFO memory without its figures".into()));
            };
            fullest = fullest.max(used.saturating_mul(100) / limit);
        }
        Ok(fullest)
    }

    /// One for each primary of a cluster, or the one that there is.
    fn probe_keys(&self) -> Vec<String> {
        let Some(routing) = self.pool.next().cached_cluster_state() else { return vec![self.keys.probe(0)] };
        let all = routing.slots().iter().map(|range| range.primary.to_string()).collect::<BTreeSet<_>>().len();
        let mut keys = BTreeMap::new();
        // A few tries for each primary find a key of its own; each of them has its share of the slots.
        for tag in 0..u16::MAX {
            if keys.len() == all {
                break;
            }
            let key = self.keys.probe(tag);
            if let Some(server) = routing.get_server(fred::util::redis_keyslot(key.as_bytes())) {
                keys.entry(server.to_string()).or_insert(key);
            }
        }
        keys.into_values().collect()
    }
}

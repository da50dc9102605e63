//! Who stands where in a draw? Closes the list at the opening, publishes its hash, and with it the order.
//!
//! Any number of nodes may do so at once: between the closing and the publication nobody leaves the list or joins it
//! again, so all of them find the same.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::draw::{Draw, ListHasher};
use super::hex::{from_hex, to_hex};
use super::room::Room;
use super::scripts::Scripts;
use super::{Shared, WaitingError};
use crate::redis::RedisError;

/// Members that one page of the places is to have.
const PAGE: u32 = 2_000;

/// Places that one call notes as empty.
const EMPTY_MAX: usize = 4_000;

/// Bytes of the list that are written at a time.
const LIST_BYTES: usize = 512 << 10;

pub(super) struct Lottery {
    shared: Arc<Shared>,
    room: Arc<Room>,
}

impl Lottery {
    pub(super) fn new(shared: Arc<Shared>, room: Arc<Room>) -> Self {
        Self { shared, room }
    }

    /// Draws, if it is time and nobody did. Answers whether there is a draw now.
    pub(super) async fn tick(&self) -> Result<bool, WaitingError> {
        let Shared { redis, limits, .. } = &*self.shared;
        let scripts = Scripts { redis, campaign: &self.room.campaign, limits };
        match scripts.close_list().await? {
            None => Ok(false),
            Some((_, true)) => Ok(true),
            Some((n, false)) => {
                let list = self.list(n).await?;
                let hash = hash(&list);
                self.keep(&list, &to_hex(&hash)).await?;
                for empty in self.empty_places(n, &hash, &list)?.chunks(EMPTY_MAX) {
                    scripts.publish_draw("", empty).await?;
                }
                scripts.publish_draw(&to_hex(&hash), &[]).await?;
                tracing::info!(campaign = %self.room.campaign.id(), n, listed = list.len(), "the order was drawn");
                Ok(true)
            }
        }
    }

    /// Who waits with a number up to this one.
    async fn list(&self, n: u64) -> Result<BTreeMap<u64, String>, WaitingError> {
        let (redis, id) = (&self.shared.redis, self.room.campaign.id());
        let key = redis.keys().of(&id).places();
        let (mut list, mut cursor) = (BTreeMap::new(), "0".to_owned());
        loop {
            let (next, page) = redis.scan_scores(&id, &key, &cursor, PAGE).await?;
            for (user, score) in page {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an arrival number")]
                if score > 0.0 && score as u64 <= n {
                    list.insert(score as u64, user);
                }
            }
            if next == "0" {
                return Ok(list);
            }
            cursor = next;
        }
    }

    /// Keeps the list as its hash was made from, so that an operator can show it. Written at fixed offsets: several
    /// nodes write the same.
    async fn keep(&self, list: &BTreeMap<u64, String>, list_hash: &str) -> Result<(), RedisError> {
        let (redis, id) = (&self.shared.redis, self.room.campaign.id());
        let key = redis.keys().of(&id).draw_list(list_hash);
        let (mut offset, mut part) = (0, String::new());
        for (number, user) in list {
            let _infallible = writeln!(part, "{number} {user}");
            if part.len() >= LIST_BYTES {
                redis.write_at(&id, &key, offset, &part).await?;
                offset += part.len();
                part.clear();
            }
        }
        redis.write_at(&id, &key, offset, &part).await?;
        redis.expire(&id, &key, self.shared.limits.keep_draw_list_ms).await
    }

    /// The places of the numbers that nobody has any more.
    fn empty_places(&self, n: u64, hash: &[u8; 32], list: &BTreeMap<u64, String>) -> Result<Vec<u64>, WaitingError> {
        let definition = self.room.campaign.definition();
        let seed = definition.draw_seed.as_deref().and_then(from_hex).ok_or(WaitingError::NoSeed)?;
        let draw = Draw::new(&seed, hash, n);
        Ok((1..=n).filter(|number| !list.contains_key(number)).filter_map(|number| draw.place_of(number)).collect())
    }
}

fn hash(list: &BTreeMap<u64, String>) -> [u8; 32] {
    let mut hasher = ListHasher::default();
    for (number, user) in list {
        hasher.add(*number, user);
    }
    hasher.finish()
}

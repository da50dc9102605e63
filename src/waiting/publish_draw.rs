//! Who stands where in a draw? Closes the list at the opening, publishes its hash, and with it the order.
//!
//! - Any number of nodes may do so at once: between the closing and the publication nobody leaves the list or joins it
//!   again, so all of them find the same.
//! - How long it takes goes by how many are on the list, not by how many numbers were given: of a number that nobody has
//!   any more nothing is read and nothing computed.

use std::fmt::Write;
use std::sync::Arc;

use super::draw::{Draw, ListHasher};
use super::error::WaitingError;
use super::room::Room;
use super::scripts::{Empty, Scripts};
use super::shared::Shared;
use crate::hex::{from_hex, to_hex};
use crate::redis::RedisError;

/// People of the list that one call reads.
const PAGE: u64 = 5_000;

/// Bytes of the bitmap of empty places that one call writes.
const BITMAP_BYTES: usize = 256 << 10;

/// Bytes of the list that are written at a time.
const LIST_BYTES: usize = 512 << 10;

/// The list, ascending by number.
type List = Vec<(u64, String)>;

pub(super) struct DrawPublisher {
    shared: Arc<Shared>,
    room: Arc<Room>,
}

impl DrawPublisher {
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
                let list = Arc::new(self.list(&scripts, n).await?);
                let hash = hash(&list);
                self.keep(&list, &to_hex(&hash)).await?;
                let seed = self.seed()?;
                let listed = Arc::clone(&list);
                // Seconds for millions: not on a thread that answers requests.
                let computed =
                    tokio::task::spawn_blocking(move || EmptyPlaces::of(n, &Draw::new(&seed, &hash, n), &listed));
                let empty = computed.await.map_err(|error| {
                    tracing::error!(%error, campaign = %self.room.campaign.id(), "draw: the order could not be computed; trying again");
                    WaitingError::Unknown
                })?;
                for (piece, bytes) in empty.bitmap.chunks(BITMAP_BYTES).enumerate() {
                    let bytes = bytes::Bytes::copy_from_slice(bytes);
                    let part = Empty { count: empty.count, at: piece * BITMAP_BYTES, bytes, more: &[] };
                    scripts.publish_draw("", part).await?;
                }
                let part = Empty { count: empty.count, at: 0, bytes: bytes::Bytes::new(), more: &empty.more };
                scripts.publish_draw(&to_hex(&hash), part).await?;
                tracing::info!(campaign = %self.room.campaign.id(), n, listed = list.len(), "the order was drawn");
                Ok(true)
            }
        }
    }

    /// Who waits with a number up to this one.
    async fn list(&self, scripts: &Scripts<'_>, n: u64) -> Result<List, WaitingError> {
        let mut list = List::new();
        loop {
            let after = list.last().map_or(0, |(number, _)| *number);
            let page = scripts.list(after, n, PAGE).await?;
            if page.is_empty() {
                return Ok(list);
            }
            list.extend(page);
        }
    }

    /// Keeps the list as its hash was made from, so that an operator can show it. Written at fixed offsets: several
    /// nodes write the same.
    async fn keep(&self, list: &[(u64, String)], list_hash: &str) -> Result<(), RedisError> {
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

    fn seed(&self) -> Result<[u8; 32], WaitingError> {
        let definition = self.room.campaign.definition();
        definition.draw_seed.as_deref().and_then(from_hex).ok_or(WaitingError::NoSeed)
    }
}

/// The places of the numbers that nobody has any more.
struct EmptyPlaces {
    count: u64,
    /// The departures from the first byte on, as Redis has them: the highest bit of a byte is the first place.
    bitmap: Vec<u8>,
    /// Those in the last byte, which later places share with them.
    more: Vec<u64>,
}

impl EmptyPlaces {
    /// All places but those of the list.
    fn of(n: u64, draw: &Draw, list: &[(u64, String)]) -> Self {
        let bytes = |places: u64| usize::try_from(places / 8).expect("it is in memory");
        let mut bitmap = vec![u8::MAX; bytes(n) + 1];
        // There is no place 0.
        bitmap[0] &= !0x80;
        let numbers: Vec<u64> = list.iter().map(|(number, _)| *number).collect();
        for place in draw.places_of(&numbers) {
            bitmap[bytes(place)] &= !(0x80 >> (place % 8));
        }
        let whole = bytes(n + 1);
        let is_empty = |place: &u64| bitmap[bytes(*place)] & (0x80 >> (place % 8)) != 0;
        let more = (whole as u64 * 8..=n).filter(is_empty).collect();
        bitmap.truncate(whole);
        Self { count: n.saturating_sub(list.len() as u64), bitmap, more }
    }
}

fn hash(list: &[(u64, String)]) -> [u8; 32] {
    let mut hasher = ListHasher::default();
    for (number, user) in list {
        hasher.add(*number, user);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_are_all_places_but_those_that_were_drawn_for_somebody() {
        for n in [0, 1, 6, 7, 8, 15, 16, 1_000] {
            let draw = Draw::new(&[3; 32], &[4; 32], n);
            for step in [1, 2, 7, 2_000] {
                let list: List = (1..=n).step_by(step).map(|number| (number, format!("u{number}"))).collect();
                let empty = EmptyPlaces::of(n, &draw, &list);
                let set = |place: u64| {
                    let byte = empty.bitmap.get(usize::try_from(place / 8).unwrap());
                    byte.is_some_and(|byte| byte & (0x80 >> (place % 8)) != 0) || empty.more.contains(&place)
                };
                let found: Vec<u64> = (0..n + 20).filter(|place| set(*place)).collect();
                let taken: Vec<u64> = list.iter().map(|(number, _)| draw.place_of(*number).unwrap()).collect();
                let truth: Vec<u64> = (1..=n).filter(|place| !taken.contains(place)).collect();
                assert_eq!(found, truth, "n {n} step {step}");
                assert_eq!(empty.count, truth.len() as u64);
                assert!(empty.bitmap.len() as u64 * 8 <= n + 1, "the byte that later places share is not written");
            }
        }
    }
}

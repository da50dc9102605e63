//! What is an entry called? In the process by 128 bits of a keyed hash, in Redis by its kind and key.
//!
//! Two different entries have one id with a probability of 2^-64 where there are four billion of them, and nobody who
//! does not know the process' random keys can look for such a pair: so the process keeps no names, and a hit hashes its
//! key once and compares a number.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

/// What an entry is called in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(u128);

impl Id {
    /// The id as so many bits, from `at` on: equally spread, and those of different places have nothing to do with each
    /// other.
    pub(super) fn bits(self, at: u32) -> usize {
        usize::try_from((self.0 >> at) & 0xffff_ffff).expect("32 bits")
    }
}

impl Hash for Id {
    #[expect(clippy::cast_possible_truncation, reason = "either half is a good hash")]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0 as u64);
    }
}

/// The hash of what is a hash already.
#[derive(Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Builds [`AsIs`].
pub(super) type BuildAsIs = BuildHasherDefault<AsIs>;

/// The random keys of this process' ids.
#[derive(Default)]
pub(super) struct Names {
    halves: [RandomState; 2],
}

impl Names {
    pub(super) fn id(&self, kind: &str, key: &str) -> Id {
        let [high, low] = self.halves.each_ref().map(|half| {
            let mut hasher = half.build_hasher();
            hasher.write(kind.as_bytes());
            // In no kind's name, so that no other pair of kind and key is the same bytes.
            hasher.write_u8(b':');
            hasher.write(key.as_bytes());
            u128::from(hasher.finish())
        });
        Id(high << 64 | low)
    }

    /// The id of an entry by its name in Redis.
    pub(super) fn id_of(&self, field: &str) -> Option<Id> {
        let (kind, key) = field.split_once(':')?;
        Some(self.id(kind, key))
    }
}

/// What an entry is called in Redis.
pub(super) fn field(kind: &str, key: &str) -> String {
    [kind, ":", key].concat()
}

/// The shard of the cache in Redis that has this field, the same on every node: FNV-1a, and its halves folded, since its
/// lowest bits alone mix little.
pub(super) fn shard_of(field: &str, shards: usize) -> usize {
    let hash = field
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let folded = (hash >> 32) ^ (hash & 0xffff_ffff);
    usize::try_from(folded).expect("32 bits") % shards
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_one_id_by_either_name_and_another_than_its_neighbours() {
        let names = Names::default();
        let id = names.id("post", "1:2");
        assert_eq!(names.id_of(&field("post", "1:2")), Some(id));
        for (kind, key) in [("post", "1:3"), ("pos", "t1:2"), ("user", "1:2"), ("post", "")] {
            assert_ne!(names.id(kind, key), id);
        }
        assert_ne!(Names::default().id("post", "1:2"), id, "the keys are this process' own");
    }

    #[test]
    fn all_nodes_agree_on_the_part_and_parts_are_about_equal() {
        assert_eq!(shard_of("post:1", 1_000), shard_of(&field("post", "1"), 1_000));
        assert_eq!(
            shard_of("post:42", 8),
            5,
            "another shard than ever before empties the cache of a running installation"
        );
        let mut counts = [0; 8];
        for key in 0..8_000 {
            counts[shard_of(&format!("post:{key}"), 8)] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }
}

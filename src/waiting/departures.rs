//! How many have left out of turn before this place? A bitmap, counted in advance, so that each question costs a few steps.

use std::sync::Arc;

/// Bits of a word.
const WORD: u64 = 64;

/// The places that were left out of turn, from some place on. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Departures {
    /// All that there ever were, also before the bits.
    count: u64,
    bits: Arc<Bits>,
}

#[derive(Debug)]
struct Bits {
    /// The place of the first bit; a multiple of eight.
    first: u64,
    /// The highest bit of a word is the first place, as Redis has it.
    words: Vec<u64>,
    /// Set bits in all words before this one.
    before: Vec<u64>,
}

impl Departures {
    /// From a part of Redis' bitmap that begins with the bit of this place.
    pub(super) fn new(count: u64, first: u64, bitmap: &[u8]) -> Self {
        let words: Vec<u64> = bitmap
            .chunks(8)
            .map(|chunk| {
                let mut bytes = [0; 8];
                bytes[..chunk.len()].copy_from_slice(chunk);
                u64::from_be_bytes(bytes)
            })
            .collect();
        let before = words
            .iter()
            .scan(0, |sum, word| {
                let before = *sum;
                *sum += u64::from(word.count_ones());
                Some(before)
            })
            .collect();
        Self { count, bits: Arc::new(Bits { first, words, before }) }
    }

    /// How many there ever were: another number is another bitmap.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Whether this place was left.
    pub(super) fn contains(&self, place: u64) -> bool {
        self.up_to(place + 1) > self.up_to(place)
    }

    /// The places from this one to that one that were not left, in their order.
    pub(super) fn kept(&self, from: u64, to: u64) -> impl Iterator<Item = u64> {
        let Bits { first, words, .. } = &*self.bits;
        let mut place = from.max(*first);
        std::iter::from_fn(move || {
            while place <= to {
                let (offset, found) = (place - first, place);
                let Some(word) = usize::try_from(offset / WORD).ok().and_then(|index| words.get(index)) else {
                    place += 1;
                    return Some(found);
                };
                let kept = !word & (u64::MAX >> (offset % WORD));
                place += WORD - offset % WORD;
                if kept != 0 {
                    let found = place - WORD + u64::from(kept.leading_zeros());
                    place = found + 1;
                    return (found <= to).then_some(found);
                }
            }
            None
        })
    }

    /// How many were left from this place to before that one.
    pub(super) fn between(&self, from: u64, to: u64) -> u64 {
        self.up_to(to).saturating_sub(self.up_to(from))
    }

    /// Set bits below this place.
    fn up_to(&self, place: u64) -> u64 {
        let Bits { first, words, before } = &*self.bits;
        let offset = place.saturating_sub(*first);
        let index = usize::try_from(offset / WORD).unwrap_or(usize::MAX);
        match words.get(index) {
            Some(word) => {
                let within = offset % WORD;
                let mask = if within == 0 { 0 } else { u64::MAX << (WORD - within) };
                before[index] + u64::from((word & mask).count_ones())
            }
            None => match (words.last(), before.last()) {
                (Some(word), Some(before)) => before + u64::from(word.count_ones()),
                _ => 0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counts_are_those_of_the_bits(places in proptest::collection::btree_set(0_u64..500, 0..80), skipped in 0_u64..20) {
            let mut bitmap = [0_u8; 63];
            for place in &places {
                bitmap[usize::try_from(place / 8).unwrap()] |= 0x80 >> (place % 8);
            }
            let first = usize::try_from(skipped).unwrap();
            let departures = Departures::new(places.len() as u64, skipped * 8, &bitmap[first..]);
            for place in skipped * 8..520 {
                prop_assert_eq!(departures.contains(place), places.contains(&place));
                let truth = places.iter().filter(|it| (skipped * 8..place).contains(it)).count() as u64;
                prop_assert_eq!(departures.between(skipped * 8, place), truth);
                let kept: Vec<u64> = departures.kept(place, 515).collect();
                let truth: Vec<u64> = (place..=515).filter(|it| !places.contains(it)).collect();
                prop_assert_eq!(kept, truth);
            }
        }
    }
}

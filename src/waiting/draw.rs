//! In which order are they drawn? A permutation of the arrival numbers 1 to N, computed from public values and not stored.
//!
//! - Its key is the SHA-256 of a label, the seed whose hash was announced before, the hash of the closed list, and N:
//!   who knows these four can compute it, and a seed that was chosen before the list cannot be fitted to it.
//! - It is the swap-or-not shuffle (Hoang, Morris, Rogaway: An Enciphering Scheme Based on a Card Shuffle, CRYPTO 2012):
//!   in each round position x has the partner K - x modulo N, and a coin says whether both change places. So one place
//!   costs one hash a round, whatever N is, and backwards is the same rounds in reverse.
//! - How many rounds, if SHA-256 is as good as random: after each one, a position is with probability 1/2 a fresh uniform
//!   one (its partner, as K is uniform). So one visitor's place deviates from uniform by 2^-rounds at most. For any q
//!   visitors together, chosen before the seed is known, the paper's bound is
//!   2 N^1.5 / (r + 2) * ((q + N) / 2N)^(r / 2 + 1). 6 rounds per bit of N make that small for a few visitors; the 12 that
//!   are made here, and 128 for short lists, keep it below 1 / 80 N for any half of the list (for a million: 10^-8).
//! - All numbers are hashed as big-endian bytes. Nothing of this may change while a draw is announced.

use sha2::{Digest, Sha256};

const LABEL: &[u8] = b"onrush draw 1";
const ROUNDS_PER_BIT: u32 = 12;
const ROUNDS_MIN: u32 = 128;
/// One hash has so many coins.
const COINS: u64 = 256;
/// One place by itself costs about as much as so many do of the order of all.
const ONE_BY_ONE: u64 = 64;

/// SHA-256 of the seed: what is announced before the list is open, so that the seed cannot be chosen later.
#[must_use]
pub fn seed_hash(seed: &[u8; 32]) -> [u8; 32] {
    Sha256::digest(seed).into()
}

/// The hash of the list: SHA-256 over the lines `<number> <user id>\n`, ascending by number. User ids have no control
/// characters, so one text is one list.
#[derive(Debug, Clone, Default)]
pub struct ListHasher(Sha256);

impl ListHasher {
    /// Adds the next line.
    pub fn add(&mut self, number: u64, user: &str) {
        self.0.update(format!("{number} {user}\n"));
    }

    /// The hash of all lines.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// A drawn order.
#[derive(Debug, Clone)]
pub struct Draw {
    key: [u8; 32],
    n: u64,
    /// K of each round.
    constants: Vec<u64>,
}

impl Draw {
    /// The order of the numbers 1 to `n`.
    #[must_use]
    pub fn new(seed: &[u8; 32], list_hash: &[u8; 32], n: u64) -> Self {
        let hash = Sha256::new().chain_update(LABEL).chain_update(seed).chain_update(list_hash);
        let key: [u8; 32] = hash.chain_update(n.to_be_bytes()).finalize().into();
        let constants =
            if n == 0 { Vec::new() } else { (0..rounds(n)).map(|round| constant(&key, round, n)).collect() };
        Self { key, n, constants }
    }

    /// How many are in it.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The place, from 1, of an arrival number; `None` if it is not in the draw.
    #[must_use]
    pub fn place_of(&self, number: u64) -> Option<u64> {
        self.through(number, self.rounds())
    }

    /// The arrival number at a place; `None` if there is no such place.
    #[must_use]
    pub fn number_at(&self, place: u64) -> Option<u64> {
        self.through(place, self.rounds().rev())
    }

    /// All numbers by their places: the first is at place 1. Much cheaper than to ask for each, as one hash serves 256
    /// positions: a million take less than a second.
    #[must_use]
    pub fn order(&self) -> Vec<u64> {
        let mut order: Vec<u64> = (1..=self.n).collect();
        for (round, constant) in self.rounds() {
            let mut coins = Coins::new(&self.key, round);
            // Partners add up to K, or to K + N: they mirror each other in the positions up to K, and in those above.
            let end_of_first = usize::try_from(constant + 1).expect("it is in memory");
            let (first, second) = order.split_at_mut(end_of_first);
            swap_mirrored(first, 0, &mut coins);
            swap_mirrored(second, constant + 1, &mut coins);
        }
        order
    }

    /// The places of these numbers, in the same order; 0 of what is not in the draw. One by one where they are few, with
    /// the order of all where that is cheaper: so the time goes by how many are asked for.
    #[must_use]
    pub fn places_of(&self, numbers: &[u64]) -> Vec<u64> {
        if (numbers.len() as u64).saturating_mul(ONE_BY_ONE) < self.n {
            return numbers.iter().map(|number| self.place_of(*number).unwrap_or(0)).collect();
        }
        let mut places = vec![0; numbers.len()];
        let mut sorted: Vec<(u64, usize)> = numbers.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        for (place, number) in (1..).zip(self.order()) {
            if let Ok(at) = sorted.binary_search_by_key(&number, |(number, _)| *number) {
                places[sorted[at].1] = place;
            }
        }
        places
    }

    fn rounds(&self) -> impl DoubleEndedIterator<Item = (u32, u64)> {
        // Counted with `enumerate`, as a range without an end cannot be reversed.
        self.constants.iter().enumerate().map(|(round, k)| (u32::try_from(round).expect("below 1,000"), *k))
    }

    fn through(&self, from: u64, rounds: impl Iterator<Item = (u32, u64)>) -> Option<u64> {
        if !(1..=self.n).contains(&from) {
            return None;
        }
        let mut position = from - 1;
        for (round, constant) in rounds {
            let partner = if position <= constant { constant - position } else { self.n - (position - constant) };
            // Both ask for the same coin.
            if Coins::new(&self.key, round).at(position.max(partner)) {
                position = partner;
            }
        }
        Some(position + 1)
    }
}

fn rounds(n: u64) -> u32 {
    (ROUNDS_PER_BIT * (u64::BITS - n.leading_zeros())).max(ROUNDS_MIN)
}

/// K of a round: 128 bits of a hash modulo N, so that it is uniform to within 2^-64.
fn constant(key: &[u8; 32], round: u32, n: u64) -> u64 {
    let hash = Sha256::new().chain_update(key).chain_update(round.to_be_bytes()).finalize();
    let (bits, _) = hash.split_first_chunk().expect("a hash has 32 bytes");
    u64::try_from(u128::from_be_bytes(*bits) % u128::from(n)).expect("below N")
}

/// The coins of a round: that of position x is bit x mod 256, from the lowest of the first byte on, of the hash of the
/// key, the round and x / 256. The last hash is kept.
struct Coins<'a> {
    key: &'a [u8; 32],
    round: u32,
    kept: Option<(u64, [u8; 32])>,
}

impl<'a> Coins<'a> {
    fn new(key: &'a [u8; 32], round: u32) -> Self {
        Self { key, round, kept: None }
    }

    fn at(&mut self, position: u64) -> bool {
        let block = position / COINS;
        let bits = match self.kept {
            Some((of, bits)) if of == block => bits,
            _ => {
                let hash = Sha256::new().chain_update(self.key).chain_update(self.round.to_be_bytes());
                let bits = hash.chain_update(block.to_be_bytes()).finalize().into();
                self.kept = Some((block, bits));
                bits
            }
        };
        let bit = usize::try_from(position % COINS).expect("below 256");
        bits[bit / 8] >> (bit % 8) & 1 == 1
    }
}

/// One round over a part in which partners mirror each other; `begins_at` is its first position.
fn swap_mirrored(part: &mut [u64], begins_at: u64, coins: &mut Coins<'_>) {
    let half = part.len() / 2;
    let (low, high) = part.split_at_mut(part.len() - half);
    let positions = begins_at + low.len() as u64..;
    for ((position, high), low) in positions.zip(high).zip(low[..half].iter_mut().rev()) {
        // Without a branch: half of them would be foretold wrongly.
        let (lower, higher) = (*low, *high);
        let swap = coins.at(position);
        (*low, *high) = (if swap { higher } else { lower }, if swap { lower } else { higher });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::to_hex;

    const SIZES: [u64; 11] = [1, 2, 3, 4, 7, 64, 65, 255, 257, 1_000, 1_024];

    fn draw(seed: u64, n: u64) -> Draw {
        Draw::new(&Sha256::digest(seed.to_be_bytes()).into(), &[9; 32], n)
    }

    #[test]
    fn each_number_has_one_place_and_each_place_one_number() {
        for n in SIZES {
            for seed in 0..3 {
                let draw = draw(seed, n);
                let mut places: Vec<u64> = (1..=n).map(|number| draw.place_of(number).unwrap()).collect();
                for (number, place) in (1..=n).zip(&places) {
                    assert_eq!(draw.number_at(*place), Some(number), "n {n} seed {seed}");
                }
                let order = draw.order();
                assert!((1..=n).zip(&order).all(|(place, number)| draw.number_at(place) == Some(*number)), "n {n}");
                places.sort_unstable();
                assert_eq!(places, (1..=n).collect::<Vec<_>>(), "n {n} seed {seed}");
            }
        }
    }

    #[test]
    fn a_long_list_has_the_same_order_at_once_and_one_by_one() {
        let draw = draw(1, 70_001);
        let order = draw.order();
        for place in (1..=70_001).step_by(997) {
            let number = order[usize::try_from(place - 1).unwrap()];
            assert_eq!((draw.number_at(place), draw.place_of(number)), (Some(number), Some(place)));
        }
    }

    #[test]
    fn the_places_of_many_are_those_of_each() {
        for (n, step) in [(1, 1), (100, 1), (1_000, 3), (70_001, 997), (70_001, 40_000)] {
            let draw = draw(5, n);
            let numbers: Vec<u64> = (1..=n).rev().step_by(step).collect();
            let each: Vec<u64> = numbers.iter().map(|number| draw.place_of(*number).unwrap()).collect();
            assert_eq!(draw.places_of(&numbers), each, "{} of {n}", numbers.len());
        }
    }

    #[test]
    fn who_is_not_in_the_draw_has_no_place() {
        for n in [0, 1, 5] {
            let draw = draw(1, n);
            assert_eq!((draw.place_of(0), draw.place_of(n + 1), draw.place_of(u64::MAX)), (None, None, None));
            assert_eq!((draw.number_at(0), draw.number_at(n + 1)), (None, None));
            assert_eq!((draw.n(), draw.order().len() as u64), (n, n));
        }
    }

    #[test]
    fn seed_list_and_length_each_change_the_order() {
        let order = |seed: u8, list: u8, n: u64| Draw::new(&[seed; 32], &[list; 32], n).order();
        let first = order(1, 1, 100);
        assert_eq!(order(1, 1, 100), first);
        assert_ne!(order(2, 1, 100), first);
        assert_ne!(order(1, 2, 100), first);
        let longer: Vec<u64> = order(1, 1, 101).into_iter().filter(|number| *number <= 100).collect();
        assert_ne!(longer, first);
    }

    /// Chi-square: 24.3 is exceeded once in a thousand for 7 degrees of freedom, and the seeds are always the same.
    #[test]
    fn each_place_is_as_likely_as_any_other() {
        const SEEDS: u64 = 2_000;
        for number in [1, 8] {
            let mut times = [0_u32; 8];
            for seed in 0..SEEDS {
                let place = draw(seed, 8).place_of(number).unwrap();
                times[usize::try_from(place - 1).unwrap()] += 1;
            }
            let chi_square: f64 = times.iter().map(|times| (f64::from(*times) - 250.0).powi(2) / 250.0).sum();
            assert!(chi_square < 24.3, "number {number}: {times:?} {chi_square}");
        }
    }

    /// 3 numbers have 6 orders; 20.5 is exceeded once in a thousand for 5 degrees of freedom.
    #[test]
    fn each_order_is_as_likely_as_any_other() {
        let mut times = std::collections::BTreeMap::<Vec<u64>, u32>::new();
        for seed in 0..3_000 {
            *times.entry(draw(seed, 3).order()).or_default() += 1;
        }
        let chi_square: f64 = times.values().map(|times| (f64::from(*times) - 500.0).powi(2) / 500.0).sum();
        assert!(times.len() == 6 && chi_square < 20.5, "{times:?} {chi_square}");
    }

    #[test]
    fn longer_lists_have_more_rounds() {
        assert_eq!([1, 1_023, 1_024, 1_000_000, 1 << 20].map(rounds), [128, 128, 132, 240, 252]);
    }

    /// Written down once, from a program of another language: a draw that was announced must come out as it was meant.
    #[test]
    fn the_algorithm_does_not_change_by_accident() {
        let seed: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let mut list = ListHasher::default();
        for (number, user) in (1..).zip(["alice", "bob", "친구", "d e", "eve", "f", "g", "h", "i", "j"]) {
            list.add(number, user);
        }
        let list_hash = list.finish();
        assert_eq!(to_hex(&seed_hash(&seed)), "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd");
        assert_eq!(to_hex(&list_hash), "37d4e6fafa392e582e2702418061c992c7be3da8b46e2ddb4e587f885cfb62ec");
        assert_eq!(Draw::new(&seed, &list_hash, 10).order(), [5, 6, 8, 2, 10, 1, 3, 4, 7, 9]);
        let long = Draw::new(&seed, &list_hash, 1_000_000);
        assert_eq!([1, 500_000, 1_000_000].map(|number| long.place_of(number).unwrap()), [635_670, 34_676, 484_134]);
    }
}

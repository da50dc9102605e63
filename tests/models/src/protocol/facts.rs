//! What was decided? A fact, and sets of facts that are small enough to be one word.

use std::fmt;

use super::decide::bounds::CLAIMS;

/// Facts that one generation can have here: the stock, and one more for those who sell too many.
const FACTS: u8 = 3;
/// One bit for each request that a fact may be for.
const CLAIMS_BITS: u8 = 3;
const _: () = assert!(CLAIMS_BITS as usize == CLAIMS);

/// A claim that Redis has decided: the `no`-th of its generation, for the request `claim`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Fact {
    pub(crate) generation: u8,
    pub(crate) no: u8,
    pub(crate) claim: u8,
}

impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}:claim{}", self.generation, self.no, self.claim)
    }
}

impl Fact {
    const fn bit(self) -> u64 {
        1 << (((self.generation - 1) * FACTS + self.no - 1) * CLAIMS_BITS + self.claim)
    }

    const fn of_bit(bit: u8) -> Self {
        let (claim, rest) = (bit % CLAIMS_BITS, bit / CLAIMS_BITS);
        Self { generation: rest / FACTS + 1, no: rest % FACTS + 1, claim }
    }

    /// What whoever has seen this fact knows.
    pub(crate) const fn mark(self) -> Mark {
        Mark { generation: self.generation, no: self.no }
    }
}

/// A set of facts, in the order of generation and number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Facts(u64);

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Facts {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    pub(crate) const fn has(self, fact: Fact) -> bool {
        self.0 & fact.bit() != 0
    }

    pub(crate) const fn with(self, fact: Fact) -> Self {
        Self(self.0 | fact.bit())
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn one(fact: Fact) -> Self {
        Self::NONE.with(fact)
    }

    pub(crate) fn first(self) -> Option<Fact> {
        self.iter().next()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Fact> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let bit = u8::try_from(rest.trailing_zeros()).ok().filter(|bit| *bit < 64)?;
            rest &= rest - 1;
            Some(Fact::of_bit(bit))
        })
    }

    /// The highest generation among them, and in it the highest number.
    pub(crate) fn mark(self) -> Mark {
        self.iter().last().map_or(Mark::NOTHING, Fact::mark)
    }
}

/// The highest generation that somebody has seen, and in it the highest fact.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub(crate) generation: u8,
    pub(crate) no: u8,
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.generation, self.no)
    }
}

impl Mark {
    pub(crate) const NOTHING: Self = Self { generation: 0, no: 0 };

    pub(crate) fn raise(&mut self, seen: Self) {
        *self = (*self).max(seen);
    }
}

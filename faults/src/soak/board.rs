//! Which campaigns are there to be asked for? Always one with plenty, one that is soon sold out, and one with a waiting
//! room; and those that were there before them.

use std::sync::{Arc, Mutex, PoisonError};

use super::ledger::Ledger;
use crate::draw::Draw;

/// How often one asks for what is new.
const NEW_PERCENT: u64 = 75;

/// What a campaign is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is one for everybody.
    Plenty,
    /// Few get one.
    Scarce,
    /// One waits before one gets one.
    Room,
}

/// Campaigns that began together.
#[derive(Clone)]
pub(super) struct Set {
    pub(super) plenty: Arc<Ledger>,
    pub(super) scarce: Arc<Ledger>,
    pub(super) room: Arc<Ledger>,
}

impl Set {
    pub(super) fn of(&self, kind: Kind) -> &Arc<Ledger> {
        match kind {
            Kind::Plenty => &self.plenty,
            Kind::Scarce => &self.scarce,
            Kind::Room => &self.room,
        }
    }

    pub(super) fn all(&self) -> [&Arc<Ledger>; 3] {
        [&self.plenty, &self.scarce, &self.room]
    }
}

/// The newest campaigns, and those before them.
#[derive(Default)]
pub(super) struct Board(Mutex<Vec<Set>>);

impl Board {
    fn sets(&self) -> std::sync::MutexGuard<'_, Vec<Set>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These are new. Those that were the ones before are off the board.
    pub(super) fn show(&self, set: Set) -> Option<Set> {
        let mut sets = self.sets();
        sets.push(set);
        (sets.len() > 2).then(|| sets.remove(0))
    }

    /// Takes all off.
    pub(super) fn clear(&self) -> Vec<Set> {
        std::mem::take(&mut *self.sets())
    }

    /// One of them.
    pub(super) fn pick(&self, draw: &mut Draw, kind: Kind) -> Option<Arc<Ledger>> {
        let sets = self.sets();
        let set = if draw.percent(NEW_PERCENT) { sets.last() } else { sets.first() };
        set.map(|set| Arc::clone(set.of(kind)))
    }
}

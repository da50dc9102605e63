//! What is where? Redis and what its log has, the nodes, Kafka, the ledger, and rebuilds under way.

use super::bounds::{Bounds, CLAIMS, LIMIT, NODES, Troubles};
use crate::protocol::facts::{Fact, Facts, Mark};

/// Why a campaign is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Lost {
    /// It is not.
    No,
    /// Somebody found less than was known, or the ledger a contradiction.
    Behind,
    /// This rebuild has begun.
    Rebuild(u8),
}

/// The campaign in Redis. This much is in the log, and goes back in time together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Store {
    /// 0: there is no such key.
    pub(crate) generation: u8,
    pub(crate) lost: Lost,
    /// The claims that this generation began with, as far as its counters are concerned.
    pub(crate) base: Facts,
    /// The claims that are loaded, from which users' limits are judged.
    pub(crate) loaded: Facts,
    /// What this generation has decided.
    pub(crate) log: Facts,
    /// Facts that were not deleted from the outbox.
    pub(crate) outbox: Facts,
}

impl Store {
    pub(crate) const EMPTY: Self = Self {
        generation: 0,
        lost: Lost::No,
        base: Facts::NONE,
        loaded: Facts::NONE,
        log: Facts::NONE,
        outbox: Facts::NONE,
    };

    pub(crate) const fn decides(&self) -> bool {
        self.generation > 0 && matches!(self.lost, Lost::No)
    }

    /// The generation, and the facts in it.
    pub(crate) fn mark(&self) -> Mark {
        let no = u8::try_from(self.log.len()).unwrap_or(u8::MAX);
        Mark { generation: self.generation, no: if self.generation > 0 { no } else { 0 } }
    }

    /// All claims that it has a record of.
    pub(crate) const fn records(&self) -> Facts {
        self.loaded.and(self.log)
    }

    /// Decides a request: the fact, or nothing if it is refused.
    pub(crate) fn issue(&mut self, bounds: &Bounds, claim: u8) -> Option<Fact> {
        let user = bounds.user(claim);
        let held = self.records().iter().filter(|held| bounds.user(held.claim) == user).count();
        if self.base.and(self.log).len() >= bounds.stock || held >= LIMIT {
            return None;
        }
        let fact = Fact { generation: self.generation, no: self.mark().no + 1, claim };
        self.log = self.log.with(fact);
        self.outbox = self.outbox.with(fact);
        Some(fact)
    }
}

/// One life of a server: another number after each restart, promotion or replacement.
pub(crate) type Incarnation = u8;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Redis {
    pub(crate) incarnation: Incarnation,
    /// The incarnations whose scripts this server has been given, as bits. They go with the server, not with the log.
    pub(crate) scripts: u8,
    pub(crate) store: Store,
    /// What its log, or a replica, has: what it may come back with.
    pub(crate) log: Store,
}

/// How far a node is with verifying.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Lift {
    /// Not begun.
    No,
    /// The first of Kafka and the tables was asked.
    AskedOne,
    /// Both were asked.
    AskedBoth,
    /// What is behind was marked.
    Marked,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Node {
    /// The incarnation that it is connected to, or believes to be.
    pub(crate) met: Incarnation,
    /// What it has seen.
    pub(crate) mark: Mark,
    /// All that it has seen was held against the incarnation that it has met.
    pub(crate) recalled: bool,
    pub(crate) lift: Lift,
    /// What its relay has read and Kafka does not have yet.
    pub(crate) hand: Facts,
}

/// A request for a claim.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Claim {
    /// Not made yet.
    NotYet,
    /// On its way to Redis, for an incarnation, with what the node knew then.
    Queued { node: u8, met: Incarnation, mark: Mark },
    /// Decided; the node has not read the reply yet.
    Answered { node: u8, met: Incarnation, fact: Fact },
    /// The client was told yes, by a node that has lived on since.
    Told { node: u8, fact: Fact },
    /// Over: refused, or of unknown outcome, or told yes by a node that died, or written off by a rebuild.
    Over,
}

/// Kafka and the database.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Ledger {
    /// What Kafka has acknowledged.
    pub(crate) kafka: Facts,
    /// What of it the ledger has passed, whatever became of it.
    pub(crate) passed: Facts,
    pub(crate) rows: Facts,
    /// Dead letters that wait.
    pub(crate) waiting: Facts,
    /// Dead letters that were put into Kafka again.
    pub(crate) replayed: Facts,
    /// The generation that the row has given away, and in which incarnation that was.
    pub(crate) generation: u8,
    pub(crate) generation_in: Incarnation,
}

/// What a rebuild found when it began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Hold {
    pub(crate) met: Incarnation,
    /// The generation that was there.
    pub(crate) here: u8,
}

/// A rebuild: a process of its own, which may be slow, fail, and be repeated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Rebuild {
    NotYet,
    /// The campaign is refused to everyone until it is done.
    Begun {
        hold: Hold,
    },
    /// All that was on its way has arrived.
    Drained {
        hold: Hold,
    },
    /// It has read these claims, and loads them.
    Loading {
        hold: Hold,
        claims: Facts,
        loaded: Facts,
    },
    /// It has its generation, and is about to finish.
    Ready {
        hold: Hold,
        claims: Facts,
        generation: u8,
    },
    /// Done, failed, or overtaken.
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct State {
    pub(crate) redis: Redis,
    pub(crate) nodes: [Node; NODES],
    pub(crate) claims: [Claim; CLAIMS],
    pub(crate) ledger: Ledger,
    /// Facts that the relays of dead nodes had sent.
    pub(crate) orphans: Facts,
    pub(crate) rebuilds: [Rebuild; 2],
    /// What may still happen.
    pub(crate) left: Troubles,
    /// Redis came back without something that it had decided since the last rebuild, or without the rebuild.
    pub(crate) was_lost: bool,
}

impl State {
    pub(crate) const fn first(troubles: Troubles) -> Self {
        let generation = 1;
        let store = Store { generation, ..Store::EMPTY };
        let node = Node { met: 0, mark: Mark { generation, no: 0 }, recalled: true, lift: Lift::No, hand: Facts::NONE };
        Self {
            redis: Redis { incarnation: 0, scripts: 1, store, log: store },
            nodes: [node; NODES],
            claims: [Claim::NotYet; CLAIMS],
            ledger: Ledger {
                kafka: Facts::NONE,
                passed: Facts::NONE,
                rows: Facts::NONE,
                waiting: Facts::NONE,
                replayed: Facts::NONE,
                generation,
                generation_in: 0,
            },
            orphans: Facts::NONE,
            rebuilds: [Rebuild::NotYet; 2],
            left: troubles,
            was_lost: false,
        }
    }

    /// The server that is there now was verified.
    pub(crate) const fn is_verified(&self) -> bool {
        self.redis.scripts & (1 << self.redis.incarnation) != 0
    }

    /// Nobody has a reply left to read of an incarnation before.
    pub(crate) fn is_read(&self) -> bool {
        self.claims.iter().all(|claim| match claim {
            Claim::Answered { met, .. } => *met == self.redis.incarnation,
            _ => true,
        })
    }

    /// Everyone has met the server that is there now, and held all they know against it, what they had still to read
    /// included. What the dead had sent has arrived, or never will.
    pub(crate) fn is_settled(&self) -> bool {
        let all_met = self.nodes.iter().all(|node| node.met == self.redis.incarnation && node.recalled);
        all_met && self.is_read() && self.orphans.is_empty()
    }

    /// The nodes are alike: of two states that differ only in their names one is looked at.
    pub(crate) fn one_of_both(self) -> Self {
        let mut other = self;
        other.nodes.swap(0, 1);
        for claim in &mut other.claims {
            match claim {
                Claim::Queued { node, .. } | Claim::Answered { node, .. } | Claim::Told { node, .. } => {
                    *node = 1 - *node;
                }
                Claim::NotYet | Claim::Over => {}
            }
        }
        self.min(other)
    }
}

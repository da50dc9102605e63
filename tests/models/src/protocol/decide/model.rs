//! What can happen, and what comes of it?

use stateright::{Model, Property};

use super::bounds::Bounds;
use super::state::{Claim, Incarnation, Lift, Lost, State, Store};
use super::{fence, properties, rebuild};
use crate::protocol::facts::{Facts, Mark};
use crate::protocol::rules::Rules;

/// One step. Numbers are indices of claims, nodes and rebuilds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// A claim sets out from a node.
    Queue {
        claim: u8,
        node: u8,
    },
    /// Redis runs the script of a claim.
    Run {
        claim: u8,
    },
    /// Redis does not know the script of a claim by that name: 503, it did not happen.
    Refuse {
        claim: u8,
    },
    /// The node reads the reply, and says yes.
    Hear {
        claim: u8,
    },
    /// The log, or a replica, is as far as Redis.
    Sync,
    /// Redis dies, and comes back as another incarnation: with what its log has, or empty.
    Lose {
        empty: bool,
    },
    /// SCRIPT FLUSH.
    Flush,
    /// A node meets the incarnation that is there now.
    Meet {
        node: u8,
    },
    /// A node holds its marks against it once more.
    Recall {
        node: u8,
    },
    /// A node dies, and boots.
    Die {
        node: u8,
    },
    /// A node that lifts the fence asks Kafka for what the ledger has not passed.
    AskKafka {
        node: u8,
    },
    /// It asks the ledger and the dead letters.
    AskTables {
        node: u8,
    },
    /// It marks what is behind.
    MarkLost {
        node: u8,
    },
    /// It loads the scripts.
    Load {
        node: u8,
    },
    /// A relay reads the outbox.
    Relay {
        node: u8,
    },
    /// Kafka acknowledges the next of the facts that a relay has in hand.
    Acknowledge {
        node: u8,
    },
    /// They expire in its producer.
    Expire {
        node: u8,
    },
    /// What Kafka has is deleted from the outbox.
    Delete,
    /// What the relay of a dead node had sent arrives after all.
    OrphanArrives,
    /// Or never.
    OrphansVanish,
    /// The ledger writes the next record.
    Write,
    /// The next record is poison to it.
    Poison,
    /// An operator puts a dead letter into Kafka again.
    Replay,
    Begin {
        rebuild: u8,
    },
    Drain {
        rebuild: u8,
    },
    Read {
        rebuild: u8,
    },
    LoadClaim {
        rebuild: u8,
    },
    Reserve {
        rebuild: u8,
    },
    Finish {
        rebuild: u8,
    },
    Fail {
        rebuild: u8,
    },
}

/// The protocol, with these rules and so much that goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decide {
    pub(crate) rules: Rules,
    pub(crate) bounds: Bounds,
    /// Half of the states, and traces in which the nodes may change their names from step to step.
    pub(crate) nodes_are_alike: bool,
}

impl Model for Decide {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(self.bounds.troubles)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for claim in 0..self.bounds.claims {
            self.of_claim(state, claim, actions);
        }
        for node in 0..2 {
            self.of_node(state, node, actions);
        }
        Self::of_stores(state, actions);
        for rebuild in 0..self.bounds.rebuilds {
            rebuild::actions(&self.rules, state, rebuild, actions);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        self.apply(&mut next, action);
        if self.nodes_are_alike {
            next = next.one_of_both();
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl Decide {
    fn of_claim(&self, state: &State, claim: u8, actions: &mut Vec<Action>) {
        match state.claims[usize::from(claim)] {
            // A user tries again after the first try ended, however it did.
            Claim::NotYet => {
                let user = self.bounds.user(claim);
                let before = (0..claim).filter(|other| self.bounds.user(*other) == user);
                let is_waiting = before
                    .into_iter()
                    .any(|other| !matches!(state.claims[usize::from(other)], Claim::Told { .. } | Claim::Over));
                if !is_waiting {
                    actions.extend((0..2).map(|node| Action::Queue { claim, node }));
                }
            }
            Claim::Queued { met, .. } if self.runs(state, met) => actions.push(Action::Run { claim }),
            Claim::Queued { .. } => actions.push(Action::Refuse { claim }),
            Claim::Answered { .. } => actions.push(Action::Hear { claim }),
            Claim::Told { .. } | Claim::Over => {}
        }
    }

    /// Whether a script that was meant for this incarnation runs where Redis is now.
    fn runs(&self, state: &State, met: Incarnation) -> bool {
        let redis = &state.redis;
        let arrives = !self.rules.no_resend || met == redis.incarnation;
        !self.rules.fence || (arrives && redis.scripts & (1 << met) != 0)
    }

    fn of_node(&self, state: &State, node: u8, actions: &mut Vec<Action>) {
        let this = &state.nodes[usize::from(node)];
        let has_met = this.met == state.redis.incarnation;
        if !has_met {
            actions.push(Action::Meet { node });
        }
        if has_met && !this.recalled && self.rules.settle {
            actions.push(Action::Recall { node });
        }
        if state.left.deaths > 0 {
            actions.push(Action::Die { node });
        }
        fence::actions(&self.rules, &self.bounds, state, node, actions);
        if has_met && !state.redis.store.outbox.without(this.hand.and(state.ledger.kafka)).is_empty() {
            actions.push(Action::Relay { node });
        }
        if !this.hand.is_empty() {
            actions.push(Action::Acknowledge { node });
            if state.left.expiries > 0 {
                actions.push(Action::Expire { node });
            }
        }
    }

    fn of_stores(state: &State, actions: &mut Vec<Action>) {
        let (redis, ledger, left) = (&state.redis, &state.ledger, &state.left);
        if left.losses > 0 {
            if left.syncs > 0 && redis.log != redis.store {
                actions.push(Action::Sync);
            }
            actions.extend([false, true].map(|empty| Action::Lose { empty }));
        }
        if left.flushes > 0 && redis.scripts != 0 {
            actions.push(Action::Flush);
        }
        if redis.store.outbox.without(ledger.kafka) != redis.store.outbox {
            actions.push(Action::Delete);
        }
        if !state.orphans.is_empty() {
            actions.extend([Action::OrphanArrives, Action::OrphansVanish]);
        }
        if !ledger.kafka.without(ledger.passed).is_empty() {
            actions.push(Action::Write);
            if left.poisons > 0 {
                actions.push(Action::Poison);
            }
        }
        if !ledger.waiting.is_empty() {
            actions.push(Action::Replay);
        }
    }

    fn apply(&self, next: &mut State, action: Action) {
        match action {
            Action::Queue { claim, node } => {
                let Node { met, mark } = Node::of(next, node);
                next.claims[usize::from(claim)] = Claim::Queued { node, met, mark };
            }
            Action::Run { claim } => run(&self.bounds, next, claim),
            Action::Refuse { claim } => next.claims[usize::from(claim)] = Claim::Over,
            Action::Hear { claim } => hear(next, claim),
            Action::Sync => {
                next.left.syncs -= 1;
                next.redis.log = next.redis.store;
            }
            Action::Lose { empty } => lose(next, empty),
            Action::Flush => {
                next.left.flushes -= 1;
                next.redis.scripts = 0;
            }
            Action::Meet { node } => fence::meet(&self.rules, next, node),
            Action::Recall { node } => fence::recall(&self.rules, next, node),
            Action::Die { node } => die(next, node),
            Action::AskKafka { node } => fence::ask_kafka(next, node),
            Action::AskTables { node } => fence::ask_tables(&self.rules, next, node),
            Action::MarkLost { node } => fence::mark_lost(next, node),
            Action::Load { node } => fence::load(next, node),
            Action::Relay { node } => {
                let this = &mut next.nodes[usize::from(node)];
                this.hand = next.redis.store.outbox.without(next.ledger.kafka);
                if self.rules.relay_knows {
                    this.mark.raise(this.hand.mark());
                }
            }
            Action::Acknowledge { node } => {
                let this = &mut next.nodes[usize::from(node)];
                let Some(fact) = this.hand.first() else { return };
                this.hand = this.hand.without(Facts::one(fact));
                next.ledger.kafka = next.ledger.kafka.with(fact);
            }
            Action::Expire { node } => {
                next.left.expiries -= 1;
                next.nodes[usize::from(node)].hand = Facts::NONE;
            }
            Action::Delete => {
                next.redis.store.outbox = next.redis.store.outbox.without(next.ledger.kafka);
            }
            Action::OrphanArrives => {
                let Some(fact) = next.orphans.first() else { return };
                next.orphans = next.orphans.without(Facts::one(fact));
                next.ledger.kafka = next.ledger.kafka.with(fact);
            }
            Action::OrphansVanish => next.orphans = Facts::NONE,
            Action::Write => write(next),
            Action::Poison => {
                let Some(fact) = next.ledger.kafka.without(next.ledger.passed).first() else { return };
                next.left.poisons -= 1;
                next.ledger.passed = next.ledger.passed.with(fact);
                next.ledger.waiting = next.ledger.waiting.with(fact);
            }
            Action::Replay => {
                let Some(fact) = next.ledger.waiting.first() else { return };
                next.ledger.waiting = next.ledger.waiting.without(Facts::one(fact));
                next.ledger.replayed = next.ledger.replayed.with(fact);
                next.ledger.passed = next.ledger.passed.without(Facts::one(fact));
            }
            Action::Begin { rebuild }
            | Action::Drain { rebuild }
            | Action::Read { rebuild }
            | Action::LoadClaim { rebuild }
            | Action::Reserve { rebuild }
            | Action::Finish { rebuild }
            | Action::Fail { rebuild } => rebuild::apply(&self.rules, next, rebuild, action),
        }
    }
}

/// What a call takes with it.
struct Node {
    met: Incarnation,
    mark: Mark,
}

impl Node {
    fn of(state: &State, node: u8) -> Self {
        let this = &state.nodes[usize::from(node)];
        Self { met: this.met, mark: this.mark }
    }
}

/// `lua/prelude.lua` and `lua/claim/issue.lua`.
fn run(bounds: &Bounds, next: &mut State, claim: u8) {
    let Claim::Queued { node, met, mark } = next.claims[usize::from(claim)] else { return };
    let store = &mut next.redis.store;
    if store.lost == Lost::No && store.mark() < mark {
        store.lost = Lost::Behind;
    }
    let issued = if store.decides() { store.issue(bounds, claim) } else { None };
    next.claims[usize::from(claim)] = issued.map_or(Claim::Over, |fact| Claim::Answered { node, met, fact });
}

fn hear(next: &mut State, claim: u8) {
    let Claim::Answered { node, met, fact } = next.claims[usize::from(claim)] else { return };
    next.claims[usize::from(claim)] = Claim::Told { node, fact };
    let this = &mut next.nodes[usize::from(node)];
    // A reply of the incarnation before, read after this one was met: what it says was not held against it yet.
    if fact.mark() > this.mark && met != this.met {
        this.recalled = false;
    }
    this.mark.raise(fact.mark());
}

fn lose(next: &mut State, empty: bool) {
    let redis = &mut next.redis;
    let back = if empty { Store::EMPTY } else { redis.log };
    let is_less = back.generation != redis.store.generation || back.log != redis.store.log;
    next.was_lost |= is_less;
    next.left.losses -= 1;
    redis.store = back;
    redis.log = back;
    redis.scripts = 0;
    redis.incarnation += 1;
    if next.left.losses == 0 {
        // Nobody looks at it any more.
        redis.log = Store::EMPTY;
    }
}

/// What only this node knew is gone with it. It boots from Redis, if that was verified, whether the database is there or not.
fn die(next: &mut State, node: u8) {
    next.left.deaths -= 1;
    for claim in &mut next.claims {
        match *claim {
            Claim::Queued { node: of, .. } | Claim::Answered { node: of, .. } | Claim::Told { node: of, .. }
                if of == node =>
            {
                *claim = Claim::Over;
            }
            _ => {}
        }
    }
    let mark = if next.is_verified() { next.redis.store.mark() } else { Mark::NOTHING };
    let this = &mut next.nodes[usize::from(node)];
    next.orphans = next.orphans.and(this.hand).without(next.ledger.kafka);
    *this = super::state::Node { met: next.redis.incarnation, mark, recalled: true, lift: Lift::No, hand: Facts::NONE };
}

/// A row, or a contradiction: another claim has the number. That is a dead letter, and stops the campaign.
fn write(next: &mut State) {
    let ledger = &mut next.ledger;
    let Some(fact) = ledger.kafka.without(ledger.passed).first() else { return };
    ledger.passed = ledger.passed.with(fact);
    if ledger.rows.iter().any(|row| row.mark() == fact.mark() && row != fact) {
        ledger.waiting = ledger.waiting.with(fact);
        if next.redis.store.generation == fact.generation && next.redis.store.lost == Lost::No {
            next.redis.store.lost = Lost::Behind;
        }
    } else {
        ledger.rows = ledger.rows.with(fact);
        ledger.replayed = ledger.replayed.without(Facts::one(fact));
    }
}

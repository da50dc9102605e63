//! What happens in a run? Who comes when and wants what, and which fault strikes when: all of it follows from the seed.

use std::fmt;
use std::time::Duration;

use crate::draw::Draw;
use crate::installation::{Role, Store};
use crate::redis::Fsync;

/// What a seed decides.
#[derive(Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Units that a user may hold.
    pub limit: usize,
    /// Units at first.
    pub stock: u64,
    /// The stock that an operator sets, and when.
    pub raises: Vec<(Duration, u64)>,
    /// Who comes.
    pub users: Vec<User>,
    /// The nodes; a worker that joins for a while comes on top.
    pub roles: Vec<Role>,
    /// When Redis' log reaches the disk.
    pub fsync: Fsync,
    /// What goes wrong.
    pub steps: Vec<Step>,
}

/// A user of the rush.
#[derive(Debug)]
pub struct User {
    /// Their id.
    pub name: String,
    /// When they first press.
    pub arrives: Duration,
    /// What they try, one after the other.
    pub wishes: Vec<Wish>,
}

/// One unit that a user wants.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// With an `Idempotency-Key`: then an unknown outcome is asked for again until it is known.
    pub with_key: bool,
    /// Sent to two nodes at the same time (with a key, the same one).
    pub doubled: bool,
    /// How often a user without a key presses again when no answer came, and any user when it was sold out.
    pub again_max: u32,
    /// What they do with it.
    pub then: Then,
    /// How long they wait before they do that, and then before the next wish.
    pub pause: Duration,
}

/// What a user does with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Keep,
    /// Gives it back.
    GiveBack,
    /// Uses it.
    Redeem,
}

/// A fault, and when.
#[derive(Debug, Clone)]
pub struct Step {
    /// Since the rush began.
    pub at: Duration,
    /// What.
    pub fault: Fault,
}

/// What may go wrong. Nodes are meant by their place in the plan.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "what a fault does says what its numbers are")]
pub enum Fault {
    /// SIGKILL, and started again after a while.
    Kill { node: usize, down: Duration },
    /// A worker is killed while the database has its batch and has not answered.
    KillMidWrite { node: usize, down: Duration },
    /// A worker is killed when the database has its batch, and Kafka not its offsets.
    KillBeforeCommit { node: usize, down: Duration },
    /// SIGSTOP, and SIGCONT after a while.
    Pause { node: usize, time: Duration },
    /// All of a node's connections to a store are cut.
    Cut { node: usize, store: Store },
    /// Nothing gets through for a while, and then everything.
    Stall { node: usize, store: Store, time: Duration },
    /// Everything is late for a while.
    Delay { node: usize, store: Store, by: Duration, time: Duration },
    /// A store cannot be reached for a while.
    Refuse { node: usize, store: Store, time: Duration },
    /// Scripts run, and their replies are lost with the connection.
    LoseReplies { node: usize, count: usize },
    /// Redis is killed, and started again with its log.
    RestartRedis { down: Duration },
    /// Redis forgets every script.
    ForgetScripts,
    /// Kafka is killed, and started again.
    KillKafka { down: Duration },
    /// PostgreSQL is killed, and started again.
    KillPostgres { down: Duration },
    /// Another worker joins and leaves.
    Rebalance { stays: Duration },
    /// Redis is emptied, and the campaign rebuilt.
    EmptyRedis,
    /// Redis is started with a log of so long ago, and the campaign rebuilt.
    SetRedisBack { by: Duration },
}

impl Fault {
    /// Its name, without its particulars.
    #[must_use]
    pub fn name(&self) -> String {
        let text = format!("{self:?}");
        text.split(' ').next().unwrap_or_default().to_owned()
    }
}

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// How long users go on coming.
    pub rush: Duration,
    /// The shared stores may be killed, which takes seconds each time.
    pub kills_stores: bool,
    /// Redis may lose what it knew, and `onrush rebuild` has to mend it.
    pub loses_redis: bool,
}

impl Scale {
    /// What `make faults` does.
    pub const FULL: Self = Self { rush: Duration::from_secs(4), kills_stores: true, loses_redis: false };
    /// What a test does.
    pub const SHORT: Self = Self { rush: Duration::from_secs(2), kills_stores: false, loses_redis: false };
}

impl Plan {
    /// The plan of this seed.
    #[must_use]
    pub fn new(seed: u64, scale: Scale) -> Self {
        let mut draw = Draw::new(seed);
        let limit = 1 + draw.place(2);
        let users = users(&mut draw, limit, scale);
        let wishes: u64 = users.iter().map(|user| user.wishes.len() as u64).sum();
        // From far too few to more than enough.
        let stock = 1 + wishes * draw.number(20..110) / 100;
        let mut raises = Vec::new();
        let mut units = stock;
        for at in [scale.rush / 3, scale.rush * 2 / 3] {
            if draw.percent(50) {
                units += draw.number(1..60);
                raises.push((at + draw.ms(0..500), units));
            }
        }
        let roles = if draw.percent(30) {
            vec![Role::All, Role::All, Role::Work]
        } else {
            vec![Role::Serve, Role::Serve, Role::Work, Role::Work]
        };
        let mut steps: Vec<Step> = (0..draw.number(2..6)).map(|_| step(&mut draw, &roles, scale)).collect();
        if scale.loses_redis {
            let fault =
                if draw.percent(50) { Fault::EmptyRedis } else { Fault::SetRedisBack { by: draw.ms(200..800) } };
            // Another fault at the same time is for later; this one is hard enough alone.
            steps = vec![Step { at: scale.rush / 2, fault }];
        }
        steps.sort_by_key(|step| step.at);
        let restarts = steps.iter().any(|step| matches!(step.fault, Fault::RestartRedis { .. }));
        let fsync = if restarts || draw.percent(20) { Fsync::Always } else { Fsync::EverySecond };
        Self { seed, limit, stock, raises, users, roles, fsync, steps }
    }

    /// Whether it kills what other runs use.
    #[must_use]
    pub fn kills_stores(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.fault, Fault::KillKafka { .. } | Fault::KillPostgres { .. }))
    }
}

fn users(draw: &mut Draw, limit: usize, scale: Scale) -> Vec<User> {
    let rush_ms = u64::try_from(scale.rush.as_millis()).unwrap_or(u64::MAX);
    let with_key = draw.number(40..90);
    let user = |draw: &mut Draw, index| {
        // A third comes in the first moment.
        let arrives = if draw.percent(33) { draw.ms(0..150) } else { draw.ms(0..rush_ms) };
        let wishes = (0..=draw.place(limit + 1)).map(|_| wish(draw, with_key)).collect();
        User { name: format!("user-{index}"), arrives, wishes }
    };
    (0..draw.number(200..500)).map(|index| user(draw, index)).collect()
}

fn wish(draw: &mut Draw, with_key: u64) -> Wish {
    let then = match draw.number(0..100) {
        0..70 => Then::Keep,
        70..90 => Then::GiveBack,
        _ => Then::Redeem,
    };
    Wish {
        with_key: draw.percent(with_key),
        doubled: draw.percent(15),
        again_max: u32::try_from(draw.number(0..5)).unwrap_or(0),
        then,
        pause: draw.ms(0..800),
    }
}

fn step(draw: &mut Draw, roles: &[Role], scale: Scale) -> Step {
    let latest = u64::try_from(scale.rush.as_millis()).unwrap_or(u64::MAX);
    let at = draw.ms(100..latest);
    let node = draw.place(roles.len());
    let workers: Vec<_> = (0..roles.len()).filter(|node| roles[*node] != Role::Serve).collect();
    let worker = workers[draw.place(workers.len())];
    let store = [Store::Redis, Store::Kafka, Store::Postgres][draw.place(3)];
    let fault = match draw.number(0..100) {
        0..6 => Fault::KillMidWrite { node: worker, down: draw.ms(0..1_500) },
        6..10 => Fault::KillBeforeCommit { node: worker, down: draw.ms(0..1_500) },
        16..32 => Fault::Pause { node, time: draw.ms(300..4_000) },
        32..40 => Fault::Cut { node, store },
        40..46 => Fault::Stall { node, store, time: draw.ms(100..3_000) },
        46..52 => Fault::Delay { node, store, by: draw.ms(1..80), time: draw.ms(300..3_000) },
        52..58 => Fault::Refuse { node, store, time: draw.ms(100..2_500) },
        58..74 => Fault::LoseReplies { node, count: 1 + draw.place(4) },
        74..82 => Fault::RestartRedis { down: draw.ms(50..1_500) },
        82..86 => Fault::ForgetScripts,
        86..92 => Fault::Rebalance { stays: draw.ms(300..2_000) },
        92..95 if scale.kills_stores => Fault::KillKafka { down: draw.ms(500..4_000) },
        95..100 if scale.kills_stores => Fault::KillPostgres { down: draw.ms(500..4_000) },
        _ => Fault::Kill { node, down: draw.ms(0..1_500) },
    };
    Step { at, fault }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wishes: usize = self.users.iter().map(|user| user.wishes.len()).sum();
        writeln!(f, "seed {}: {} users with {wishes} wishes, limit {}", self.seed, self.users.len(), self.limit)?;
        writeln!(
            f,
            "  stock {}, raised to {:?}; log {:?}; nodes {:?}",
            self.stock, self.raises, self.fsync, self.roles
        )?;
        for step in &self.steps {
            writeln!(f, "  at {:>4} ms {:?}", step.at.as_millis(), step.fault)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_plan_and_another_seed_another() {
        let text = |seed| format!("{:?}", Plan::new(seed, Scale::FULL));
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
    }

    #[test]
    fn every_kind_of_fault_is_in_the_first_hundred_plans() {
        let plans = (1..=100).map(|seed| Plan::new(seed, Scale::FULL).to_string());
        let all: Vec<String> = plans.collect();
        let kinds =
            ["Kill", "Pause", "Cut", "Stall", "Delay", "Refuse", "LoseReplies", "RestartRedis", "ForgetScripts"];
        for kind in
            kinds.into_iter().chain(["KillKafka", "KillPostgres", "Rebalance", "KillMidWrite", "KillBeforeCommit"])
        {
            assert!(all.iter().any(|plan| plan.contains(kind)), "{kind}");
        }
    }
}

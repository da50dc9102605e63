//! What happens in a run? Who comes when and wants what, and which fault strikes when: all of it follows from the seed.

mod fault;
mod people;
mod steps;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use testkit::redis::Fsync;

use crate::draw::Draw;
use crate::installation::Role;
pub use fault::{Around, Fault, Garbage, Ledger, Step};
pub use people::{Act, Does, Intent, Room, Side, Then, User};

/// More facts than any run has.
pub const OUTBOX_FACTS_MAX: u64 = 1_000_000;

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
    /// The campaigns beside the rush.
    pub sides: Vec<Side>,
    /// A campaign with a waiting room, if there is one.
    pub room: Option<Room>,
    /// The nodes; a worker that joins for a while comes on top.
    pub roles: Vec<Role>,
    /// By how many milliseconds each node's clock is ahead.
    pub clocks_ahead: Vec<i64>,
    /// When Redis' log reaches the disk.
    pub fsync: Fsync,
    /// Facts that the database may receive in a second, and facts that may wait in an outbox.
    pub rows_per_second_max: u64,
    /// See [`Self::rows_per_second_max`].
    pub outbox_facts_max: u64,
    /// What goes wrong.
    pub steps: Vec<Step>,
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
    /// There are strangers, operators, other campaigns and a waiting room.
    pub is_busy: bool,
}

impl Scale {
    /// What `make faults` does.
    pub const FULL: Self =
        Self { rush: Duration::from_millis(2_500), kills_stores: true, loses_redis: true, is_busy: true };
    /// What a test does.
    pub const SHORT: Self =
        Self { rush: Duration::from_secs(2), kills_stores: false, loses_redis: false, is_busy: true };
    /// The rush alone.
    pub const ALONE: Self = Self { is_busy: false, ..Self::SHORT };
}

impl Plan {
    /// The plan of this seed.
    #[must_use]
    pub fn new(seed: u64, scale: Scale) -> Self {
        let mut draw = Draw::new(seed);
        let limit = 1 + draw.place(2);
        let users = people::users(&mut draw, limit, scale);
        let intents: u64 = users.iter().map(|user| user.intents.len() as u64).sum();
        // From far too few to more than enough.
        let stock = 1 + intents * draw.number(20..110) / 100;
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
        let rows_per_second_max = if draw.percent(20) { draw.number(300..700) } else { 5_000 };
        let outbox_facts_max = if draw.percent(20) { draw.number(60..300) } else { OUTBOX_FACTS_MAX };
        let mut steps = steps::steps(&mut draw, &roles, scale);
        if outbox_facts_max < OUTBOX_FACTS_MAX {
            steps.extend(steps::full_outbox(&mut draw, &roles, scale));
        }
        let forgetting = steps.iter().filter(|step| matches!(step.fault, Fault::ForgetScripts { .. }));
        let moments: Vec<_> = forgetting.map(|step| step.at).collect();
        let sides = if scale.is_busy { people::sides(&mut draw, scale, &moments) } else { Vec::new() };
        let room = (scale.is_busy && draw.percent(40)).then(|| people::room(&mut draw, scale));
        let clocks_ahead = roles.iter().map(|_| clock_ahead(&mut draw, room.is_some())).collect();
        let restarts = steps.iter().any(|step| matches!(step.fault, Fault::RestartRedis { .. }));
        let fsync = if restarts || draw.percent(20) { Fsync::Always } else { Fsync::EverySecond };
        Self {
            seed,
            limit,
            stock,
            raises,
            users,
            sides,
            room,
            roles,
            clocks_ahead,
            fsync,
            rows_per_second_max,
            outbox_facts_max,
            steps,
        }
    }

    /// Whether it kills what other runs use.
    #[must_use]
    pub fn kills_stores(&self) -> bool {
        self.steps.iter().any(|step| step.fault.kills_stores())
    }
}

/// Most clocks are right. Where there is a waiting room, half are not.
fn clock_ahead(draw: &mut Draw, matters: bool) -> i64 {
    let wrong_by = i64::try_from(draw.number(2_000..900_000)).unwrap_or(0);
    match draw.number(0..100) {
        0..35 if matters => wrong_by,
        35..50 if matters => -wrong_by,
        _ => 0,
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let intents: usize = self.users.iter().map(|user| user.intents.len()).sum();
        writeln!(f, "seed {}: {} users with {intents} intents, limit {}", self.seed, self.users.len(), self.limit)?;
        writeln!(
            f,
            "  stock {}, raised to {:?}; log {:?}; nodes {:?}",
            self.stock, self.raises, self.fsync, self.roles
        )?;
        let acts: usize = self.sides.iter().map(|side| side.acts.len()).sum();
        writeln!(
            f,
            "  {} campaigns more with {acts} acts of operators; clocks ahead {:?} ms; at most {} rows a second, {} facts in \
             an outbox",
            self.sides.len(),
            self.clocks_ahead,
            self.rows_per_second_max,
            self.outbox_facts_max
        )?;
        if let Some(room) = &self.room {
            let Room { stock, admit, every_ms, active_max, visitors } = room;
            let visitors = visitors.len();
            writeln!(
                f,
                "  {visitors} visitors wait for {stock} units: {admit} in {every_ms} ms, {active_max} at a time"
            )?;
        }
        for step in &self.steps {
            writeln!(f, "  at {:>4} ms {:?}", step.at.as_millis(), step.fault)?;
        }
        Ok(())
    }
}

//! What may go wrong?

use std::time::Duration;

use crate::installation::Store;

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
    /// Nodes hear no message of each other for a while.
    HideMessages { time: Duration },
    /// So many announcements of changes do not get to Redis.
    FailAnnouncements { count: usize },
    /// Redis is killed, and started again with its log.
    RestartRedis { down: Duration },
    /// Redis forgets every script, again and again, while operators make campaigns and everybody looks at them.
    ForgetScripts { times: usize },
    /// Redis has no memory left for a while.
    FillMemory { time: Duration },
    /// Entries that no relay can read are in the outbox, before good ones.
    BreakOutbox { kind: Garbage },
    /// The database refuses some facts for themselves, until an operator has mended it and sends them again.
    RefuseFacts,
    /// Kafka is killed, and started again.
    KillKafka { down: Duration },
    /// PostgreSQL is killed, and started again.
    KillPostgres { down: Duration },
    /// Another worker joins and leaves.
    Rebalance { stays: Duration },
    /// Redis dies and is started empty, and the campaigns are rebuilt.
    EmptyRedis { around: Around },
    /// Redis is emptied while it runs, and the campaigns rebuilt.
    FlushRedis { around: Around },
    /// Redis is started with a log of so long ago, and the campaigns rebuilt.
    SetRedisBack { by: Duration, around: Around },
    /// Redis dies, a replica that has heard nothing for so long takes its place, and the campaigns are rebuilt.
    PromoteReplica { by: Duration, around: Around },
}

/// What the nodes and the ledger are at while Redis loses what it knew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Around {
    /// This node has heard nothing of Redis since the moment to which Redis goes back, and what it wants to send waits.
    pub stale: Option<usize>,
    /// All others cannot reach Redis when it returns.
    pub others_away: bool,
    /// Nodes that serve die with Redis and boot when it returns.
    pub reboots: bool,
    /// What the database knows when Redis returns.
    pub ledger: Ledger,
    /// How long that lasts after Redis' return.
    pub lasts: Duration,
    /// Rebuilds that are killed in the middle before one is let through.
    pub killed_rebuilds: usize,
    /// All campaigns are rebuilt by one command, where there is such a command.
    pub at_once: bool,
}

/// What the database knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ledger {
    /// What has arrived.
    There,
    /// Less than Kafka.
    Behind,
    /// It cannot be asked.
    Away,
}

/// What is put into an outbox that no relay can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Garbage {
    /// Fields that mean nothing.
    Nonsense,
    /// An entry of a version that there is not yet.
    Version,
    /// A fact of a kind that there is not yet.
    Kind,
}

impl Fault {
    /// Its name, without its particulars.
    #[must_use]
    pub fn name(&self) -> String {
        let text = format!("{self:?}");
        text.split(' ').next().unwrap_or_default().to_owned()
    }

    /// Whether Redis loses what it knew.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        matches!(
            self,
            Self::EmptyRedis { .. } | Self::FlushRedis { .. } | Self::SetRedisBack { .. } | Self::PromoteReplica { .. }
        )
    }

    /// Whether it kills what other runs use.
    #[must_use]
    pub fn kills_stores(&self) -> bool {
        matches!(self, Self::KillKafka { .. } | Self::KillPostgres { .. })
    }
}

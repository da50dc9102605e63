//! What is where? The row, Redis, the nodes' memories, and changes on their way.

pub(super) const NODES: usize = 2;
pub(super) const TASKS: usize = 2;

/// How much happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bounds {
    /// Versions that the row may have; the first is its making.
    pub(super) versions: u8,
    /// Versions on their way at the same time.
    pub(super) tasks: usize,
    /// How often something goes wrong.
    pub(super) troubles: Troubles,
}

/// How often something may still go wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Troubles {
    /// Redis comes back as another incarnation, with an earlier state or empty.
    pub(super) losses: u8,
    /// FLUSHALL: it is emptied, and stays the same incarnation.
    pub(super) flushalls: u8,
    /// A change under way fails: a store is away, or its caller hangs up.
    pub(super) failures: u8,
    /// A node dies, and boots.
    pub(super) deaths: u8,
}

/// The row in the database; version 0: there is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Row {
    pub(super) version: u8,
    pub(super) published: u8,
    pub(super) ever_put: bool,
}

/// What somebody has seen of the campaign's facts: that it was made, and that its one unit was sold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Mark {
    Nothing,
    Made,
    Sold,
}

/// The campaign in Redis, and the directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Store {
    /// `Nothing`: there is no such key, or only one that says that it is lost.
    pub(super) mark: Mark,
    pub(super) lost: bool,
    pub(super) armed: bool,
    pub(super) version: u8,
    /// The sequence of the campaign's last announcement; 0: it is not in the directory.
    pub(super) told: u8,
}

impl Store {
    pub(super) const EMPTY: Self = Self { mark: Mark::Nothing, lost: false, armed: false, version: 0, told: 0 };

    /// Held against what somebody knows; whether it may go on.
    pub(super) fn enter(&mut self, known: Mark) -> bool {
        self.lost |= self.mark < known;
        !self.lost && self.mark > Mark::Nothing
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Node {
    /// The version that it knows; 0: it does not know of the campaign.
    pub(super) version: u8,
    pub(super) known: Mark,
    /// The sequence up to which it has read the directory, and of which incarnation.
    pub(super) read_up_to: u8,
    pub(super) read_of: u8,
}

/// A version on its way from the row to everybody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Task {
    None,
    Put {
        node: u8,
        version: u8,
        put_before: bool,
    },
    /// It is in Redis, and takes no claims yet.
    Note {
        node: u8,
        version: u8,
    },
    Announce {
        node: u8,
        version: u8,
    },
    Mark {
        node: u8,
        version: u8,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct State {
    pub(super) row: Row,
    pub(super) incarnation: u8,
    pub(super) is_verified: bool,
    pub(super) store: Store,
    /// What the log, or a replica, has.
    pub(super) log: Store,
    pub(super) nodes: [Node; NODES],
    pub(super) tasks: [Task; TASKS],
    pub(super) left: Troubles,
    /// Units that were sold; Kafka and the ledger know of each at once.
    pub(super) sold: u8,
    /// Redis came back with fewer facts than it had.
    pub(super) was_lost: bool,
}

impl Troubles {
    pub(super) const NONE: Self = Self { losses: 0, flushalls: 0, failures: 0, deaths: 0 };
}

impl State {
    pub(super) const fn first(troubles: Troubles) -> Self {
        let node = Node { version: 0, known: Mark::Nothing, read_up_to: 0, read_of: 0 };
        Self {
            row: Row { version: 0, published: 0, ever_put: false },
            incarnation: 0,
            is_verified: true,
            store: Store::EMPTY,
            log: Store::EMPTY,
            nodes: [node; NODES],
            tasks: [Task::None; TASKS],
            left: troubles,
            sold: 0,
            was_lost: false,
        }
    }

    /// What the database knows: the ledger's facts, and that there was a campaign at all.
    pub(super) fn recorded(&self) -> Mark {
        match (self.sold, self.row.ever_put) {
            (0, false) => Mark::Nothing,
            (0, true) => Mark::Made,
            _ => Mark::Sold,
        }
    }

    /// The nodes are alike, and so are the tasks: of states that differ only in their names one is looked at.
    pub(super) fn one_of_all(mut self) -> Self {
        let mut other = self;
        other.nodes.swap(0, 1);
        for task in &mut other.tasks {
            match task {
                Task::Put { node, .. }
                | Task::Note { node, .. }
                | Task::Announce { node, .. }
                | Task::Mark { node, .. } => {
                    *node = 1 - *node;
                }
                Task::None => {}
            }
        }
        self.tasks.sort_unstable();
        other.tasks.sort_unstable();
        self.min(other)
    }
}

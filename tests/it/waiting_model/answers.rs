//! What the scripts of a waiting room are asked for, and what they answer.

/// Added to a pass' number for each life that the room had when it was given.
pub(super) const OF_LIFE: i64 = 1_000_000;

/// How long a room is kept after its campaign is over.
pub(super) const KEPT_MS: i64 = 60_000;

/// When the campaigns of these tests open, unless a test says otherwise.
pub(super) const OPENS_AT: i64 = 1_000_000;

/// How a user stands: one of these, the number of the place, and what belongs to it (users ahead, or a deadline).
pub(super) type Status = (i64, i64, i64);
pub(super) const NEVER_JOINED: i64 = 0;
pub(super) const WAITS: i64 = 1;
pub(super) const INSIDE: i64 = 2;
pub(super) const DRAWING: i64 = 3;
pub(super) const NO_PLACE: i64 = 4;
pub(super) const GONE: i64 = 5;
pub(super) const NEVER: Status = (NEVER_JOINED, 0, 0);
pub(super) const EXPIRED: Status = (GONE, 0, 0);

/// What a claim is refused with.
pub(super) const SOLD_OUT: Answer = Answer::Refused(0);
pub(super) const NOT_OPEN_YET: Answer = Answer::Refused(-1);
pub(super) const PAUSED: Answer = Answer::Refused(-2);
pub(super) const CLOSED: Answer = Answer::Refused(-3);
pub(super) const EXHAUSTED: Answer = Answer::Refused(-4);
pub(super) const PASS_REQUIRED: Answer = Answer::Refused(-6);

/// The campaign's row.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) stock: i64,
    pub(super) limit: i64,
    pub(super) user_max: i64,
    pub(super) opens_at: i64,
    pub(super) closes_at: i64,
    pub(super) paused: bool,
    pub(super) closed: bool,
    pub(super) admit: i64,
    pub(super) every_ms: i64,
    pub(super) active_max: i64,
    pub(super) pass_ttl_ms: i64,
    pub(super) claim_pass_within_ms: i64,
    pub(super) reserve: i64,
    pub(super) is_draw: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            stock: 1_000_000,
            limit: 1,
            user_max: 1_000,
            opens_at: OPENS_AT,
            closes_at: 0,
            paused: false,
            closed: false,
            admit: 0,
            every_ms: 0,
            active_max: 0,
            pass_ttl_ms: 600_000,
            claim_pass_within_ms: 60_000,
            reserve: 0,
            is_draw: false,
        }
    }
}

/// What one call may do at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) admit: usize,
    pub(super) expire: usize,
    pub(super) places: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Issued(i64),
    Refused(i64),
    /// The number of the claim that the attempt had.
    Replayed(i64),
    /// The claims that the user holds.
    Held(Vec<i64>),
}

/// What a join answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) code: String,
    pub(super) admitted: i64,
    pub(super) ended: i64,
    pub(super) users: Vec<Status>,
}

/// What the usher hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) entered: i64,
    pub(super) ended: i64,
    pub(super) waiting: i64,
    pub(super) inside: i64,
    pub(super) wanted: i64,
}

/// What a node knows of the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) left: i64,
    pub(super) number: i64,
    pub(super) admitted_to: i64,
    pub(super) waiting: i64,
    pub(super) inside: i64,
    pub(super) admitted: i64,
    pub(super) no_shows: i64,
    pub(super) left_queue: i64,
    pub(super) is_stopped: bool,
    pub(super) departures: i64,
    pub(super) draw_n: i64,
    pub(super) drawn_at: i64,
    pub(super) in_window: i64,
    pub(super) list_hash: String,
    pub(super) pace: Vec<(i64, i64)>,
    pub(super) life: i64,
    /// -1 without end, -2 there is nothing.
    pub(super) kept_ms: i64,
    /// Places of the departures that were told.
    pub(super) gone: Vec<i64>,
}

impl Answer {
    pub(super) fn read(answer: &str) -> Self {
        let number = |record: &str| record.split('\u{1f}').next().unwrap().parse().unwrap();
        let mut records = answer.split('\u{1e}');
        match records.next().unwrap() {
            "r" => Self::Replayed(number(records.next().unwrap())),
            "h" => Self::Held(records.map(number).collect()),
            code => match code.parse().unwrap() {
                issued @ 1.. => Self::Issued(issued),
                refused => Self::Refused(refused),
            },
        }
    }
}

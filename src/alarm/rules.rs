//! In which state is a rule, and what has to be told of it?

use serde::{Deserialize, Serialize};

use crate::config::Thresholds;

/// How bad it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = AlarmState)]
pub enum State {
    /// Below all thresholds.
    #[default]
    Healthy,
    /// Somebody should look at it.
    Caution,
    /// Somebody has to.
    Critical,
    /// What it watches cannot be seen: it may be as bad as can be.
    Unknown,
}

impl State {
    fn of(value: u64, thresholds: &Thresholds) -> Self {
        if value >= thresholds.critical {
            Self::Critical
        } else if value >= thresholds.caution {
            Self::Caution
        } else {
            Self::Healthy
        }
    }

    /// For a metric.
    pub(super) fn as_number(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Caution => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }
}

/// What a look found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// `None`: whoever knows does not say.
    pub(super) value: Option<u64>,
    /// Of a rule that counts things: what names the newest of them, and it grows; 0 of the others.
    pub(super) newest: u64,
    /// Campaigns that it is about, a few of them.
    pub(super) campaigns: Vec<String>,
}

impl Reading {
    pub(super) fn of(value: Option<u64>) -> Self {
        Self { value, ..Self::default() }
    }
}

/// How long things last: how long a rule must have been below before it goes down, and in its state before it is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) window_ms: i64,
    pub(super) pending_ms: i64,
}

/// How a rule stands; kept in Redis, so that whichever node watches next goes on from here. Times are Redis'.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RuleStatus {
    pub(super) state: State,
    /// Since when, in milliseconds since 1970; 0: it was not looked at yet.
    pub(super) since: i64,
    /// The last value that could be read.
    pub(super) value: Option<u64>,
    /// Campaigns that it is about, a few of them.
    pub(super) campaigns: Vec<String>,
    /// Since when the value has been below the state, and the worst that it was worth meanwhile.
    below: Option<(i64, State)>,
    /// Whether the last that was told is that it is critical.
    told_critical: bool,
    /// Whether the last that was told is that it is unknown.
    told_unknown: bool,
    newest: u64,
    /// The newest that was told of, and when.
    told_newest: u64,
    told_at: i64,
    /// How often the message that is due was tried.
    pub(super) tries: u32,
}

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Critical,
    /// There is a new one, and the last was told of long enough ago.
    Another,
    /// It cannot be computed.
    Unknown,
    /// It is healthy again, or at least known and not critical.
    Recovered,
}

impl RuleStatus {
    /// Takes a reading in.
    pub(super) fn see(&mut self, reading: &Reading, thresholds: &Thresholds, now_ms: i64, window_ms: i64) {
        self.newest = self.newest.max(reading.newest);
        let Some(value) = reading.value else {
            if self.state != State::Unknown || self.since == 0 {
                (self.state, self.since, self.below) = (State::Unknown, now_ms, None);
            }
            return;
        };
        self.value = Some(value);
        self.campaigns.clone_from(&reading.campaigns);
        let worth = State::of(value, thresholds);
        if self.since == 0 || self.state == State::Unknown {
            (self.state, self.since, self.below) = (worth, now_ms, None);
            return;
        }
        if worth >= self.state {
            self.below = None;
            if worth > self.state {
                (self.state, self.since) = (worth, now_ms);
            }
            return;
        }
        let (from, worst) = self.below.map_or((now_ms, worth), |(from, worst)| (from, worst.max(worth)));
        self.below = Some((from, worst));
        if now_ms - from >= window_ms {
            (self.state, self.since, self.below) = (worst, now_ms, None);
        }
    }

    /// What has to be told. A rule that goes back and forth between CAUTION and CRITICAL is told of once.
    pub(super) fn due(&self, now_ms: i64, times: Times) -> Option<Due> {
        let lasts = now_ms - self.since >= times.pending_ms;
        match self.state {
            State::Unknown => (lasts && !self.told_unknown).then_some(Due::Unknown),
            State::Critical if !self.told_critical => lasts.then_some(Due::Critical),
            State::Critical => {
                let is_another = self.newest > self.told_newest && now_ms - self.told_at >= times.window_ms;
                is_another.then_some(Due::Another)
            }
            State::Caution => self.told_unknown.then_some(Due::Recovered),
            State::Healthy => (self.told_critical || self.told_unknown).then_some(Due::Recovered),
        }
    }

    /// It was told, or given up.
    pub(super) fn tell(&mut self, due: Due, now_ms: i64) {
        self.told_critical = matches!(due, Due::Critical | Due::Another);
        self.told_unknown = due == Due::Unknown;
        (self.told_newest, self.told_at) = (self.newest, now_ms);
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: Thresholds = Thresholds { caution: 10, critical: 20 };
    const TIMES: Times = Times { window_ms: 60, pending_ms: 0 };

    fn see(status: &mut RuleStatus, at: i64, value: Option<u64>) {
        status.see(&Reading::of(value), &THRESHOLDS, at, TIMES.window_ms);
    }

    fn after(values: &[(i64, u64)]) -> RuleStatus {
        let mut status = RuleStatus::default();
        for (at, value) in values {
            see(&mut status, *at, Some(*value));
        }
        status
    }

    #[test]
    fn up_at_once_and_down_after_a_whole_window_below() {
        assert_eq!(after(&[(1, 9)]).state, State::Healthy);
        assert_eq!(after(&[(1, 10)]).state, State::Caution);
        assert_eq!(after(&[(1, 20)]).state, State::Critical);
        assert_eq!(after(&[(1, 20), (2, 0), (61, 0)]).state, State::Critical);
        assert_eq!(after(&[(1, 20), (2, 0), (62, 0)]).state, State::Healthy);
        assert_eq!(after(&[(1, 20), (2, 0), (40, 20), (62, 0), (100, 0)]).state, State::Critical);
        // Not lower than what it was worth at any time of the window.
        assert_eq!(after(&[(1, 20), (2, 0), (40, 15), (62, 0)]).state, State::Caution);
        assert_eq!(after(&[(1, 20), (2, 0), (62, 0)]).since, 62);
    }

    #[test]
    fn a_value_that_cannot_be_read_makes_it_unknown_and_one_that_can_makes_it_known_at_once() {
        let mut status = after(&[(1, 9), (2, 9)]);
        see(&mut status, 500, None);
        see(&mut status, 600, None);
        assert_eq!((status.state, status.since, status.value), (State::Unknown, 500, Some(9)));
        see(&mut status, 700, Some(15));
        assert_eq!((status.state, status.since), (State::Caution, 700));
        let mut never = RuleStatus::default();
        see(&mut never, 5, None);
        assert_eq!((never.state, never.since), (State::Unknown, 5));
    }

    #[test]
    fn critical_is_told_once_and_recovery_once() {
        let mut status = after(&[(1, 20)]);
        assert_eq!(status.due(1, TIMES), Some(Due::Critical));
        status.tell(Due::Critical, 1);
        assert_eq!(status.due(1, TIMES), None);
        for (at, value) in [(2, 15), (62, 15), (63, 30)] {
            see(&mut status, at, Some(value));
            assert_eq!(status.due(at, TIMES), None, "between CAUTION and CRITICAL");
        }
        for at in [64, 124] {
            see(&mut status, at, Some(0));
        }
        assert_eq!(status.due(124, TIMES), Some(Due::Recovered));
        status.tell(Due::Recovered, 124);
        assert_eq!(status.due(124, TIMES), None);
    }

    #[test]
    fn what_has_not_lasted_is_not_told() {
        let times = Times { pending_ms: 10, ..TIMES };
        let mut status = after(&[(1, 20)]);
        assert_eq!((status.due(10, times), status.due(11, times)), (None, Some(Due::Critical)));
        see(&mut status, 20, None);
        assert_eq!((status.due(29, times), status.due(30, times)), (None, Some(Due::Unknown)));
    }

    #[test]
    fn unknown_is_told_once_and_so_is_what_comes_after_it() {
        let mut status = after(&[(1, 0)]);
        see(&mut status, 2, None);
        assert_eq!(status.due(2, TIMES), Some(Due::Unknown));
        status.tell(Due::Unknown, 2);
        see(&mut status, 3, None);
        assert_eq!(status.due(3, TIMES), None);
        let mut critical = status.clone();
        see(&mut critical, 4, Some(20));
        assert_eq!(critical.due(4, TIMES), Some(Due::Critical));
        see(&mut status, 4, Some(12));
        assert_eq!(status.due(4, TIMES), Some(Due::Recovered));
    }

    #[test]
    fn a_rule_that_stays_critical_is_told_of_again_when_there_is_a_new_one_once_a_window() {
        let mut status = after(&[(1, 20)]);
        let newest = |status: &mut RuleStatus, newest| {
            let reading = Reading { value: Some(20), newest, ..Reading::default() };
            status.see(&reading, &THRESHOLDS, 1, 60);
        };
        newest(&mut status, 7);
        assert_eq!(status.due(1, TIMES), Some(Due::Critical));
        status.tell(Due::Critical, 1);
        assert_eq!(status.due(1_000, TIMES), None, "the same ones");
        // One went, another came: as many as before.
        newest(&mut status, 8);
        assert_eq!(status.due(60, TIMES), None, "too soon");
        assert_eq!(status.due(61, TIMES), Some(Due::Another));
        status.tell(Due::Another, 61);
        newest(&mut status, 0);
        assert_eq!(status.due(1_000, TIMES), None);
    }

    #[test]
    fn what_an_earlier_version_has_written_is_read() {
        let text = r#"{"state":"CRITICAL","since":5,"value":7,"below":null,"told_critical":true,"tries":0}"#;
        let status: RuleStatus = serde_json::from_str(text).unwrap();
        assert_eq!((status.state, status.due(5, TIMES)), (State::Critical, None));
    }
}

//! In which state is a rule?

use serde::{Deserialize, Serialize};

use crate::config::Thresholds;

/// How bad it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Below all thresholds.
    #[default]
    Healthy,
    /// Somebody should look at it.
    Caution,
    /// Somebody has to.
    Critical,
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
        }
    }
}

/// How a rule stands; kept in Redis, so that whichever node watches next goes on from here. Times are Redis'.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub(super) state: State,
    /// Since when, in milliseconds since 1970.
    pub(super) since: i64,
    /// The last value that could be read.
    pub(super) value: Option<u64>,
    /// Since when the value has been below the state, and the worst that it was worth meanwhile.
    below: Option<(i64, State)>,
    /// Whether the last that was told is that it is critical.
    pub(super) told_critical: bool,
    /// Of a rule that counts things: what names the newest of them, and it grows; 0 of the others.
    #[serde(default)]
    newest: u64,
    /// The newest that was told of, and when.
    #[serde(default)]
    told_newest: u64,
    #[serde(default)]
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
    Recovered,
}

impl Standing {
    /// Takes a value in. One that could not be read changes nothing.
    pub(super) fn see(&mut self, value: Option<u64>, thresholds: &Thresholds, now_ms: i64, window_ms: i64) {
        let Some(value) = value else { return };
        self.value = Some(value);
        if self.since == 0 {
            self.since = now_ms;
        }
        let worth = State::of(value, thresholds);
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

    /// Of a rule that counts things: what names the newest.
    pub(super) fn see_newest(&mut self, newest: u64) {
        self.newest = self.newest.max(newest);
    }

    /// What has to be told. A rule that goes back and forth between CAUTION and CRITICAL is told of once.
    pub(super) fn due(&self, now_ms: i64, window_ms: i64) -> Option<Due> {
        match (self.state, self.told_critical) {
            (State::Critical, false) => Some(Due::Critical),
            (State::Healthy, true) => Some(Due::Recovered),
            (State::Critical, true) if self.newest > self.told_newest && now_ms - self.told_at >= window_ms => {
                Some(Due::Another)
            }
            (State::Critical | State::Caution, true) | (State::Healthy | State::Caution, false) => None,
        }
    }

    /// It was told, or given up.
    pub(super) fn tell(&mut self, due: Due, now_ms: i64) {
        self.told_critical = due != Due::Recovered;
        (self.told_newest, self.told_at) = (self.newest, now_ms);
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: Thresholds = Thresholds { caution: 10, critical: 20 };

    fn after(values: &[(i64, u64)]) -> Standing {
        let mut standing = Standing::default();
        for (at, value) in values {
            standing.see(Some(*value), &THRESHOLDS, *at, 60);
        }
        standing
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
    fn a_value_that_cannot_be_read_changes_nothing() {
        let mut standing = after(&[(1, 20), (2, 0)]);
        let before = standing.clone();
        standing.see(None, &THRESHOLDS, 500, 60);
        assert_eq!(standing, before);
    }

    #[test]
    fn critical_is_told_once_and_recovery_once() {
        let mut standing = after(&[(1, 20)]);
        assert_eq!(standing.due(0, 60), Some(Due::Critical));
        standing.tell(Due::Critical, 1);
        assert_eq!(standing.due(0, 60), None);
        for (at, value) in [(2, 15), (62, 15), (63, 30)] {
            standing.see(Some(value), &THRESHOLDS, at, 60);
            assert_eq!(standing.due(0, 60), None, "between CAUTION and CRITICAL");
        }
        for at in [64, 124] {
            standing.see(Some(0), &THRESHOLDS, at, 60);
        }
        assert_eq!(standing.due(0, 60), Some(Due::Recovered));
        standing.tell(Due::Recovered, 124);
        assert_eq!(standing.due(0, 60), None);
    }
    #[test]
    fn a_rule_that_stays_critical_is_told_of_again_when_there_is_a_new_one_once_a_window() {
        let mut standing = after(&[(1, 20)]);
        standing.see_newest(7);
        assert_eq!(standing.due(1, 60), Some(Due::Critical));
        standing.tell(Due::Critical, 1);
        assert_eq!(standing.due(1_000, 60), None, "the same ones");
        // One went, another came: as many as before.
        standing.see_newest(8);
        assert_eq!(standing.due(60, 60), None, "too soon");
        assert_eq!(standing.due(61, 60), Some(Due::Another));
        standing.tell(Due::Another, 61);
        standing.see_newest(0);
        assert_eq!(standing.due(1_000, 60), None);
    }
}

//! What time is it? The only place that asks the operating system, so that times have one form everywhere.

use std::cell::RefCell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// A moment, in whole milliseconds since 1970 UTC: what Redis decides in and what answers show.
///
/// As JSON it is RFC 3339 with `Z` and milliseconds; any offset is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub i64);

impl Millis {
    /// This node's clock, which decides nothing: decisions take Redis' clock, on which all nodes agree.
    #[must_use]
    pub fn now() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("this machine's clock is past 1970");
        let shown = i64::try_from(since_1970.as_millis()).expect("the year is below 292 million");
        Self(shown + AHEAD_MS.load(Ordering::Relaxed))
    }

    /// Reads RFC 3339; fractions of a millisecond are cut off.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Self)
    }

    /// RFC 3339 in UTC with milliseconds: `2026-12-01T01:00:00.000Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        self.with_rfc3339(str::to_owned)
    }

    /// The same, without a copy. In a burst thousands of claims are of one millisecond: the last text is kept.
    fn with_rfc3339<T>(self, take: impl FnOnce(&str) -> T) -> T {
        thread_local! {
            static LAST: RefCell<(Millis, String)> = RefCell::new((Millis(0), Millis(0).format()));
        }
        LAST.with_borrow_mut(|(of, text)| {
            if *of != self {
                (*of, *text) = (self, self.format());
            }
            take(text)
        })
    }

    fn format(self) -> String {
        let layout = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .ok()
            .and_then(|moment| moment.to_offset(UtcOffset::UTC).format(&layout).ok())
            .unwrap_or_else(|| format!("{} ms since 1970", self.0))
    }
}

/// How far this process' clock is ahead of the machine's.
static AHEAD_MS: AtomicI64 = AtomicI64::new(0);

/// Sets this process' clock so far ahead, or behind: what is wrong with some node's clock must be wrong with nothing else,
/// and tests show it. What is measured between two moments does not change.
pub fn set_ahead_ms(ahead_ms: i64) {
    AHEAD_MS.store(ahead_ms, Ordering::Relaxed);
}

/// From when the process' time is counted.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How long this process has run, about, in us: a clock that never runs back, as a number. At least 1.
#[must_use]
pub fn uptime_us() -> u64 {
    uptime_us_at(Instant::now())
}

/// How long this process had run at that moment, in us.
#[must_use]
pub fn uptime_us_at(moment: Instant) -> u64 {
    u64::try_from(moment.saturating_duration_since(*BEGAN).as_micros()).unwrap_or(u64::MAX - 1) + 1
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.with_rfc3339(|text| to.serialize_str(text))
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a time in RFC 3339"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_offset_in_and_z_with_milliseconds_out() {
        let seoul = Millis::parse("2026-12-01T10:00:00.5+09:00").unwrap();
        assert_eq!(seoul.to_rfc3339(), "2026-12-01T01:00:00.500Z");
        assert_eq!(Millis::parse("1969-12-31T23:59:59.9995Z"), Some(Millis(-1)));
        for bad in ["", "2026-12-01", "2026-12-01T01:00:00", "2026-13-01T01:00:00Z", "now"] {
            assert_eq!(Millis::parse(bad), None, "{bad}");
        }
    }
}

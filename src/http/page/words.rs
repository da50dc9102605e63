//! How are numbers and times said? As people say them: rounded, and no more certain than they are.

use time::{OffsetDateTime, UtcOffset};

use super::texts::{Lang, Texts};
use crate::clock::Millis;

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 86_400;
/// Up to so many minutes they are said as minutes.
const MINUTES_MAX: u64 = 90;

/// A moment on the page: for people, and for the script, which says it in the visitor's own time zone.
pub(crate) struct Moment {
    pub(crate) at: String,
    pub(crate) words: String,
}

/// `1,200`.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// How long it may take, about. `page.js` says it in the same way.
pub(crate) fn eta(texts: &Texts, seconds: Option<u64>) -> String {
    let Some(seconds) = seconds else { return texts.eta_unknown.to_owned() };
    let minutes = seconds.div_ceil(MINUTE_S);
    let hours = (seconds + HOUR_S / 2) / HOUR_S;
    match () {
        () if seconds < MINUTE_S => texts.eta_soon.to_owned(),
        () if minutes == 1 => texts.eta_minute.to_owned(),
        () if minutes <= MINUTES_MAX => texts.eta_minutes.replace("{n}", &minutes.to_string()),
        () if seconds > DAY_S => texts.eta_long.to_owned(),
        () => texts.eta_hours.replace("{n}", &hours.to_string()),
    }
}

/// A length of time that is certain: `10 minutes`.
pub(crate) fn length(texts: &Texts, seconds: u64) -> String {
    let (one, many, n) = if seconds.is_multiple_of(HOUR_S) && seconds > 0 {
        (texts.hour, texts.hours, seconds / HOUR_S)
    } else if seconds.is_multiple_of(MINUTE_S) && seconds > 0 {
        (texts.minute, texts.minutes, seconds / MINUTE_S)
    } else {
        (texts.second, texts.seconds, seconds)
    };
    if n == 1 { one.to_owned() } else { many.replace("{n}", &number(n)) }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const KOREA_H: i8 = 9;

/// A moment. Who reads Korean is told the time of Korea, others that of UTC, until the script knows better.
pub(crate) fn moment(lang: Lang, at: Millis) -> Moment {
    let offset = match lang {
        Lang::En => UtcOffset::UTC,
        Lang::Ko => UtcOffset::from_hms(KOREA_H, 0, 0).unwrap_or(UtcOffset::UTC),
    };
    let iso = at.to_rfc3339();
    let local = OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1_000)).ok().map(|at| at.to_offset(offset));
    let words = local.map_or_else(
        || iso.clone(),
        |local| {
            let (month, day) = (u8::from(local.month()), local.day());
            let (hour, minute, second) = local.to_hms();
            let clock = match second {
                0 => format!("{hour:02}:{minute:02}"),
                _ => format!("{hour:02}:{minute:02}:{second:02}"),
            };
            match lang {
                Lang::En => format!("{day} {}, {clock} UTC", MONTHS[usize::from(month) - 1]),
                Lang::Ko => format!("{month}월 {day}일 {clock} (한국 시간)"),
            }
        },
    );
    Moment { at: iso, words }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (n, said) in [(0, "0"), (999, "999"), (1_200, "1,200"), (1_000_000, "1,000,000")] {
            assert_eq!(number(n), said);
        }
    }

    #[test]
    fn an_estimate_is_said_no_more_exactly_than_it_is() {
        let en = Lang::En.texts();
        for (seconds, said) in [
            (None, "not known yet"),
            (Some(0), "less than a minute"),
            (Some(59), "less than a minute"),
            (Some(60), "about 1 minute"),
            (Some(61), "about 2 minutes"),
            (Some(230), "about 4 minutes"),
            (Some(5_400), "about 90 minutes"),
            (Some(5_401), "about 2 hours"),
            (Some(86_400), "about 24 hours"),
            (Some(86_401), "more than a day"),
        ] {
            assert_eq!(eta(en, seconds), said, "{seconds:?}");
        }
    }

    #[test]
    fn lengths_are_whole() {
        let (en, ko) = (Lang::En.texts(), Lang::Ko.texts());
        assert_eq!((length(en, 600), length(ko, 600)), ("10 minutes".into(), "10분".into()));
        assert_eq!(
            (length(en, 1), length(en, 90), length(en, 3_600)),
            ("1 second".into(), "90 seconds".into(), "1 hour".into())
        );
    }

    #[test]
    fn a_moment_is_said_in_the_time_of_the_language() {
        let at = Millis::parse("2026-11-24T01:00:00Z").unwrap();
        assert_eq!(moment(Lang::En, at).words, "24 November, 01:00 UTC");
        assert_eq!(moment(Lang::En, Millis(at.0 + 5_000)).words, "24 November, 01:00:05 UTC");
        assert_eq!(moment(Lang::Ko, at).words, "11월 24일 10:00 (한국 시간)");
        assert_eq!(moment(Lang::Ko, at).at, "2026-11-24T01:00:00.000Z");
    }
}

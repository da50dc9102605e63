//! Is it true? What the crowd was told is held against what was planned and against the auditor.

use std::fmt::Write;

use crate::campaign::Counts;
use crate::records::Totals;
use crate::settings::{Scenario, Settings};

/// What is wrong; nothing, if all is well.
pub(crate) fn failures(settings: &Settings, totals: &Totals, audit: &Result<Counts, String>) -> Vec<String> {
    let mut is = Failures(totals.shown.clone());
    let Totals { visits, granted, given_back, highest, wrong, .. } = *totals;
    is.unless(wrong == 0, || format!("{wrong} things were not as they must be"));
    is.unless(visits == settings.visits(), || format!("{visits} visits were made, not {}", settings.visits()));
    // Numbers count from 1, each is given once, and every answer is known.
    is.unless(highest == granted, || format!("{granted} claims were granted, and the highest number is {highest}"));
    check_grants(&mut is, settings, totals);
    match audit {
        Ok(counts) => check_audit(&mut is, settings, totals, counts),
        Err(why) => is.0.push(why.clone()),
    }
    is.unless(granted >= given_back, || format!("{given_back} of {granted} claims were given back"));
    is.0
}

fn check_grants(is: &mut Failures, settings: &Settings, totals: &Totals) {
    let stock = settings.stock();
    let expected = match settings.scenario {
        Scenario::Limited | Scenario::Plenty | Scenario::DoubleClickers => Some(stock.min(totals.users)),
        // All of it was granted before the storm.
        Scenario::SoldOut => Some(stock),
        Scenario::Trickle | Scenario::Mixed | Scenario::Waiting | Scenario::Feed => None,
    };
    let granted = totals.granted;
    is.unless(expected.is_none_or(|expected| granted == expected), || {
        format!("{granted} claims were granted, not {}", expected.unwrap_or_default())
    });
    let words: &[&str] = match settings.scenario {
        Scenario::Limited | Scenario::Plenty => &["granted"],
        Scenario::SoldOut => &["sold_out"],
        Scenario::DoubleClickers => &["granted", "replayed", "limit_reached"],
        Scenario::Trickle => &["granted", "given_back", "read"],
        Scenario::Mixed => &["granted", "replayed", "given_back", "read", "refused"],
        Scenario::Waiting => &["granted", "waits", "admitted", "left", "refused"],
        Scenario::Feed => &["posted", "deleted", "subscribed", "unchanged", "delivered", "found"],
    };
    for word in words {
        is.unless(totals.said.contains_key(word), || format!("nobody heard {word}"));
    }
}

fn check_audit(is: &mut Failures, settings: &Settings, totals: &Totals, counts: &Counts) {
    let Counts { stock, left, live, given_back, rows, .. } = *counts;
    is.unless(stock == settings.stock(), || format!("the auditor counts a stock of {stock}, not {}", settings.stock()));
    is.unless(live <= settings.stock(), || format!("{live} claims are live, of a stock of {}", settings.stock()));
    is.unless(i128::from(left) + i128::from(live) == i128::from(stock), || {
        format!("{left} left and {live} live claims are not the stock of {stock}")
    });
    is.unless(rows == live, || format!("{rows} rows and {live} live claims"));
    is.unless(live + given_back == totals.granted && given_back == totals.given_back, || {
        let Totals { granted, given_back: returned, .. } = totals;
        format!("the auditor counts {live} live and {given_back} given back, users were told {granted} and {returned}")
    });
    let Counts { outbox, lag, missing, doubled, oversold, gaps, .. } = *counts;
    for (name, count) in [
        ("outbox", outbox),
        ("lag", lag),
        ("missing", missing),
        ("doubled", doubled),
        ("oversold", oversold),
        ("gaps", gaps),
    ] {
        is.unless(count == 0, || format!("the auditor's verdict is ok, but {name} is {count}"));
    }
}

/// Collects what is wrong, so that one run names all of it.
struct Failures(Vec<String>);

impl Failures {
    fn unless(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.0.push(text());
        }
    }
}

/// How it went, in a few lines.
pub(crate) fn render(
    settings: &Settings,
    totals: &Totals,
    audit: &Result<Counts, String>,
    failures: &[String],
) -> String {
    let (users, stock) = (settings.users(), settings.stock());
    let said: Vec<String> = totals.said.iter().map(|(word, count)| format!("{word} {count}")).collect();
    let mut text = format!("\n{}: {users} users, {stock} units\n", settings.scenario.name());
    let _never = writeln!(text, "  answers   {}", said.join(", "));
    let _never = writeln!(text, "  visits    {} of {} made", totals.visits, settings.visits());
    if let Ok(counts) = audit {
        let Counts { live, given_back, rows, verdict, .. } = counts;
        let _never = writeln!(text, "  audit     {verdict}: live {live}, given back {given_back}, rows {rows}");
    }
    for failure in failures {
        let _never = writeln!(text, "  FAILED    {failure}");
    }
    let _never = writeln!(text, "  {}", if failures.is_empty() { "all is well" } else { "NOT WELL" });
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn settings() -> Settings {
        let words =
            "goose-load limited --url http://[::1] --hs256-secret s --operator-token t --rate 5 --duration 1 --stock 2";
        Settings::parse_from(words.split(' '))
    }

    fn totals(granted: u64) -> Totals {
        let said = [("granted", granted), ("sold_out", 5 - granted)].into();
        Totals { visits: 5, users: 5, granted, highest: granted, said, ..Totals::default() }
    }

    fn counts(live: u64) -> Counts {
        let (stock, left) = (2, 2 - i64::try_from(live).unwrap());
        let (given_back, outbox, lag, missing, doubled, oversold, gaps) = Default::default();
        let verdict = "ok".to_owned();
        Counts { verdict, stock, left, live, given_back, rows: live, outbox, lag, missing, doubled, oversold, gaps }
    }

    #[test]
    fn exactly_the_stock_has_to_be_granted() {
        let judge = |granted| failures(&settings(), &totals(granted), &Ok(counts(granted)));
        assert_eq!(judge(2), Vec::<String>::new());
        assert_eq!(judge(1), ["1 claims were granted, not 2"]);
        assert!(judge(3).contains(&"3 claims are live, of a stock of 2".to_owned()));
    }

    #[test]
    fn the_auditor_has_to_agree() {
        let judge = |counts| failures(&settings(), &totals(2), &counts);
        assert_eq!(judge(Err("it did not".to_owned())), ["it did not"]);
        assert_eq!(judge(Ok(counts(1))), ["the auditor counts 1 live and 0 given back, users were told 2 and 0"],);
        assert_eq!(judge(Ok(Counts { rows: 1, ..counts(2) })), ["1 rows and 2 live claims"]);
        assert_eq!(judge(Ok(Counts { gaps: 1, ..counts(2) })), ["the auditor's verdict is ok, but gaps is 1"]);
    }

    #[test]
    fn a_number_that_nobody_was_told_and_a_visit_that_nobody_made_are_failures() {
        let judge = |totals: Totals| failures(&settings(), &totals, &Ok(counts(2)));
        let gap = judge(Totals { highest: 3, ..totals(2) });
        assert_eq!(gap, ["2 claims were granted, and the highest number is 3"]);
        assert_eq!(judge(Totals { visits: 4, ..totals(2) }), ["4 visits were made, not 5"]);
        let wrong = judge(Totals { wrong: 1, shown: vec!["this".into()], ..totals(2) });
        assert_eq!(wrong, ["this", "1 things were not as they must be"]);
    }
}

//! Is it true? Every answer is held against the others, against the plan and against the auditor.

use std::collections::HashSet;
use std::hash::Hash;

use crate::audit::Audit;
use crate::plan::Plan;
use crate::tally::{Tally, Win};
use crate::tokens;

/// What is wrong; nothing, if all is well.
pub(crate) fn failures(plan: &Plan, tally: &Tally, audit: &Audit) -> Vec<String> {
    let mut is = Failures::default();
    let expected = u64::from(plan.users.min(plan.stock));
    let created = tally.created();
    is.unless(created == expected, || format!("{created} claims were granted, not {expected}"));
    let unanswered = tally.unanswered();
    is.unless(unanswered == 0, || format!("{unanswered} requests had no answer"));
    check_wins(&mut is, plan, tally);
    check_audit(&mut is, tally, audit);
    is.0
}

fn check_wins(is: &mut Failures, plan: &Plan, tally: &Tally) {
    let unreadable = tally.unreadable_wins;
    is.unless(unreadable == 0, || format!("{unreadable} answers were 201 without a claim"));
    is.all(&tally.wins, "name another user than the one who asked", |win| win.user_id == tokens::user_id(win.asked_by));
    is.all(&tally.wins, "name another campaign", |win| win.campaign_id == plan.campaign);
    is.once(&tally.wins, "users were granted more than one claim", |win| &win.user_id);
    is.once(&tally.wins, "numbers were given more than once", |win| &win.number);
    is.once(&tally.wins, "coupon codes were given more than once", |win| &win.coupon_code);
    // Nobody gives back during a rush, so no number is beyond the stock.
    is.all(&tally.wins, "have a number that the stock does not allow", |win| {
        (1..=u64::from(plan.stock)).contains(&win.number)
    });
    // The number of a claim whose answer was lost is not seen here; without such requests every number is.
    let highest = tally.wins.iter().map(|win| win.number).max().unwrap_or(0);
    is.unless(tally.unknown() > 0 || highest <= tally.created(), || {
        format!("numbers are missing between 1 and {highest}, though every request was answered")
    });
}

fn check_audit(is: &mut Failures, tally: &Tally, audit: &Audit) {
    let Some(counts) = &audit.counts else {
        let trouble = audit.trouble.as_deref().unwrap_or("no time to ask");
        return is.0.push(format!("the auditor gave no counts: {trouble}"));
    };
    let (verdict, live, created) = (&counts.verdict, counts.live, tally.created());
    is.unless(verdict == "ok", || match &audit.trouble {
        Some(trouble) => format!("the auditor's last verdict is {verdict}; asked again: {trouble}"),
        None => format!("the auditor's verdict is {verdict}"),
    });
    let wrong = counts.missing + counts.doubled + counts.oversold;
    is.unless(wrong == 0, || format!("the auditor's verdict is {verdict}, but it counts {wrong} wrong claims"));
    let (left, stock) = (counts.left, counts.stock);
    is.unless(i128::from(left) + i128::from(live) == i128::from(stock), || {
        format!("{left} left and {live} live claims are not the stock of {stock}")
    });
    is.unless(live >= created, || format!("{created} claims were granted, but {live} are live"));
    is.unless(live <= created + tally.unknown(), || {
        format!("{live} claims are live, but this rush was granted {created}: did someone else claim too?")
    });
}

/// Collects what is wrong, so that one run names all of it.
#[derive(Default)]
struct Failures(Vec<String>);

impl Failures {
    fn unless(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.0.push(text());
        }
    }

    fn all(&mut self, wins: &[Win], text: &str, holds: impl Fn(&Win) -> bool) {
        let wrong = wins.iter().filter(|win| !holds(win)).count();
        self.unless(wrong == 0, || format!("{wrong} answers {text}"));
    }

    fn once<'a, K: Hash + Eq + 'a>(&mut self, wins: &'a [Win], text: &str, key: impl Fn(&'a Win) -> &'a K) {
        let repeated = wins.len() - wins.iter().map(key).collect::<HashSet<_>>().len();
        self.unless(repeated == 0, || format!("{repeated} {text}"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use http::StatusCode;

    use super::*;
    use crate::audit::Counts;
    use crate::http_client::NoAnswer;

    fn plan() -> Plan {
        Plan {
            campaign: "c".into(),
            users: 5,
            stock: 2,
            connections: 2,
            per_user_tries: 1,
            timeout: Duration::from_secs(1),
            audit_wait: Duration::from_secs(1),
        }
    }

    fn win(user: u32, number: u64) -> Win {
        Win {
            asked_by: user,
            user_id: tokens::user_id(user),
            campaign_id: "c".into(),
            number,
            coupon_code: format!("code-{number}-{user}"),
        }
    }

    fn tally(wins: Vec<Win>) -> Tally {
        let created = wins.len() as u64;
        Tally { answers: vec![(StatusCode::CREATED, "created".into(), created)], wins, ..Tally::default() }
    }

    fn audit(verdict: &str, live: u64) -> Audit {
        let (verdict, stock, left) = (verdict.to_owned(), 2, 2 - i64::try_from(live).unwrap());
        let counts = Counts { verdict, stock, left, live, rows: live, missing: 0, doubled: 0, oversold: 0, lag: 0 };
        Audit { counts: Some(counts), settled: Some(Instant::now()), trouble: None }
    }

    #[test]
    fn a_rush_that_went_well_has_no_failures() {
        let tally = tally(vec![win(3, 2), win(0, 1)]);
        assert_eq!(failures(&plan(), &tally, &audit("ok", 2)), Vec::<String>::new());
    }

    #[test]
    fn a_number_or_a_user_that_comes_twice_is_a_failure() {
        let twice = failures(&plan(), &tally(vec![win(0, 1), win(1, 1)]), &audit("ok", 2));
        assert_eq!(twice, ["1 numbers were given more than once"]);
        let twice = failures(&plan(), &tally(vec![win(0, 1), win(0, 2)]), &audit("ok", 2));
        assert_eq!(twice, ["1 users were granted more than one claim"]);
    }

    #[test]
    fn more_than_the_stock_is_a_failure_of_count_and_number() {
        let sold = failures(&plan(), &tally(vec![win(0, 1), win(1, 2), win(2, 3)]), &audit("ok", 3));
        assert_eq!(sold, ["3 claims were granted, not 2", "1 answers have a number that the stock does not allow"]);
    }

    #[test]
    fn a_gap_is_a_failure_only_if_every_request_was_answered() {
        let mut tally = tally(vec![win(0, 2)]);
        let gap = "numbers are missing between 1 and 2, though every request was answered";
        assert!(failures(&plan(), &tally, &audit("ok", 1)).iter().any(|failure| failure == gap));
        tally.no_answers.push((NoAnswer::TimedOut, 1));
        let unknown = failures(&plan(), &tally, &audit("ok", 2));
        assert_eq!(unknown, ["1 claims were granted, not 2", "1 requests had no answer"]);
    }

    #[test]
    fn an_answer_for_someone_else_is_a_failure() {
        let stolen = Win { user_id: "mallory".into(), ..win(1, 2) };
        let wrong = failures(&plan(), &tally(vec![win(0, 1), stolen]), &audit("ok", 2));
        assert_eq!(wrong, ["1 answers name another user than the one who asked"]);
    }

    #[test]
    fn the_auditor_has_to_agree() {
        let tally = tally(vec![win(0, 1), win(1, 2)]);
        let settling = failures(&plan(), &tally, &audit("settling", 2));
        assert_eq!(settling, ["the auditor's verdict is settling"]);
        assert_eq!(failures(&plan(), &tally, &audit("ok", 1)), ["2 claims were granted, but 1 are live"]);
        assert!(failures(&plan(), &tally, &audit("ok", 3))[0].contains("someone else"));
        let silent = Audit { counts: None, settled: None, trouble: Some("404 not_found".into()) };
        let mut wrong = audit("ok", 2);
        wrong.counts.iter_mut().for_each(|counts| (counts.left, counts.doubled) = (1, 1));
        assert_eq!(
            failures(&plan(), &tally, &wrong),
            [
                "the auditor's verdict is ok, but it counts 1 wrong claims",
                "1 left and 2 live claims are not the stock of 2"
            ]
        );
        assert_eq!(failures(&plan(), &tally, &silent), ["the auditor gave no counts: 404 not_found"]);
    }
}

//! The ledger finds each kind of broken promise, and no other.

use serde_json::json;

use super::*;

fn ledger() -> Ledger {
    Ledger::new("C".into(), 2, 1, false)
}

fn attempt(user: usize, number: u64) -> Attempt {
    Attempt { user, number, has_key: true }
}

fn body(user: usize, number: u64) -> Value {
    json!({"claim_id": format!("C.1.{number}"), "campaign_id": "C", "user_id": name_of(user), "number": number,
        "coupon_code": format!("code-{number}"), "state": "live"})
}

fn row(user: &str, number: u64) -> Row {
    Row { generation: 1, number, user: user.into(), attempt: number.to_string(), is_claimed: true, ..Row::default() }
}

fn kinds(wrong: &[(&'static str, String)]) -> Vec<&'static str> {
    wrong.iter().map(|(kind, _)| *kind).collect()
}

/// Two users have one unit each.
fn sold() -> Ledger {
    let ledger = ledger();
    for user in [1, 2] {
        ledger.ask(attempt(user, 7));
        ledger.granted(attempt(user, 7), false, &body(user, user as u64)).unwrap();
    }
    ledger
}

#[test]
fn promises_that_are_rows_are_right() {
    assert_eq!(kinds(&sold().judge(&[row("good-1", 1), row("good-2", 2)])), Vec::<&str>::new());
}

#[test]
fn a_promise_without_its_row_and_a_row_without_its_promise_are_wrong() {
    assert_eq!(kinds(&sold().judge(&[row("good-1", 1)])), ["rows: promised and not issued"]);
    let one_more = [row("good-1", 1), row("good-2", 2), row("good-3", 3)];
    assert_eq!(kinds(&sold().judge(&one_more)), ["rows: issued to nobody", "rows: oversold"]);
    let anothers = [row("good-2", 1), row("good-2", 2)];
    let found = sold().judge(&anothers);
    let found = kinds(&found);
    assert!(found.contains(&"rows: promised and not issued") && found.contains(&"rows: more than the limit"));
}

#[test]
fn whoever_heard_nothing_may_have_a_row_or_none() {
    for rows in [&[row("good-1", 1)][..], &[]] {
        let ledger = ledger();
        ledger.ask(attempt(1, 7));
        assert_eq!(kinds(&ledger.judge(rows)), Vec::<&str>::new());
    }
    let ledger = ledger();
    ledger.ask(attempt(1, 7));
    ledger.refused(attempt(1, 7));
    assert_eq!(kinds(&ledger.judge(&[row("good-1", 1)])), ["rows: issued to nobody"], "a refusal is an answer");
    assert_eq!(kinds(&self::ledger().judge(&[row("absent-1", 1)])), Vec::<&str>::new(), "nobody reads its answers");
}

#[test]
fn a_unit_twice_and_one_more_than_there_are_are_seen_at_once() {
    let ledger = sold();
    assert_eq!(ledger.granted(attempt(3, 1), false, &body(3, 2)).unwrap_err().0, "claim: a unit sold twice");
    let ledger = sold();
    assert_eq!(ledger.granted(attempt(3, 1), false, &body(3, 3)).unwrap_err().0, "claim: oversold");
    let ledger = sold();
    ledger.ask_back(attempt(1, 7));
    ledger.granted(attempt(3, 1), false, &body(3, 3)).expect("one was given back");
}

#[test]
fn a_key_has_one_answer_and_repeats_say_that_they_are() {
    let (ledger, first) = (sold(), attempt(1, 7));
    ledger.granted(first, true, &body(1, 1)).unwrap();
    assert_eq!(ledger.granted(first, false, &body(1, 1)).unwrap_err().0, "claim: a replay that does not say so");
    assert_eq!(ledger.granted(first, true, &body(1, 5)).unwrap_err().0, "claim: two answers to a key");
    ledger.ask_back(first);
    ledger.given_back(first);
    assert_eq!(ledger.granted(first, true, &body(1, 1)).unwrap_err().0, "claim: a replay with another state");
}

#[test]
fn only_who_holds_the_limit_may_be_told_so() {
    let ledger = sold();
    assert!(ledger.may_hold_limit(1, attempt(1, 8)));
    assert!(!ledger.may_hold_limit(3, attempt(3, 1)));
    ledger.ask_back(attempt(1, 7));
    ledger.given_back(attempt(1, 7));
    assert!(!ledger.may_hold_limit(1, attempt(1, 8)));
    ledger.ask(attempt(1, 8));
    assert!(!ledger.may_hold_limit(1, attempt(1, 8)), "its own question is no unit");
    assert!(ledger.may_hold_limit(1, attempt(1, 9)), "one that was not answered may be");
}

#[test]
fn sold_out_while_units_are_left_is_wrong() {
    let ledger = ledger();
    ledger.was_sold_out();
    assert_eq!(kinds(&ledger.judge(&[row("absent-1", 1)])), ["rows: wrongly sold out"]);
}

#[test]
fn what_was_given_back_is_so_in_the_rows() {
    let ledger = sold();
    ledger.ask_back(attempt(1, 7));
    ledger.given_back(attempt(1, 7));
    assert_eq!(kinds(&ledger.judge(&[row("good-1", 1), row("good-2", 2)])), ["rows: a give-back that is not so"]);
    let back = Row { is_given_back: true, ..row("good-1", 1) };
    assert_eq!(kinds(&sold().judge(&[back, row("good-2", 2)])), ["rows: a give-back that is not so"], "nobody asked");
}

//! An oracle that finds nothing proves nothing: each contradiction, and what looks like one and is none.

use serde_json::json;
use testkit::client::Answer;

use super::*;
use crate::request::Edit;

fn event(user: &str, asked: Asked, sent: u64, answer: Option<Answer>) -> Event {
    let (sent, heard) = (Duration::from_millis(sent), Duration::from_millis(sent + 10));
    Event { campaign: String::new(), user: user.into(), asked, node: 0, sent, heard, answer }
}

#[expect(clippy::unnecessary_wraps, reason = "an event may be without an answer")]
fn answer(status: u16, body: serde_json::Value) -> Option<Answer> {
    Some(Answer { status, replayed: false, body })
}

fn claim(user: &str, key: Option<&str>, sent: u64, answer: Option<Answer>) -> Event {
    event(user, Asked::Claim { key: key.map(str::to_owned) }, sent, answer)
}

fn yes(user: &str, number: u64) -> Option<Answer> {
    let coupon = format!("coupon-{number}");
    answer(201, json!({"claim_id": format!("C.1.{number}"), "user_id": user, "coupon_code": coupon}))
}

fn no(status: u16, code: &str) -> Option<Answer> {
    answer(status, json!({ "code": code }))
}

fn row(user: &str, number: u64) -> Row {
    Row {
        generation: 1,
        number,
        user: user.into(),
        attempt: format!("of-{number}"),
        is_claimed: true,
        ..Row::default()
    }
}

/// Ann and Bob have one unit each, of three.
fn good() -> Evidence {
    let events = vec![claim("ann", Some("k"), 0, yes("ann", 1)), claim("bob", None, 20, yes("bob", 2))];
    let rows = vec![row("ann", 1), row("bob", 2)];
    Evidence { limit: 1, stock: 3, events, rows, stock_at_last: 3, ..Evidence::default() }
}

#[track_caller]
fn contradicts(change: impl FnOnce(&mut Evidence), expected: &str) {
    let mut evidence = good();
    change(&mut evidence);
    let wrong = judge(&evidence);
    assert!(wrong.iter().any(|wrong| wrong.contains(expected)), "{wrong:?}");
}

#[track_caller]
fn is_fine(change: impl FnOnce(&mut Evidence)) {
    let mut evidence = good();
    change(&mut evidence);
    assert_eq!(judge(&evidence), [""; 0]);
}

#[test]
fn a_promise_is_one_row_of_its_user() {
    is_fine(|_| {});
    contradicts(|e| drop(e.rows.pop()), "invariant 6: promised and not issued: bob");
    contradicts(|e| e.rows[1].user = "eve".into(), "it is eve's");
    contradicts(|e| e.rows[1].is_claimed = false, "invariant 6: the row of (1, 2) knows no claim");
    contradicts(|e| e.rows.push(row("bob", 2)), "invariant 3: doubled");
    contradicts(|e| e.rows[1].number = 4, "invariant 3: the numbers go up to 4");
    contradicts(|e| e.set_aside = 1, "invariant 7: 1 facts contradict others");
}

#[test]
fn a_number_is_given_once_and_a_key_has_one_number() {
    contradicts(
        |e| e.events.push(claim("eve", None, 30, yes("eve", 2))),
        "invariant 3: number (1, 2) was given to bob and to eve",
    );
    contradicts(
        |e| e.events.push(claim("bob", None, 30, yes("bob", 2))),
        "invariant 3: number (1, 2) was given to bob and to bob",
    );
    contradicts(
        |e| e.events.push(claim("ann", Some("k"), 30, yes("ann", 3))),
        "invariant 5: ann was given (1, 1) and (1, 3) for the same key k",
    );
    contradicts(
        |e| e.events.push(claim("ann", Some("k"), 30, yes("ann", 1))),
        "invariant 5: two answers to the key k of ann were no replay",
    );
    is_fine(|e| {
        let again = yes("ann", 1).map(|answer| Answer { replayed: true, ..answer });
        e.events.push(claim("ann", Some("k"), 30, again));
    });
    contradicts(|e| (e.rows[0].user, e.rows[0].attempt) = ("bob".into(), "of-2".into()), "invariant 4: doubled");
}

#[test]
fn a_row_that_nobody_was_told_of_needs_an_unknown_outcome() {
    contradicts(
        |e| e.rows.push(row("eve", 3)),
        "invariant 6: doubled: eve has 1 rows, was promised 0, and 0 outcomes are unknown",
    );
    is_fine(|e| {
        e.rows.push(row("eve", 3));
        e.events.push(claim("eve", None, 30, None));
    });
    // What was resent under another attempt's id: one answer, two rows.
    contradicts(
        |e| {
            e.limit = 2;
            e.rows.push(row("bob", 3));
        },
        "invariant 6: doubled: bob has 2 rows",
    );
}

#[test]
fn stock_and_limit_hold_at_the_end_and_at_every_moment() {
    contradicts(|e| (e.stock, e.stock_at_last) = (1, 1), "invariant 1: oversold: 2 live rows of 1");
    contradicts(|e| e.stock = 1, "invariant 1: oversold at");
    contradicts(
        |e| {
            e.rows.push(row("bob", 3));
            e.events.push(claim("bob", None, 40, yes("bob", 3)));
        },
        "invariant 4: bob held 2 units",
    );
    contradicts(
        |e| e.events.push(event("op", Asked::Raise { stock: 9 }, 40, no(200, ""))),
        "operators: the stock is 3, confirmed were 9",
    );
}

#[test]
fn a_give_back_and_a_redemption_that_were_confirmed_are_so() {
    let back = |status| event("bob", Asked::GiveBack { claim: "C.1.2".into() }, 50, no(status, "unavailable"));
    let used = |sent| {
        let asked = Asked::Redeem { claim: "C.1.2".into(), coupon: "coupon-2".into() };
        event("bob", asked, sent, no(200, ""))
    };
    contradicts(|e| e.events.push(back(200)), "was confirmed, and its row is live");
    is_fine(|e| e.events.push(back(503)));
    contradicts(|e| e.rows[1].is_given_back = true, "nobody asked for that");
    contradicts(|e| e.events.push(used(50)), "its row does not know");
    contradicts(|e| e.rows[1].is_redeemed = true, "asked for 0 times");
    contradicts(|e| e.events.extend([used(50), used(60)]), "was used 2 times");
}

#[test]
fn sold_out_is_wrong_only_if_a_unit_was_certainly_free_all_the_time() {
    let sold_out = |sent| claim("eve", None, sent, no(409, "sold_out"));
    contradicts(|e| e.events.push(sold_out(500)), "invariant 2: wrong refusal");
    is_fine(|e| {
        // Somebody may have held the third one, and given it back since: nobody knows when.
        e.rows.push(row("dan", 3));
        e.events.push(claim("dan", None, 30, None));
        e.events.push(sold_out(500));
    });
    let raised = |e: &mut Evidence, at| {
        (e.stock, e.stock_at_last) = (2, 3);
        e.events.push(event("op", Asked::Raise { stock: 3 }, at, no(200, "")));
        e.events.push(sold_out(500));
    };
    is_fine(|e| raised(e, 480));
    contradicts(|e| raised(e, 100), "wrong refusal");
}

#[test]
fn limit_reached_is_wrong_only_if_the_user_cannot_have_held_so_many() {
    let refused = |user, sent| claim(user, None, sent, no(409, "limit_reached"));
    is_fine(|e| e.events.push(refused("ann", 40)));
    contradicts(|e| e.events.push(refused("eve", 40)), "invariant 4: wrong refusal");
    is_fine(|e| {
        e.rows.push(row("eve", 3));
        e.events.extend([claim("eve", None, 30, None), refused("eve", 60)]);
    });
    contradicts(|e| e.events.push(claim("eve", None, 40, no(500, "internal"))), "wrong refusal");
}

mod losses;
mod operators;
mod room;

#[test]
fn paused_and_closed_are_wrong_only_if_no_operator_asked_for_it() {
    let edit = |edit, sent| event("op", Asked::Edit(edit), sent, None);
    contradicts(|e| e.events.push(claim("eve", None, 40, no(409, "paused"))), "invariant 2: wrong refusal");
    is_fine(|e| e.events.extend([edit(Edit::Pause, 30), claim("eve", None, 40, no(409, "paused"))]));
    contradicts(
        |e| e.events.extend([edit(Edit::Pause, 30), claim("eve", None, 40, no(410, "closed"))]),
        "invariant 2: wrong refusal",
    );
    is_fine(|e| e.events.extend([edit(Edit::Close, 30), claim("eve", None, 40, no(410, "closed"))]));
}

#[test]
fn a_read_without_an_answer_is_excused_only_where_its_node_could_not_give_one() {
    contradicts(|e| e.events.push(event("eve", Asked::List, 40, None)), "invariant 10: a read was sent at 40ms");
    let disturbed = |node, from| {
        let (from, until) = (Duration::from_millis(from), Duration::from_millis(from + 10));
        Disturbed { node, from, until }
    };
    is_fine(|e| {
        e.events.push(event("eve", Asked::List, 40, None));
        e.disturbed.push(disturbed(0, 45));
    });
    for elsewhere in [disturbed(1, 45), disturbed(0, 60)] {
        let wrong = |e: &mut Evidence| {
            e.events.push(event("eve", Asked::List, 40, None));
            e.disturbed.push(elsewhere);
        };
        contradicts(wrong, "invariant 10");
    }
}

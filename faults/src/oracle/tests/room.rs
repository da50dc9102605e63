//! A waiting room admits within its cap and pace, and a good pass is a good pass.

use super::*;

fn says(user: &str, joins: bool, sent: u64, state: &str) -> Event {
    event(user, if joins { Asked::Join } else { Asked::Status }, sent, answer(200, json!({ "state": state })))
}

fn claims(user: &str, sent: u64, with: Option<Answer>) -> Event {
    event(user, Asked::ClaimWithPass { key: user.into(), pass: "p".into() }, sent, with)
}

/// Nobody has a unit yet.
fn empty(e: &mut Evidence) {
    e.events.clear();
    e.rows.clear();
}

#[test]
fn more_inside_than_the_cap_are_found() {
    let two_inside = |e: &mut Evidence, cap| {
        empty(e);
        e.room = Some((10, 1_000, cap));
        e.events = vec![says("ann", true, 0, "admitted"), says("bob", true, 20, "admitted")];
    };
    is_fine(|e| two_inside(e, 2));
    contradicts(|e| two_inside(e, 1), "invariant 9: 2 visitors are inside at 30ms, the cap is 1");
    // One who claims may have left by then.
    is_fine(|e| {
        two_inside(e, 1);
        e.events.insert(1, claims("ann", 15, None));
    });
}

#[test]
fn more_admitted_in_a_window_than_the_pace_are_found() {
    let admitted = |e: &mut Evidence, pace, second| {
        empty(e);
        e.room = Some((pace, 1_500, 10));
        let joins = |user| says(user, true, 0, "waiting");
        e.events = vec![
            joins("ann"),
            joins("bob"),
            says("ann", false, 1_100, "waiting"),
            says("ann", false, 1_200, "admitted"),
        ];
        e.events.extend([says("bob", false, second - 100, "waiting"), says("bob", false, second, "admitted")]);
    };
    is_fine(|e| admitted(e, 2, 1_300));
    contradicts(|e| admitted(e, 1, 1_300), "invariant 9: 2 were admitted within 1.5s from 100ms on, the pace is 1");
    is_fine(|e| admitted(e, 1, 1_900));
    // Who joins again has the place of before, and may have been admitted at any time since.
    is_fine(|e| {
        admitted(e, 1, 1_300);
        e.events.truncate(2);
        e.events.extend(["ann", "bob"].map(|user| says(user, true, 1_600, "admitted")));
    });
}

#[test]
fn a_good_pass_that_is_refused_is_found() {
    let refused = |e: &mut Evidence| {
        empty(e);
        e.events = vec![says("ann", true, 0, "admitted"), claims("ann", 40, no(403, "pass_required"))];
    };
    contradicts(refused, "invariant 9: wrong refusal");
    // All passes end when nothing is left.
    is_fine(|e| {
        let good = super::good();
        refused(e);
        e.events.extend(good.events);
        (e.rows, e.stock, e.stock_at_last) = (good.rows, 2, 2);
        e.limit = 2;
        e.events.retain(|event| event.user != "ann" || event.code() == "pass_required" || event.claim().is_some());
    });
}

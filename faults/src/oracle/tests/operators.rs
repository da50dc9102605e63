//! What operators were told is known to every node, and what nobody lost is open.

use super::super::operators::*;
use super::*;

/// One campaign, known to two nodes.
fn good() -> (End, Vec<Event>) {
    let definition = Definition { name: "New".into(), stock: 3, paused: false, closed: false };
    let view = |node| View { node, status: 200, name: "New".into(), stock: 3, state: "open".into() };
    let end = End {
        definitions: [("C".to_owned(), definition)].into(),
        views: [("C".to_owned(), vec![view(0), view(1)])].into(),
        busiest_second: 5,
        rows_per_second_max: 5,
        lost: false,
    };
    (end, vec![edit(Edit::Rename { name: "New".into() }, 10, 200)])
}

fn edit(edit: Edit, sent: u64, status: u16) -> Event {
    let answer = (status > 0).then(|| answer(status, json!({}))).flatten();
    Event { campaign: "C".into(), ..event("the operator", Asked::Edit(edit), sent, answer) }
}

fn wrong(change: impl FnOnce(&mut End, &mut Vec<Event>)) -> Vec<String> {
    let (mut end, mut events) = good();
    change(&mut end, &mut events);
    judge_operators(&end, &events)
}

#[track_caller]
fn contradicts(change: impl FnOnce(&mut End, &mut Vec<Event>), expected: &str) {
    let wrong = wrong(change);
    assert!(wrong.iter().any(|wrong| wrong.contains(expected)), "{wrong:?}");
}

fn view(end: &mut End) -> &mut View {
    &mut end.views.get_mut("C").unwrap()[1]
}

fn row(end: &mut End) -> &mut Definition {
    end.definitions.get_mut("C").unwrap()
}

#[test]
fn a_change_that_one_node_does_not_know_is_found() {
    assert_eq!(wrong(|_, _| {}), [""; 0]);
    contradicts(|end, _| view(end).name = "Old".into(), "operators: a change of C is unknown");
    contradicts(|end, _| view(end).stock = 2, "operators: a change of C is unknown");
    contradicts(|end, _| view(end).state = "paused".into(), "operators: a change of C is unknown");
    contradicts(|end, _| view(end).status = 404, "operators: node 1 does not know that C was made");
    assert_eq!(wrong(|end, _| view(end).state = "sold_out".into()), [""; 0]);
}

#[test]
fn a_campaign_that_nobody_lost_is_open() {
    contradicts(|end, _| view(end).status = 503, "open again: C is not, although nobody lost it");
    contradicts(|end, _| view(end).state = "unavailable".into(), "open again: C is not, although nobody lost it");
    contradicts(
        |end, _| {
            view(end).status = 503;
            end.lost = true;
        },
        "open again: C is not, although it was rebuilt",
    );
}

#[test]
fn a_change_that_was_confirmed_is_in_the_row_unless_another_took_its_place() {
    let renamed = |end: &mut End| {
        row(end).name = "Other".into();
        end.views.clear();
    };
    contradicts(|end, _| renamed(end), "operators: C is");
    for status in [0, 200] {
        let again = |end: &mut End, events: &mut Vec<Event>| {
            renamed(end);
            events.push(edit(Edit::Rename { name: "Other".into() }, 20, status));
        };
        assert_eq!(wrong(again), [""; 0]);
    }
    contradicts(|_, events| events.push(edit(Edit::Close, 20, 200)), "closed may be");
    contradicts(|_, events| events.push(edit(Edit::Pause, 20, 200)), "paused may be");
    assert_eq!(wrong(|_, events| events.extend([edit(Edit::Pause, 20, 200), edit(Edit::Resume, 30, 0)])), [""; 0]);
}

#[test]
fn a_second_with_too_many_rows_is_found() {
    contradicts(
        |end, _| end.busiest_second = 6,
        "invariant 8: the database received 6 facts in a second, 5 are the most",
    );
}

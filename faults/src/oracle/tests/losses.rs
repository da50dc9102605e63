//! Redis forgets: what was acknowledged is kept, what a living node knows is not sold again, the rest may be.

use super::*;

/// Redis dies at 100 ms and is back at 200; Kafka had Ann's claim and not Bob's.
fn forgets(e: &mut Evidence) {
    let ms = Duration::from_millis;
    let claimed = [((1, 1), "ann".to_owned())].into();
    e.losses.push(Loss { at: ms(100), back_at: ms(200), rebuilt_at: ms(300), claimed, ..Loss::default() });
}

fn forgot_bob(e: &mut Evidence) {
    forgets(e);
    e.rows.pop();
}

fn out_of_reach(from: u64) -> Disturbed {
    Disturbed { node: 0, from: Duration::from_millis(from), until: Duration::from_millis(from + 100) }
}

#[test]
fn what_kafka_had_not_acknowledged_may_be_lost_and_nothing_else() {
    is_fine(forgot_bob);
    contradicts(
        |e| {
            forgot_bob(e);
            e.rows.clear();
        },
        "invariant 7: Kafka had (1, 1) as ann's",
    );
    // Told after Redis was back: it is kept.
    contradicts(
        |e| {
            forgets(e);
            e.events.push(claim("eve", None, 210, yes("eve", 3)));
        },
        "invariant 6: promised and not issued: eve",
    );
}

#[test]
fn a_unit_that_kafka_had_is_not_sold_again() {
    contradicts(
        |e| {
            forgot_bob(e);
            e.events.remove(0);
            e.events.push(claim("eve", None, 210, yes("eve", 1)));
        },
        "invariant 1: unit (1, 1) was sold twice: Kafka had it as ann's",
    );
}

#[test]
fn a_unit_that_a_living_node_told_of_is_not_sold_again() {
    let sold_again = |e: &mut Evidence| {
        forgets(e);
        e.rows[1] = row("eve", 2);
        e.events.push(claim("eve", None, 210, yes("eve", 2)));
    };
    contradicts(sold_again, "invariant 1: unit (1, 2) was sold twice: bob was told 201");
    // The one node that told of it was away when Redis came back.
    is_fine(|e| {
        sold_again(e);
        e.disturbed.push(out_of_reach(150));
    });
    contradicts(
        |e| {
            sold_again(e);
            e.disturbed.push(out_of_reach(400));
        },
        "invariant 1: unit (1, 2) was sold twice: bob was told 201",
    );
}

#[test]
fn what_lasts_is_counted_against_the_stock() {
    let next = |user: &str, number: u64| {
        let coupon = format!("again-{number}");
        answer(201, json!({"claim_id": format!("C.2.{number}"), "user_id": user, "coupon_code": coupon}))
    };
    let sold = |e: &mut Evidence, stock| {
        forgot_bob(e);
        (e.stock, e.stock_at_last) = (stock, stock);
        for (user, number) in [("eve", 3), ("dan", 4)] {
            e.events.push(claim(user, None, 310, next(user, number)));
            e.rows.push(Row { generation: 2, ..row(user, number) });
        }
    };
    is_fine(|e| sold(e, 3));
    contradicts(|e| sold(e, 2), "invariant 1: oversold at 320ms: clients held 3 of at most 2 units");
}

#[test]
fn a_give_back_that_kafka_had_stays_one() {
    let given_back = |e: &mut Evidence| {
        forgets(e);
        e.events.push(event("ann", Asked::GiveBack { claim: "C.1.1".into() }, 40, no(200, "")));
    };
    is_fine(given_back);
    contradicts(
        |e| {
            given_back(e);
            e.losses[0].ended.insert((1, 1));
        },
        "invariant 6: the give-back of (1, 1) was confirmed",
    );
}

#[test]
fn rebuilds_that_are_killed_burn_no_generations() {
    let used = |e: &mut Evidence, last| e.generations = Generations { last, finished: 1, killed: 3 };
    is_fine(|e| used(e, 3));
    contradicts(|e| used(e, 5), "invariant 3: rebuilds that fail burn generations");
}

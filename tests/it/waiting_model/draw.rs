//! A draw: who joins before the opening has a number, but a place only once it was drawn.

use super::Dice;
use super::room::{DRAWING, EXPIRED, INSIDE, OPENS_AT, Room, Terms, WAITS, people};

/// A draw that has not opened.
async fn before_the_opening(spec: Terms) -> Room {
    let mut room = Room::open(Terms { is_draw: true, ..spec }).await;
    room.now = OPENS_AT - 60_000;
    room
}

/// The users who are inside, of these, in the order of their names' numbers.
async fn inside(room: &mut Room, users: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for user in users {
        if room.look(user).await.0 == INSIDE {
            found.push(user.clone());
        }
    }
    found
}

#[tokio::test]
async fn a_draw_admits_in_the_drawn_order_and_later_ones_behind() {
    let mut room = before_the_opening(Terms { admit: 3, every_ms: 1_000, ..Terms::default() }).await;
    let joined = room.join(&people(1..=8)).await;
    assert_eq!((joined.code.as_str(), joined.admitted), ("ok", 0));
    assert_eq!(joined.users.iter().map(|user| (user.0, user.1)).collect::<Vec<_>>()[6..], [(WAITS, 7), (WAITS, 8)]);
    // Two leave; one of them joins again, and has the number of before: the list grows by nobody.
    for user in ["u3", "u5"] {
        assert_eq!(room.leave(user, (0, 0)).await.0, "ok");
    }
    assert_eq!(room.join_one("u3").await, (WAITS, 3, 6));
    assert_eq!(room.close_list().await, None, "not before the opening");
    assert_eq!(room.admit().await.entered, 0);

    room.now = OPENS_AT;
    assert_eq!(room.admit().await.entered, 0, "nobody enters before the draw is known");
    assert_eq!(room.close_list().await, Some((8, false)));
    assert_eq!(room.close_list().await, Some((8, false)));
    assert_eq!(room.join_one("late").await, (WAITS, 9, 7));
    assert_eq!(room.admit().await.entered, 0);
    // While it is drawn, the list stays as it is.
    assert_eq!(room.leave("u1", (0, 0)).await.0, "drawing");
    assert_eq!(room.let_in("u1", (0, 0)).await, "drawing");
    assert_eq!(room.join_one("u5").await, (DRAWING, 0, 0));
    assert_eq!(room.join_one("u1").await, (WAITS, 1, -1));
    assert_eq!(room.leave("late", (0, 0)).await.0, "ok");
    assert_eq!(room.join_one("late").await, (WAITS, 10, 7));

    // Numbers by place. Nobody has 5 any more; its place is 5.
    let drawn = [8, 1, 3, 7, 5, 2, 6, 4];
    assert_eq!(room.publish_draw("", &[5]).await, "ok");
    assert_eq!(room.admit_drawn(1, &drawn).await.entered, 0, "it is not published yet");
    assert_eq!(room.publish_draw("hash", &[5]).await, "ok");
    assert_eq!(room.publish_draw("another", &[1]).await, "unchanged");
    assert_eq!(room.close_list().await, Some((8, true)));
    let snapshot = room.snapshot(-1).await;
    assert_eq!((snapshot.draw_n, snapshot.list_hash.as_str(), snapshot.drawn_at), (8, "hash", OPENS_AT));
    assert_eq!((snapshot.waiting, snapshot.gone, snapshot.departures), (8, vec![5, 9], 2));

    // A call without what was drawn admits nobody, and asks for it.
    let answer = room.admit().await;
    assert_eq!((answer.entered, answer.wanted), (0, 1));
    assert_eq!(room.join_one("u5").await, (WAITS, 11, 8), "who had left queues behind");
    let answer = room.admit_drawn(1, &drawn).await;
    assert_eq!((answer.entered, answer.wanted), (3, 0));
    let users = people(1..=8);
    assert_eq!(inside(&mut room, &users).await, ["u1", "u3", "u8"]);
    assert_eq!(room.snapshot(-1).await.admitted_to, 3);

    // Now they may leave, with the place that was drawn for them: u2 has place 6.
    assert_eq!(room.leave("u2", (0, 0)).await.0, "place_of");
    assert_eq!(room.leave("u2", (2, 6)).await, ("ok".to_owned(), 0, 0));
    assert_eq!(room.look("u2").await, EXPIRED);
    assert_eq!(room.let_in("u4", (0, 0)).await, "place_of");
    assert_eq!(room.let_in("u4", (4, 8)).await, "ok");
    let snapshot = room.snapshot(-1).await;
    assert_eq!((snapshot.waiting, snapshot.left_queue), (4, 4));
    assert_eq!(snapshot.gone, [5, 6, 8, 9]);

    room.now += 1_000;
    let answer = room.admit_drawn(1, &drawn).await;
    assert_eq!((answer.entered, answer.wanted, answer.waiting), (3, 0, 1));
    assert_eq!(inside(&mut room, &users).await, ["u1", "u3", "u4", "u6", "u7", "u8"]);
    assert_eq!(room.look("late").await.0, INSIDE, "the drawn ones are through");
    assert_eq!(room.look("u5").await.0, WAITS);
    // Of late comers nothing is drawn.
    room.now += 1_000;
    assert_eq!(room.admit().await.entered, 1);
    let waits = room.waits().await;
    assert_eq!(waits.values().sum::<i64>(), 7, "all but who was let in: {waits:?}");
}

#[tokio::test]
async fn from_the_opening_on_who_joins_is_not_drawn_whether_the_list_was_closed_or_not() {
    let mut room = before_the_opening(Terms { active_max: 100, ..Terms::default() }).await;
    room.join(&people(1..=4)).await;
    room.now = OPENS_AT;
    // No node has closed the list yet.
    assert_eq!(room.join_one("late").await, (WAITS, 5, 4));
    assert_eq!(room.let_in("guest", (0, 0)).await, "ok");
    assert_eq!(room.close_list().await, Some((4, false)));
    assert_eq!(room.publish_draw("hash", &[]).await, "ok");
    room.admit_drawn(1, &[3, 4, 1, 2]).await;
    assert_eq!(room.snapshot(-1).await.admitted_to, 5);
    assert_eq!(room.look("late").await.0, INSIDE);
}

#[tokio::test]
async fn who_leaves_after_the_opening_leaves_no_gap_in_the_draw() {
    let mut room = before_the_opening(Terms { active_max: 1, ..Terms::default() }).await;
    room.join(&people(1..=4)).await;
    room.now = OPENS_AT;
    assert_eq!(room.leave("u2", (0, 0)).await.0, "ok", "nobody has closed the list");
    assert_eq!(room.close_list().await, Some((4, false)));
    // Number 2 was drawn for place 3.
    assert_eq!(room.publish_draw("hash", &[3]).await, "ok");
    assert_eq!(room.admit_drawn(1, &[4, 3, 2, 1]).await.entered, 1);
    assert_eq!(room.join_one("late").await, (WAITS, 5, 2));
    let snapshot = room.snapshot(-1).await;
    assert_eq!((snapshot.gone, snapshot.waiting), (vec![3], 3));
}

#[tokio::test]
async fn an_empty_draw_lets_later_ones_in_once_it_is_published() {
    let mut room = before_the_opening(Terms { active_max: 2, ..Terms::default() }).await;
    room.now = OPENS_AT;
    assert_eq!(room.close_list().await, Some((0, false)));
    assert_eq!(room.join(&people(1..=3)).await.admitted, 0);
    assert_eq!(room.publish_draw("hash", &[]).await, "ok");
    let answer = room.admit().await;
    assert_eq!((answer.entered, answer.wanted), (2, 0));
}

/// Nodes send pieces of the drawn list from wherever they believe the room to be.
#[tokio::test]
async fn pieces_of_the_drawn_list_that_are_stale_or_early_neither_skip_nor_double_anybody() {
    let spec = Terms { admit: 7, every_ms: 1_000, ..Terms::default() };
    let mut room = before_the_opening(spec).await;
    let mut dice = Dice(4);
    let users = people(1..=200);
    room.join(&users).await;
    let mut left: Vec<i64> = Vec::new();
    for _ in 0..40 {
        let number = dice.roll(200) + 1;
        if !left.contains(&number) {
            room.leave(&format!("u{number}"), (0, 0)).await;
            left.push(number);
        }
    }
    let mut drawn: Vec<i64> = (1..=200).collect();
    for at in (1..200).rev() {
        drawn.swap(at, usize::try_from(dice.roll(i64::try_from(at).unwrap() + 1)).unwrap());
    }
    // Later ones have the place that their number says.
    let place_of = |number: i64| {
        let drawn = (1..).zip(&drawn).find(|(_, drawn)| **drawn == number);
        drawn.map_or(number, |(place, _)| place)
    };
    room.now = OPENS_AT;
    assert_eq!(room.close_list().await, Some((200, false)));
    let vacant: Vec<i64> = left.iter().map(|number| place_of(*number)).collect();
    assert_eq!(room.publish_draw("", &vacant[..10]).await, "ok");
    assert_eq!(room.publish_draw("hash", &vacant[10..]).await, "ok");

    let mut order: Vec<i64> = drawn.iter().copied().filter(|number| !left.contains(number)).collect();
    let (mut entered, mut wanted_heard, mut late) = (Vec::new(), 0, 200);
    for _ in 0..2_000 {
        room.now += dice.roll(300);
        room.node = usize::try_from(dice.roll(3)).unwrap();
        let at = room.snapshot(-1).await.admitted_to;
        let from = (at + 1 + dice.roll(12) - 8).clamp(1, 200);
        let piece = usize::try_from(from - 1).unwrap()..usize::try_from((from + dice.roll(12)).min(200)).unwrap();
        let answer = room.admit_drawn(from, &drawn[piece]).await;
        if answer.wanted > 0 {
            wanted_heard += 1;
            assert_eq!(answer.wanted, room.snapshot(-1).await.admitted_to + 1);
        }
        for _ in 0..answer.entered {
            entered.push(order.remove(0));
        }
        for number in entered.iter().rev().take(usize::try_from(answer.entered).unwrap()) {
            assert_eq!(room.look(&format!("u{number}")).await.0, INSIDE, "number {number}");
        }
        // Now and then somebody leaves the queue or is let in, and their place is passed by.
        if order.len() > 100 && dice.roll(6) == 0 {
            let number = order.remove(usize::try_from(dice.roll(50)).unwrap());
            let (user, drawn) = (format!("u{number}"), (number, place_of(number)));
            if dice.roll(2) == 0 {
                assert_eq!(room.leave(&user, drawn).await.0, "ok");
            } else {
                assert_eq!(room.let_in(&user, drawn).await, "ok");
            }
        }
        // Late comers queue behind all who were drawn.
        if late < 230 && dice.roll(3) == 0 {
            late += 1;
            let ahead = i64::try_from(order.len()).unwrap();
            assert_eq!(room.join_one(&format!("u{late}")).await, (WAITS, late, ahead));
            order.push(late);
        }
        let snapshot = room.snapshot(-1).await;
        assert_eq!(snapshot.waiting, i64::try_from(order.len()).unwrap());
        if order.is_empty() {
            break;
        }
        let next = place_of(order[0]);
        let between = snapshot.gone.iter().filter(|place| **place > snapshot.admitted_to && **place < next).count();
        assert_eq!(next - snapshot.admitted_to - 1, i64::try_from(between).unwrap(), "nobody is ahead of the next");
    }
    assert!(order.is_empty(), "{} still wait", order.len());
    assert_eq!(late, 230);
    assert!(wanted_heard > 10, "pieces were short {wanted_heard} times");
}

/// What a draw costs goes by the people on its list: the places of all other numbers are written as one text, and passed by
/// without a word about each.
#[tokio::test]
async fn a_hundred_thousand_numbers_of_one_who_left_cost_a_draw_two_calls() {
    let mut room = before_the_opening(Terms { active_max: 100, ..Terms::default() }).await;
    room.join(&people(1..=2)).await;
    room.set_number(100_000).await;
    room.join(&people(3..=4)).await;
    room.now = OPENS_AT;
    assert_eq!(room.close_list().await, Some((100_002, false)));
    assert_eq!(room.list(0, 100_002, 3).await, [("u1", 1), ("u2", 2), ("u3", 100_001)].map(|(u, n)| (u.to_owned(), n)));
    assert_eq!(room.list(100_001, 100_002, 3).await, [("u4".to_owned(), 100_002)]);
    // Their places are 7, 64, 50,000 and 100,002; late comers may have left behind them.
    assert_eq!(room.join_one("late").await, (WAITS, 100_003, 4));
    assert_eq!(room.leave("late", (0, 0)).await.0, "ok");
    let mut bits = vec![0xff_u8; 12_500];
    bits[0] = 0x7f;
    for place in [7_usize, 64, 50_000] {
        bits[place / 8] &= !(0x80 >> (place % 8));
    }
    assert_eq!(room.publish_bits("hash", 99_998, &bits, &[100_000, 100_001]).await, "ok");
    let snapshot = room.snapshot(-1).await;
    assert_eq!((snapshot.departures, snapshot.gone.len()), (99_999, 99_999));
    assert_eq!(snapshot.gone.last(), Some(&100_003), "what was written before is not overwritten");
    // One call with four places lets four in.
    let answer = room.admit_pairs(1, 100_002, &[(7, 2), (64, 100_002), (50_000, 1), (100_002, 100_001)]).await;
    assert_eq!((answer.entered, answer.wanted, answer.waiting), (4, 0, 0));
    assert_eq!(room.snapshot(-1).await.admitted_to, 100_002);
}

#[tokio::test]
async fn who_comes_and_goes_before_a_draw_uses_up_no_numbers() {
    let mut room = before_the_opening(Terms { active_max: 100, ..Terms::default() }).await;
    room.join(&people(1..=3)).await;
    for _ in 0..50 {
        assert_eq!(room.leave("u2", (0, 0)).await.0, "ok");
        assert_eq!(room.join_one("u2").await, (WAITS, 2, 2));
    }
    let twice = room.join(&["u4", "u4"].map(str::to_owned)).await;
    assert_eq!(twice.users.iter().map(|user| user.1).collect::<Vec<_>>(), [4, 4]);
    let snapshot = room.snapshot(-1).await;
    assert_eq!((snapshot.number, snapshot.waiting), (4, 4));
    room.now = OPENS_AT;
    assert_eq!(room.close_list().await, Some((4, false)));
}

#[tokio::test]
async fn an_operator_lets_nobody_in_of_a_list_that_is_being_drawn_and_anybody_else() {
    let mut room = before_the_opening(Terms { active_max: 2, ..Terms::default() }).await;
    room.join(&people(1..=3)).await;
    room.leave("u3", (0, 0)).await;
    assert_eq!(room.let_in("u1", (0, 0)).await, "full", "before the opening nobody is inside");
    room.now = OPENS_AT;
    for user in ["u1", "u3"] {
        assert_eq!(room.let_in(user, (0, 0)).await, "drawing", "{user}");
    }
    assert_eq!(room.let_in("guest", (0, 0)).await, "ok");
    assert_eq!(room.close_list().await, Some((3, false)));
    assert_eq!(room.publish_draw("hash", &[2]).await, "ok");
    // u1 has place 3.
    assert_eq!(room.let_in("u1", (1, 3)).await, "ok");
    assert_eq!(room.let_in("u2", (2, 1)).await, "full");
    assert_eq!(room.snapshot(-1).await.gone, [2, 3, 4]);
}

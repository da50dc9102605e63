//! So many in any window of so long, by however many nodes.

use super::room::{Answer, INSIDE, OPENS_AT, Room, SOLD_OUT, Terms, WAITS, people};
use super::{Dice, most_in_a_window};

#[tokio::test]
async fn thirty_units_are_served_to_the_first_thirty_of_a_hundred_in_three_ticks() {
    let mut room = Room::open(Terms { stock: 30, admit: 10, every_ms: 1_000, ..Terms::default() }).await;
    let joined = room.join(&people(1..=100)).await;
    assert_eq!(joined.admitted, 10, "the first may enter on joining");
    for tick in 0..3 {
        room.now = OPENS_AT + tick * 1_000;
        room.admit().await;
        let mut requests = Vec::new();
        for user in tick * 10 + 1..=tick * 10 + 10 {
            let (code, number, _) = room.look(&format!("u{user}")).await;
            assert_eq!((code, number), (INSIDE, user), "at tick {tick}");
            requests.push((format!("u{user}"), format!("a{user}"), number));
        }
        let expected: Vec<Answer> = (tick * 10 + 1..=tick * 10 + 10).map(Answer::Issued).collect();
        assert_eq!(room.claim(&requests).await, expected);
        assert_eq!(room.look(&format!("u{}", tick * 10 + 11)).await.0, WAITS, "nobody more at tick {tick}");
    }
    // The others are told from these two: they wait, and nothing is left.
    let snapshot = room.snapshot(-1).await;
    assert_eq!((snapshot.left, snapshot.waiting, snapshot.inside, snapshot.admitted), (0, 70, 0, 30));
    for later in 0..5 {
        room.now += 1_000;
        assert_eq!(room.admit().await.entered, 0, "nothing is left, {later} ticks later");
    }
    assert_eq!(room.join_one("late").await, (WAITS, 101, 70));
    assert_eq!(room.claim_one("u31", "a", 31).await, SOLD_OUT);

    assert_eq!(room.give_back(7).await, "ok");
    assert_eq!(room.admit().await.entered, 1);
    let (code, number, _) = room.look("u31").await;
    assert_eq!((code, number), (INSIDE, 31), "who waited longest is next");
    assert_eq!(room.claim_one("u31", "b", 31).await, Answer::Issued(31));
    room.now += 1_000;
    assert_eq!(room.admit().await.entered, 0);
}

#[tokio::test]
async fn of_750_every_ten_seconds_each_place_enters_exactly_when_its_turn_is() {
    let mut room = Room::open(Terms { admit: 750, every_ms: 10_000, ..Terms::default() }).await;
    let mut log = Vec::new();
    for first in [1, 501, 1_001, 1_501] {
        log.push((0, room.join(&people(first..=first + 499)).await.admitted));
    }
    // The first moment at which the place had been admitted.
    let mut admitted_at = std::collections::BTreeMap::new();
    for ms in (0..=30_000).step_by(100) {
        room.now = OPENS_AT + ms;
        room.node = usize::try_from(ms / 100 % 3).unwrap();
        log.push((ms, room.admit().await.entered));
        let to = room.snapshot(-1).await.admitted_to;
        for place in [1, 750, 751, 1_200, 1_500, 1_501, 2_000].into_iter().filter(|place| *place <= to) {
            admitted_at.entry(place).or_insert(ms);
        }
    }
    let expected =
        [(1, 0), (750, 0), (751, 10_000), (1_200, 10_000), (1_500, 10_000), (1_501, 20_000), (2_000, 20_000)];
    assert_eq!(admitted_at.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(most_in_a_window(&log, 10_000), 750);
    assert_eq!(log.iter().map(|(_, count)| count).sum::<i64>(), 2_000);
}

#[tokio::test]
async fn people_who_drop_in_at_any_moment_never_exceed_the_pace_and_use_all_of_it() {
    let mut room = Room::open(Terms { admit: 20, every_ms: 1_000, ..Terms::default() }).await;
    let (mut dice, mut log, mut next) = (Dice(1), Vec::new(), 1);
    for _ in 0..600 {
        room.now += dice.roll(60);
        room.node = usize::try_from(dice.roll(3)).unwrap();
        if dice.roll(2) == 0 {
            let count = dice.roll(4) + 1;
            log.push((room.now, room.join(&people(next..=next + count - 1)).await.admitted));
            next += count;
        } else {
            log.push((room.now, room.admit().await.entered));
        }
    }
    assert_eq!(most_in_a_window(&log, 1_000), 20);
    // More came than may enter: no window of the second half was left unused by more than its last calls.
    let waiting = room.snapshot(-1).await.waiting;
    assert!(waiting > 0, "the test brings more than the pace lets in");
    for second in 10..17 {
        let from = OPENS_AT + second * 1_000;
        let count: i64 = log.iter().filter(|(at, _)| *at >= from && *at < from + 1_100).map(|(_, count)| count).sum();
        assert!(count >= 20, "{count} in second {second}");
    }
}

#[tokio::test]
async fn a_hundred_every_five_seconds_stop_at_ten_thousand_inside() {
    let hour = 3_600_000;
    let spec = Terms { admit: 100, every_ms: 5_000, active_max: 10_000, ..Terms::default() };
    let mut room = Room::open(Terms { pass_ttl_ms: hour, claim_pass_within_ms: hour, ..spec }).await;
    let mut log = vec![(room.now, 0)];
    for first in (1..=12_000).step_by(1_000) {
        log[0].1 += room.join(&people(first..=first + 999)).await.admitted;
    }
    for round in 1..=110_i64 {
        room.now = OPENS_AT + round * 5_000;
        let answer = room.admit().await;
        log.push((room.now, answer.entered));
        let expected = ((round + 1) * 100).min(10_000);
        assert_eq!((answer.inside, answer.waiting), (expected, 12_000 - expected));
    }
    // 250 leave at once: of the cap 250 may follow, of the pace 100 in each window.
    for user in people(1..=250) {
        let (code, admitted, _) = room.leave(&user, (0, 0)).await;
        assert_eq!(code, "ok");
        log.push((room.now, admitted));
    }
    let mut inside = Vec::new();
    for step in 0..30 {
        room.now += 500;
        let answer = room.admit().await;
        log.push((room.now, answer.entered));
        if step % 10 == 8 {
            inside.push(answer.inside);
        }
    }
    assert_eq!(inside, [9_850, 9_950, 10_000]);
    assert_eq!(most_in_a_window(&log, 5_000), 100);
    assert_eq!(room.snapshot(-1).await.admitted_to, 10_250);
}

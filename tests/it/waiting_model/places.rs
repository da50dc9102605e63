//! Places: one a user, in the order of arrival, and how many are ahead.

use std::collections::{BTreeMap, BTreeSet};

use super::Dice;
use super::room::{INSIDE, NEVER, NO_PLACE, OPENS_AT, Room, Terms, WAITS, people};

#[tokio::test]
async fn joining_ten_times_gives_one_place() {
    let mut room = Room::open(Terms { active_max: 1, ..Terms::default() }).await;
    room.join(&people(1..=3)).await;
    let again = vec!["me".to_owned(); 10];
    let joined = room.join(&again).await;
    assert_eq!(joined.users[0], (WAITS, 4, 2));
    assert_eq!(joined.users[1..], [(WAITS, 4, -1); 9], "had this place before");
    for node in [1, 2, 0] {
        room.node = node;
        assert_eq!(room.join(&again).await.users, [(WAITS, 4, -1); 10]);
    }
    assert_eq!(room.join_one("other").await, (WAITS, 5, 3));
    let snapshot = room.snapshot(-1).await;
    assert_eq!((snapshot.number, snapshot.waiting, snapshot.inside), (5, 4, 1));
    // Inside it is one pass as well.
    assert_eq!(room.join(&vec!["u1".to_owned(); 10]).await.users, [(INSIDE, 1, OPENS_AT + 600_000); 10]);
}

#[tokio::test]
async fn in_one_batch_who_is_named_twice_enters_once() {
    let mut room = Room::open(Terms { active_max: 5, ..Terms::default() }).await;
    let joined = room.join(&["a", "b", "a", "c", "b"].map(str::to_owned)).await;
    let inside = |number| (INSIDE, number, OPENS_AT + 600_000);
    assert_eq!(joined.users, [inside(1), inside(2), inside(1), inside(3), inside(2)]);
    assert_eq!(joined.admitted, 3);
}

#[tokio::test]
async fn numbers_go_by_the_order_of_the_batch_and_ahead_is_exact_on_joining() {
    let mut room = Room::open(Terms { active_max: 3, ..Terms::default() }).await;
    let batch = ["d", "a", "e", "c", "b"].map(str::to_owned);
    let joined = room.join(&batch).await;
    let numbers: Vec<i64> = joined.users.iter().map(|(_, number, _)| *number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert_eq!(joined.users[3..], [(WAITS, 4, 0), (WAITS, 5, 1)]);
    room.join(&people(1..=4)).await;
    // Of the six who wait, two go; of the three inside, one.
    for user in ["b", "u2", "d"] {
        room.leave(user, (0, 0)).await;
    }
    // "c" has entered; u1, u3 and u4 wait.
    assert_eq!(room.join_one("z").await, (WAITS, 10, 3));
    assert_eq!(room.join_one("u2").await, (WAITS, 11, 4), "who left queues at the end");
    assert_eq!(room.snapshot(-1).await.left_queue, 2);
}

#[tokio::test]
async fn when_no_place_is_left_who_has_one_keeps_it() {
    let mut room = Room::open(Terms { active_max: 1, ..Terms::default() }).await;
    room.limits.places = 3;
    let joined = room.join(&people(1..=5)).await;
    assert_eq!(joined.users[2..], [(WAITS, 3, 1), (NO_PLACE, 0, 0), (NO_PLACE, 0, 0)]);
    assert_eq!(room.look("u4").await, NEVER);
    assert_eq!(room.join_one("u3").await, (WAITS, 3, -1));
    room.leave("u3", (0, 0)).await;
    assert_eq!(room.join_one("u3").await, (WAITS, 4, 1), "a place of their own is kept for who was here");
}

/// What every node tells visitors comes from `snapshot` alone: the true count, however many have left or were let in.
#[tokio::test]
async fn ahead_by_number_and_departures_is_the_true_count() {
    let mut room = Room::open(Terms { admit: 2, every_ms: 1_000, active_max: 60, ..Terms::default() }).await;
    let mut dice = Dice(3);
    let mut waiting: BTreeMap<i64, String> = BTreeMap::new();
    let (mut came, mut gone, mut departures) = (0, BTreeSet::new(), 0);
    for round in 0..400 {
        room.now += dice.roll(500);
        match dice.roll(6) {
            0..=2 => {
                let count = dice.roll(8) + 1;
                let users = people(came + 1..=came + count);
                came += count;
                for (user, (_, number, _)) in users.iter().zip(room.join(&users).await.users) {
                    waiting.insert(number, user.clone());
                }
            }
            3 | 4 => {
                let numbers: Vec<i64> = waiting.keys().copied().collect();
                if let Some(number) = dice.pick(&numbers) {
                    room.leave(&waiting[&number], (0, 0)).await;
                    waiting.remove(&number);
                }
            }
            _ => {
                let numbers: Vec<i64> = waiting.keys().copied().collect();
                if let Some(number) = dice.pick(&numbers)
                    && room.let_in(&waiting[&number], (0, 0)).await == "ok"
                {
                    waiting.remove(&number);
                }
                room.admit().await;
            }
        }
        room.admit().await;
        // A node asks for what it does not know; now and then it begins anew.
        if round % 50 == 0 {
            (gone, departures) = (BTreeSet::new(), -1);
        }
        let snapshot = room.snapshot(departures).await;
        departures = snapshot.departures;
        gone.extend(snapshot.gone);
        waiting.retain(|number, _| *number > snapshot.admitted_to);
        assert_eq!(snapshot.waiting, i64::try_from(waiting.len()).unwrap());
        assert_eq!(snapshot.number, came);
        for (ahead, number) in waiting.keys().enumerate() {
            let between = gone.range(snapshot.admitted_to + 1..*number).count();
            let told = number - snapshot.admitted_to - 1 - i64::try_from(between).unwrap();
            assert_eq!(told, i64::try_from(ahead).unwrap(), "place {number} in round {round}");
        }
    }
    assert!(departures > 60 && waiting.len() > 60, "{departures} left, {} wait", waiting.len());
    let same = room.snapshot(departures).await;
    assert!(same.gone.is_empty(), "what a node knows is not sent again");
}

#[tokio::test]
async fn how_long_people_waited_is_counted_to_the_second() {
    let mut room = Room::open(Terms { admit: 10, every_ms: 1_000, ..Terms::default() }).await;
    room.join(&people(1..=25)).await;
    room.now += 1_000;
    room.admit().await;
    room.join(&people(26..=40)).await;
    room.now = OPENS_AT + 2_000;
    room.admit().await;
    room.now = OPENS_AT + 66_000;
    room.admit().await;
    // 1 to 10 at once, 11 to 20 after a second, 21 to 25 after two and 26 to 30 after one, 31 to 40 after 65.
    assert_eq!(room.waits().await, BTreeMap::from([(0, 10), (1, 15), (2, 5), (60, 10)]));
    assert_eq!(room.waits().await.values().sum::<i64>(), room.snapshot(-1).await.admitted);
}

//! At most so many inside: the next enters as soon as one leaves, and never more than there are units for.

use std::collections::{BTreeMap, BTreeSet};

use super::Dice;
use super::room::{Answer, INSIDE, OPENS_AT, Room, Terms, WAITS, people};

/// Who waits and who is inside, as the test itself has it.
struct Crowd {
    waiting: BTreeMap<i64, String>,
    inside: BTreeSet<String>,
}

impl Crowd {
    /// So many entered: those who waited longest.
    fn enter(&mut self, count: i64) {
        for _ in 0..count {
            let (_, user) = self.waiting.pop_first().unwrap();
            assert!(self.inside.insert(user));
        }
    }

    fn free(&self) -> i64 {
        let free = 50 - i64::try_from(self.inside.len()).unwrap();
        free.min(i64::try_from(self.waiting.len()).unwrap())
    }
}

#[tokio::test]
async fn of_fifty_inside_the_next_enters_as_soon_as_one_leaves_for_an_hour() {
    let spec = Terms { active_max: 50, limit: 1, pass_ttl_ms: 300_000, ..Terms::default() };
    let mut room = Room::open(spec).await;
    let mut dice = Dice(2);
    let mut crowd = Crowd { waiting: BTreeMap::new(), inside: BTreeSet::new() };
    let (mut came, mut claims, mut ends) = (0, 0, [0; 4]);
    let mut deadlines: BTreeMap<String, i64> = BTreeMap::new();
    while room.now < OPENS_AT + 3_600_000 {
        room.now += dice.roll(4_000);
        // Whose time is over goes; at the same moment the next enter.
        let overdue: Vec<String> = crowd.inside.iter().filter(|user| deadlines[*user] <= room.now).cloned().collect();
        for user in &overdue {
            crowd.inside.remove(user);
            ends[0] += 1;
        }
        let free = crowd.free();
        let before = i64::try_from(overdue.len()).unwrap();
        let answer = room.admit().await;
        assert_eq!((answer.ended, answer.entered), (before, free));
        admit(&mut crowd, &mut deadlines, &room, free);

        let inside: Vec<String> = crowd.inside.iter().cloned().collect();
        match dice.roll(5) {
            0 | 1 => {
                let count = dice.roll(9) + 1;
                for user in people(came + 1..=came + count) {
                    came += 1;
                    let free = crowd.free();
                    let status = room.join_one(&user).await;
                    let number = status.1;
                    crowd.waiting.insert(number, user.clone());
                    let entered = crowd.free();
                    assert!(free == 0 && entered <= 1);
                    admit(&mut crowd, &mut deadlines, &room, entered);
                    if entered == 1 {
                        deadlines.insert(user.clone(), room.now + 300_000);
                        assert_eq!(status, (INSIDE, number, room.now + 300_000));
                    } else {
                        let ahead = i64::try_from(crowd.waiting.len()).unwrap() - 1;
                        assert_eq!(status, (WAITS, number, ahead));
                    }
                }
            }
            2 => {
                if let Some(user) = dice.pick(&inside) {
                    crowd.inside.remove(&user);
                    ends[1] += 1;
                    let free = crowd.free();
                    assert_eq!(room.leave(&user, (0, 0)).await, ("ok".to_owned(), free, 0));
                    admit(&mut crowd, &mut deadlines, &room, free);
                }
                let waiting: Vec<i64> = crowd.waiting.keys().copied().collect();
                if dice.roll(3) == 0
                    && let Some(number) = dice.pick(&waiting)
                {
                    let user = crowd.waiting.remove(&number).unwrap();
                    ends[2] += 1;
                    assert_eq!(room.leave(&user, (0, 0)).await, ("ok".to_owned(), 0, 0));
                }
            }
            3 => {
                if let Some(user) = dice.pick(&inside) {
                    let (code, number, deadline) = room.look(&user).await;
                    assert_eq!(code, INSIDE);
                    claims += 1;
                    ends[3] += 1;
                    assert!(deadline > room.now);
                    assert_eq!(room.claim_one(&user, "a", number).await, Answer::Issued(claims));
                    crowd.inside.remove(&user);
                    let free = crowd.free();
                    assert_eq!(room.admit().await.entered, free);
                    admit(&mut crowd, &mut deadlines, &room, free);
                }
            }
            _ => {
                if let Some(user) = dice.pick(&inside) {
                    let (code, _, deadline) = room.look(&user).await;
                    assert_eq!(code, INSIDE);
                    assert!(deadline == deadlines[&user] || deadline == room.now + 300_000);
                    deadlines.insert(user, deadline);
                }
            }
        }
        let snapshot = room.snapshot(-1).await;
        assert!(snapshot.inside <= 50, "{} inside", snapshot.inside);
        assert_eq!(snapshot.inside, i64::try_from(crowd.inside.len()).unwrap());
        assert_eq!(snapshot.waiting, i64::try_from(crowd.waiting.len()).unwrap());
        // Nobody who still waits was passed by.
        assert!(crowd.waiting.first_key_value().is_none_or(|(first, _)| *first > snapshot.admitted_to));
    }
    assert!(ends.iter().all(|count| *count > 20), "each way out was taken: {ends:?}");
    for user in crowd.inside {
        assert_eq!(room.look(&user).await.0, INSIDE, "{user}");
    }
}

fn admit(crowd: &mut Crowd, deadlines: &mut BTreeMap<String, i64>, room: &Room, count: i64) {
    let next: Vec<String> = crowd.waiting.values().take(usize::try_from(count).unwrap()).cloned().collect();
    crowd.enter(count);
    deadlines.extend(next.into_iter().map(|user| (user, room.now + room.spec.claim_pass_within_ms)));
}

#[tokio::test]
async fn no_more_are_inside_than_there_are_units_and_a_reserve() {
    for reserve in [0, 5] {
        let spec = Terms { stock: 12, active_max: 100, reserve, ..Terms::default() };
        let mut room = Room::open(spec).await;
        assert_eq!(room.join(&people(1..=40)).await.admitted, 12 + reserve);
        // Each claim takes a unit and ends a pass: nobody may follow.
        for user in 1..=6 {
            let (_, number, _) = room.look(&format!("u{user}")).await;
            assert_eq!(room.claim_one(&format!("u{user}"), "a", number).await, Answer::Issued(user));
            assert_eq!(room.admit().await.entered, 0);
        }
        // Who goes without a unit makes room; so does who gives one back.
        assert_eq!(room.leave("u7", (0, 0)).await.1, 1);
        assert_eq!(room.give_back(1).await, "ok");
        let answer = room.admit().await;
        assert_eq!((answer.entered, answer.inside), (1, 7 + reserve));
        let mut inside = 0;
        for user in people(1..=40) {
            inside += i64::from(room.look(&user).await.0 == INSIDE);
        }
        assert_eq!(inside, 7 + reserve);
        // A raise lets as many more in.
        room.put(|spec| spec.stock += 3).await;
        assert_eq!(room.admit().await.entered, 3);
    }
}

#[tokio::test]
async fn with_a_reserve_too_nobody_enters_once_no_unit_is_left() {
    let mut room = Room::open(Terms { stock: 2, active_max: 100, reserve: 5, ..Terms::default() }).await;
    assert_eq!(room.join(&people(1..=20)).await.admitted, 7);
    for user in ["u1", "u2"] {
        let (_, number, _) = room.look(user).await;
        room.claim_one(user, "a", number).await;
    }
    let answer = room.admit().await;
    assert_eq!((answer.entered, answer.inside, answer.waiting), (0, 0, 13));
    assert_eq!(room.let_in("u20", (0, 0)).await, "full");
}

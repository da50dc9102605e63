//! What operators may do while a room runs: let one in, stop and go on, change pace and cap.

use super::most_in_a_window;
use super::room::{Answer, EXPIRED, INSIDE, NEVER, Room, Terms, WAITS, people};

#[tokio::test]
async fn who_is_let_in_enters_beyond_the_pace_and_leaves_the_place() {
    let mut room = Room::open(Terms { admit: 2, every_ms: 10_000, ..Terms::default() }).await;
    room.join(&people(1..=6)).await;
    assert_eq!(room.let_in("u4", (0, 0)).await, "ok");
    assert_eq!(room.let_in("u4", (0, 0)).await, "unchanged");
    assert_eq!(room.look("u4").await, (INSIDE, 4, room.now + 600_000));
    let snapshot = room.snapshot(-1).await;
    assert_eq!((snapshot.waiting, snapshot.inside, snapshot.admitted, snapshot.admitted_to), (3, 3, 3, 2));
    assert_eq!((snapshot.departures, snapshot.in_window), (1, 2));
    assert_eq!(snapshot.gone, [4], "those behind move up");
    assert_eq!(room.join_one("u7").await, (WAITS, 7, 3));
    assert_eq!(room.claim_one("u4", "a", 4).await, Answer::Issued(1), "their pass is as good as any");
    // The pace is not used up by it.
    room.now += 10_000;
    assert_eq!(room.admit().await.entered, 2);
    assert_eq!(room.look("u5").await.0, INSIDE);
    assert_eq!(room.look("u6").await.0, WAITS);
}

#[tokio::test]
async fn who_never_joined_is_let_in_with_a_number_of_their_own() {
    let mut room = Room::open(Terms { admit: 1, every_ms: 10_000, ..Terms::default() }).await;
    room.join(&people(1..=3)).await;
    assert_eq!(room.look("guest").await, NEVER);
    assert_eq!(room.let_in("guest", (0, 0)).await, "ok");
    assert_eq!(room.look("guest").await.0, INSIDE);
    let snapshot = room.snapshot(-1).await;
    assert_eq!((snapshot.number, snapshot.waiting, snapshot.inside, snapshot.admitted), (4, 2, 2, 2));
    assert_eq!(room.join_one("u5").await, (WAITS, 5, 2), "nobody waits at the guest's place");
    assert_eq!(room.snapshot(-1).await.gone, [4]);
    // Who has left is like who never came.
    room.leave("u2", (0, 0)).await;
    assert_eq!(room.let_in("u2", (0, 0)).await, "ok");
    assert_eq!(room.look("u2").await.1, 6);
}

#[tokio::test]
async fn letting_in_stays_below_the_cap_and_the_units() {
    let mut room = Room::open(Terms { active_max: 2, ..Terms::default() }).await;
    room.join(&people(1..=4)).await;
    assert_eq!(room.let_in("u4", (0, 0)).await, "full");
    assert_eq!(room.let_in("guest", (0, 0)).await, "full");
    assert_eq!(room.look("guest").await, NEVER);
    assert_eq!(room.look("u4").await.0, WAITS);
    // A cap that is full of passes whose time is over is not full.
    room.now += 600_000;
    assert_eq!(room.let_in("u4", (0, 0)).await, "ok");
    assert_eq!(room.look("u1").await, EXPIRED);

    let mut room = Room::open(Terms { stock: 2, admit: 1, every_ms: 1_000, reserve: 1, ..Terms::default() }).await;
    room.join(&people(1..=9)).await;
    assert_eq!(room.let_in("u5", (0, 0)).await, "ok");
    assert_eq!(room.let_in("u6", (0, 0)).await, "ok");
    assert_eq!(room.let_in("u7", (0, 0)).await, "full");
    room.put(|spec| spec.paused = true).await;
    room.leave("u5", (0, 0)).await;
    assert_eq!(room.let_in("u7", (0, 0)).await, "full", "nobody enters what is paused");
}

#[tokio::test]
async fn who_is_let_in_again_after_the_pass_was_over_gets_a_new_one() {
    let mut room = Room::open(Terms { active_max: 5, ..Terms::default() }).await;
    room.join(&people(1..=3)).await;
    room.now += 600_000;
    // So few overdue passes may be removed in a call that this user's is still there.
    room.limits.expire = 1;
    assert_eq!(room.let_in("u3", (0, 0)).await, "ok");
    assert_eq!(room.look("u3").await, (INSIDE, 4, room.now + 600_000));
}

#[tokio::test]
async fn a_stopped_room_admits_nobody_until_it_goes_on() {
    let mut room = Room::open(Terms { admit: 3, every_ms: 1_000, active_max: 4, ..Terms::default() }).await;
    room.stop(true).await;
    assert!(room.snapshot(-1).await.is_stopped);
    assert_eq!(room.join(&people(1..=10)).await.admitted, 0);
    room.now += 5_000;
    assert_eq!(room.admit().await.entered, 0);
    assert_eq!(room.let_in("u5", (0, 0)).await, "ok", "the operator still may");
    assert_eq!(room.look("u5").await.0, INSIDE);
    assert_eq!(room.leave("u5", (0, 0)).await.1, 0);
    room.stop(false).await;
    assert!(!room.snapshot(-1).await.is_stopped);
    assert_eq!(room.admit().await.entered, 3, "what was missed is not made up for");
    assert_eq!(room.admit().await.entered, 0);
}

#[tokio::test]
async fn a_cap_that_is_lowered_admits_nobody_until_enough_have_left() {
    let mut room = Room::open(Terms { active_max: 5, ..Terms::default() }).await;
    room.join(&people(1..=20)).await;
    room.put(|spec| spec.active_max = 3).await;
    for (user, admitted) in [("u1", 0), ("u2", 0), ("u3", 1), ("u4", 1)] {
        assert_eq!(room.leave(user, (0, 0)).await.1, admitted, "{user}");
        assert_eq!(room.admit().await.entered, 0);
    }
    room.put(|spec| spec.active_max = 6).await;
    assert_eq!(room.admit().await.entered, 3);
    assert_eq!(room.snapshot(-1).await.inside, 6);
}

#[tokio::test]
async fn a_pace_that_is_changed_holds_at_once_for_what_was_admitted_before() {
    let mut room = Room::open(Terms { admit: 10, every_ms: 1_000, ..Terms::default() }).await;
    room.join(&people(1..=100)).await;
    room.put(|spec| spec.admit = 4).await;
    room.now += 999;
    assert_eq!(room.admit().await.entered, 0);
    room.now += 1;
    assert_eq!(room.admit().await.entered, 4);
    room.put(|spec| spec.admit = 7).await;
    assert_eq!(room.admit().await.entered, 3, "four of the seven have entered");
    // A longer window counts what was admitted before, too.
    room.put(|spec| spec.every_ms = 3_000).await;
    let start = room.now;
    let mut log = vec![(start, 7)];
    for _ in 0..20 {
        room.now += 500;
        log.push((room.now, room.admit().await.entered));
    }
    assert_eq!(most_in_a_window(&log, 3_000), 7);
    assert_eq!(
        log.iter().filter(|(_, count)| *count > 0).map(|(at, _)| at - start).collect::<Vec<_>>(),
        [0, 3_000, 6_000, 9_000]
    );
    // Without a pace all may enter; a pace that comes back does not know of them.
    room.put(|spec| (spec.admit, spec.every_ms, spec.active_max) = (0, 0, 1_000)).await;
    assert_eq!(room.admit().await.entered, 100 - 10 - 7 - 21);
}

//! The end of a room and the life after it: how long its keys are kept, and what of one life says anything in another.

use super::room::{Answer, EXPIRED, INSIDE, KEPT_MS, NEVER, OPENS_AT, PASS_REQUIRED, Room, Terms, WAITS, people};

/// The keys that there are, each with an end that is not far.
async fn all_end(room: &Room) -> usize {
    let kept = room.kept().await;
    assert!(kept.iter().all(|(_, ms)| (1..=KEPT_MS).contains(ms)), "{kept:?}");
    kept.len()
}

#[tokio::test]
async fn whatever_is_written_into_a_room_that_is_over_goes_with_it() {
    for last in ["leaves", "is let go", "stop", "nobody"] {
        let spec = Terms { active_max: 1, closes_at: OPENS_AT + 10_000, ..Terms::default() };
        let mut room = Room::open(spec).await;
        room.join(&people(1..=3)).await;
        assert!(room.kept().await.iter().all(|(_, ms)| *ms == -1), "{last}");
        room.now = OPENS_AT + 10_000;
        match last {
            "leaves" => {
                room.leave("u2", (0, 0)).await;
            }
            "is let go" => {
                room.leave("u1", (0, 0)).await;
            }
            "stop" => room.stop(true).await,
            _ => {
                room.admit().await;
            }
        }
        assert!(all_end(&room).await >= 4, "{last}");
        let before = room.kept().await;
        room.leave("u3", (0, 0)).await;
        all_end(&room).await;
        let after = room.kept().await;
        for (name, ms) in before {
            assert!(after.iter().all(|(other, later)| *other != name || *later <= ms), "{name} was put off");
        }
    }
}

#[tokio::test]
async fn a_room_that_goes_on_is_kept_again() {
    let mut room = Room::open(Terms { active_max: 1, closes_at: OPENS_AT + 10, ..Terms::default() }).await;
    room.join(&people(1..=2)).await;
    room.now += 10;
    room.admit().await;
    all_end(&room).await;
    assert!((1..=KEPT_MS).contains(&room.snapshot(-1).await.kept_ms));
    room.put(|spec| spec.closes_at = 0).await;
    assert_eq!(room.join_one("u3").await, (WAITS, 3, 1));
    assert!(room.kept().await.iter().all(|(_, ms)| *ms == -1));
    assert_eq!(room.snapshot(-1).await.kept_ms, -1);
}

#[tokio::test]
async fn each_life_is_above_all_before_and_no_pass_of_one_is_good_in_another() {
    let mut room = Room::open(Terms { active_max: 1, limit: 5, ..Terms::default() }).await;
    let mut issued = 0;
    for life in 1..=3 {
        assert_eq!(room.look("u1").await, NEVER, "nobody is here from before");
        assert_eq!(room.life, life, "known before the first has joined");
        assert_eq!(room.join(&people(1..=2)).await.users[0].0, INSIDE);
        assert_eq!((room.life, room.snapshot(-1).await.life), (life, life));
        for other in (1..=4).filter(|other| *other != life) {
            assert_eq!(room.claim_in_life("u1", &format!("a{life}{other}"), 1, other).await, PASS_REQUIRED);
        }
        // Of a node that knows of no lives, too: it is their own, and they are inside.
        for (attempt, of) in [("this", life), ("none", 0)] {
            let answer = room.claim_in_life("u1", &format!("{attempt}{life}"), 1, of).await;
            issued += 1;
            assert_eq!(answer, if issued <= 5 { Answer::Issued(issued) } else { Answer::Held(vec![1, 2, 3, 4, 5]) });
        }
        room.vanish().await;
    }
}

#[tokio::test]
async fn a_room_that_an_older_node_has_begun_has_no_life_until_its_end() {
    let mut room = Room::open(Terms { active_max: 1, ..Terms::default() }).await;
    room.set_field("generation", 1).await;
    room.join(&people(1..=2)).await;
    assert_eq!((room.life, room.snapshot(-1).await.life), (0, 0));
    assert_eq!(room.claim_one("u1", "a", 1).await, Answer::Issued(1));
    room.vanish().await;
    room.join(&people(3..=4)).await;
    assert_eq!(room.life, 1);
    // The next one is begun by an older node again, which knows nothing of the life before.
    room.vanish().await;
    room.set_field("generation", 1).await;
    room.look("u3").await;
    assert_eq!(room.life, 2);
    assert_eq!(room.join_one("u3").await.1, 1);
    assert_eq!((room.life, room.snapshot(-1).await.life), (2, 2));
}

/// A node that has heard of fewer moves than a reply knows less than it.
#[tokio::test]
async fn whatever_lets_anybody_move_up_counts() {
    let mut room = Room::open(Terms { admit: 1, every_ms: 1_000, ..Terms::default() }).await;
    let mut before = -1;
    room.join(&people(1..=9)).await;
    let mut has_moved = async |room: &mut Room, what: &str| {
        room.look("u9").await;
        assert!(room.moves > before, "{what}: {} after {before}", room.moves);
        before = room.moves;
    };
    has_moved(&mut room, "the first admission").await;
    room.leave("u4", (0, 0)).await;
    has_moved(&mut room, "one left").await;
    room.let_in("u5", (0, 0)).await;
    has_moved(&mut room, "one was let in").await;
    room.now += 1_000;
    room.admit().await;
    has_moved(&mut room, "the next admission").await;
    room.join(&people(10..=12)).await;
    room.look("u9").await;
    assert_eq!(room.moves, before, "who joins behind moves nobody");
    assert_eq!(room.look("u4").await, EXPIRED);
}

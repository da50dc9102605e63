//! A pass: when it may be picked up, how long it lasts, what ends it and what does not.

use super::room::{
    Answer, CLOSED, EXHAUSTED, EXPIRED, INSIDE, NEVER, NOT_OPEN_YET, OPENS_AT, PASS_REQUIRED, PAUSED, Room, SOLD_OUT,
    Terms, WAITS, people,
};

/// One may be inside at a time; a pass is picked up within 10 s and lasts 60 s.
fn one_inside() -> Terms {
    Terms { active_max: 1, pass_ttl_ms: 60_000, claim_pass_within_ms: 10_000, ..Terms::default() }
}

#[tokio::test]
async fn who_does_not_pick_the_pass_up_in_time_loses_it_to_the_next() {
    let mut room = Room::open(one_inside()).await;
    assert_eq!(room.look("u1").await, NEVER);
    // Who enters on joining has picked the pass up with that.
    assert_eq!(room.join(&people(1..=4)).await.users[0], (INSIDE, 1, OPENS_AT + 60_000));
    room.leave("u1", (0, 0)).await;
    // u2 was admitted and does not look.
    room.now += 9_999;
    assert_eq!(room.admit().await.entered, 0);
    room.now += 1;
    assert_eq!(room.look("u2").await, EXPIRED, "at the deadline itself it is over, before the usher has come too");
    assert_eq!(room.claim_one("u2", "a", 2).await, PASS_REQUIRED);
    let answer = room.admit().await;
    assert_eq!((answer.entered, answer.ended), (1, 1));
    assert_eq!(room.look("u2").await, EXPIRED);
    assert_eq!(room.look("u3").await, (INSIDE, 3, room.now + 60_000));
    let snapshot = room.snapshot(-1).await;
    assert_eq!((snapshot.no_shows, snapshot.admitted, snapshot.left_queue), (1, 3, 0));
    assert_eq!(room.join_one("u2").await, (WAITS, 5, 1), "at the end");
}

#[tokio::test]
async fn a_pass_that_was_picked_up_lasts_its_time_however_often_it_is_shown() {
    let mut room = Room::open(one_inside()).await;
    room.join(&people(1..=2)).await;
    room.leave("u1", (0, 0)).await;
    room.now += 5_000;
    let deadline = room.now + 60_000;
    assert_eq!(room.look("u2").await, (INSIDE, 2, deadline));
    for _ in 0..5 {
        room.now += 11_000;
        assert_eq!(room.look("u2").await, (INSIDE, 2, deadline));
        assert_eq!(room.join_one("u2").await, (INSIDE, 2, deadline));
    }
    room.now = deadline - 1;
    assert_eq!(room.look("u2").await.0, INSIDE);
    room.now = deadline;
    assert_eq!(room.look("u2").await, EXPIRED);
    assert_eq!(room.claim_one("u2", "a", 2).await, PASS_REQUIRED);
    assert_eq!(room.admit().await.ended, 1);
    assert_eq!(room.snapshot(-1).await.no_shows, 0, "it was picked up");
}

#[tokio::test]
async fn who_joins_again_after_the_time_is_over_enters_with_a_new_pass() {
    let mut room = Room::open(one_inside()).await;
    room.join(&people(1..=1)).await;
    room.now += 60_000;
    // No usher came in between: the join itself lets the old one go.
    assert_eq!(room.join_one("u1").await, (INSIDE, 2, room.now + 60_000));
    assert_eq!(room.claim_one("u1", "a", 1).await, PASS_REQUIRED, "the pass of the old place");
    assert_eq!(room.claim_one("u1", "a", 2).await, Answer::Issued(1));
}

#[tokio::test]
async fn a_pass_ends_when_its_user_holds_the_limit() {
    for limit in [1, 2] {
        let mut room = Room::open(Terms { limit, active_max: 2, ..Terms::default() }).await;
        assert_eq!(room.join(&people(1..=3)).await.admitted, 2);
        for unit in 1..=limit {
            assert_eq!(room.look("u1").await.0, INSIDE, "with {} of {limit}", unit - 1);
            assert_eq!(room.claim_one("u1", &format!("a{unit}"), 1).await, Answer::Issued(unit));
        }
        assert_eq!(room.look("u1").await, EXPIRED, "with all {limit}");
        let held: Vec<i64> = (1..=limit).collect();
        assert_eq!(room.claim_one("u1", "more", 1).await, Answer::Held(held));
        assert_eq!(room.claim_one("u1", "a1", 0).await, Answer::Replayed(1), "a replay needs no pass");
        assert_eq!(room.admit().await.entered, 1, "the next follows");
        assert_eq!(room.snapshot(-1).await.no_shows, 0);
    }
}

#[tokio::test]
async fn in_one_batch_the_last_unit_of_the_limit_ends_the_pass_for_the_rest() {
    let mut room = Room::open(Terms { limit: 2, active_max: 5, ..Terms::default() }).await;
    room.join(&people(1..=2)).await;
    let claim = |user: &str, attempt: &str, pass| (user.to_owned(), attempt.to_owned(), pass);
    let batch = [
        claim("u1", "a1", 1),
        claim("u2", "b1", 1),
        claim("u1", "a2", 1),
        claim("u1", "a3", 1),
        claim("u2", "b2", 2),
        claim("u3", "c1", 0),
    ];
    let expected = [
        Answer::Issued(1),
        PASS_REQUIRED,
        Answer::Issued(2),
        Answer::Held(vec![1, 2]),
        Answer::Issued(3),
        PASS_REQUIRED,
    ];
    assert_eq!(room.claim(&batch).await, expected);
    assert_eq!(room.look("u1").await, EXPIRED);
    assert_eq!(room.look("u2").await.0, INSIDE);
}

#[tokio::test]
async fn limit_reached_ends_the_pass_of_who_came_in_with_all_they_may_hold() {
    let mut room = Room::open(Terms { active_max: 1, ..Terms::default() }).await;
    room.join(&people(1..=1)).await;
    assert_eq!(room.claim_one("u1", "a", 1).await, Answer::Issued(1));
    assert_eq!(room.join_one("u1").await.0, INSIDE, "nothing keeps them from queueing again");
    assert_eq!(room.claim_one("u1", "b", 2).await, Answer::Held(vec![1]));
    assert_eq!(room.look("u1").await, EXPIRED);
}

#[tokio::test]
async fn on_leaving_and_on_selling_out_passes_end() {
    let mut room = Room::open(Terms { stock: 2, active_max: 3, limit: 2, reserve: 1, ..Terms::default() }).await;
    room.join(&people(1..=4)).await;
    assert_eq!(room.leave("u1", (0, 0)).await, ("ok".to_owned(), 1, 0));
    assert_eq!(room.look("u1").await, EXPIRED);
    assert_eq!(room.claim_one("u1", "a", 1).await, PASS_REQUIRED);
    assert_eq!(room.leave("u1", (0, 0)).await, ("ok".to_owned(), 0, 0), "who has left has left");

    let number = room.look("u2").await.1;
    assert_eq!(room.claim_one("u2", "a", number).await, Answer::Issued(1));
    assert_eq!(room.look("u2").await.0, INSIDE, "of two it was the first");
    assert_eq!(room.claim_one("u2", "b", number).await, Answer::Issued(2));
    for user in people(1..=4) {
        assert_eq!(room.look(&user).await, EXPIRED, "{user}: nothing is left");
    }
    assert_eq!(room.claim_one("u3", "a", 3).await, SOLD_OUT);
    room.give_back(1).await;
    assert_eq!(room.claim_one("u3", "b", 3).await, PASS_REQUIRED, "an ended pass does not come back");
    assert_eq!(room.join_one("u3").await.0, INSIDE);
}

#[tokio::test]
async fn a_refused_claim_keeps_the_pass() {
    let mut room = Room::open(Terms { active_max: 5, user_max: 1, limit: 2, ..Terms::default() }).await;
    room.join(&people(1..=3)).await;
    assert_eq!(room.claim_one("u1", "a", 2).await, PASS_REQUIRED, "another's");
    room.put(|spec| spec.paused = true).await;
    assert_eq!(room.claim_one("u1", "a", 1).await, PAUSED);
    room.put(|spec| spec.paused = false).await;
    // The opening is put off.
    room.put(|spec| spec.opens_at += 1_000).await;
    assert_eq!(room.claim_one("u1", "a", 1).await, NOT_OPEN_YET);
    room.now += 1_000;
    assert_eq!(room.claim_one("u1", "a", 1).await, Answer::Issued(1));
    assert_eq!(room.claim_one("u1", "b", 1).await, EXHAUSTED);
    assert_eq!(room.look("u1").await.0, INSIDE);
    room.put(|spec| spec.closes_at = OPENS_AT + 1_000).await;
    assert_eq!(room.claim_one("u2", "a", 2).await, CLOSED);
    room.put(|spec| spec.closes_at = 0).await;
    assert_eq!(room.claim_one("u2", "a", 2).await, Answer::Issued(2));
}

/// Each of these claims would be refused for all that comes after, too.
#[tokio::test]
async fn replay_then_state_then_limit_then_stock_then_pass() {
    let mut room = Room::open(Terms { stock: 1, active_max: 5, ..Terms::default() }).await;
    room.join(&people(1..=1)).await;
    assert_eq!(room.claim_one("u2", "none", 0).await, PASS_REQUIRED);
    assert_eq!(room.claim_one("u1", "a", 1).await, Answer::Issued(1));
    assert_eq!(room.claim_one("u2", "none", 0).await, SOLD_OUT);
    assert_eq!(room.claim_one("u1", "none", 0).await, Answer::Held(vec![1]));
    room.put(|spec| spec.paused = true).await;
    assert_eq!(room.claim_one("u1", "none", 0).await, PAUSED);
    room.put(|spec| spec.closed = true).await;
    assert_eq!(room.claim_one("u1", "none", 0).await, CLOSED);
    assert_eq!(room.claim_one("u1", "a", 0).await, Answer::Replayed(1));
}

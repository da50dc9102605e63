//! What the campaign's state does to its waiting room: not open, paused, closed, rebuilt; and a clock that runs back.

use onrush::redis::{Script, Value};

use super::most_in_a_window;
use super::room::{Answer, EXPIRED, INSIDE, NEVER, OPENS_AT, Room, Terms, WAITS, people};

/// How long each key of a room is kept: -1 for ever, -2 it is not there.
static KEPT: Script<9> = Script::new(
    "test/kept",
    "-- kept: how long these are kept.\n-- KEYS[1]\n-- KEYS[2]\n-- KEYS[3]\n-- KEYS[4]\n-- KEYS[5]\n-- KEYS[6]\n\
     -- KEYS[7]\n-- KEYS[8]\n-- KEYS[9]\n-- Safe to repeat: yes\n\
     local reply = {}\nfor i, key in ipairs(KEYS) do reply[i] = redis.call('PTTL', key) end\nreturn reply",
);

async fn kept(room: &Room) -> Vec<i64> {
    let reply = room.redis.call(&KEPT, &room.campaign, room.keys().waiting_room(), Vec::<Value>::new()).await.unwrap();
    reply.into_array().iter().map(|each| each.as_i64().unwrap()).collect()
}

#[tokio::test]
async fn nobody_joins_before_the_opening_and_nobody_enters_a_paused_or_closed_campaign() {
    let mut room = Room::open(Terms { active_max: 3, ..Terms::default() }).await;
    room.now = OPENS_AT - 1;
    assert_eq!(room.join(&people(1..=1)).await.code, "not_open_yet");
    assert_eq!(room.look("u1").await, NEVER);
    assert_eq!(room.let_in("u1", (0, 0)).await, "full");
    room.now = OPENS_AT;
    room.put(|spec| spec.paused = true).await;
    let joined = room.join(&people(1..=5)).await;
    assert_eq!((joined.code.as_str(), joined.admitted), ("ok", 0));
    assert_eq!(room.admit().await.entered, 0);
    room.put(|spec| spec.paused = false).await;
    assert_eq!(room.admit().await.entered, 3);
    room.put(|spec| spec.closes_at = OPENS_AT + 10).await;
    room.now += 10;
    assert_eq!(room.leave("u1", (0, 0)).await.1, 0);
    assert_eq!(room.admit().await.entered, 0);
    assert_eq!(room.join(&people(6..=6)).await.code, "closed");
    room.put(|spec| spec.closes_at = 0).await;
    assert_eq!(room.admit().await.entered, 1, "it was put off");
    room.put(|spec| spec.closed = true).await;
    assert_eq!(room.leave("u2", (0, 0)).await.1, 0);
    assert_eq!(room.admit().await.entered, 0);
    assert_eq!(room.let_in("u5", (0, 0)).await, "full");
}

#[tokio::test]
async fn a_room_whose_campaign_is_over_is_kept_for_a_while_and_all_of_it_goes() {
    let mut room = Room::open(Terms { admit: 2, every_ms: 1_000, ..Terms::default() }).await;
    room.join(&people(1..=9)).await;
    room.admit().await;
    assert!(kept(&room).await.iter().all(|ms| *ms < 0), "for ever, while it is open");
    room.put(|spec| spec.closes_at = OPENS_AT + 10).await;
    room.now += 10;
    room.admit().await;
    assert!(kept(&room).await[1..5].iter().all(|ms| *ms > 0));
    // The first who leaves makes a key that was not there.
    room.leave("u9", (0, 0)).await;
    room.admit().await;
    let after = kept(&room).await;
    assert_eq!(after[0], -1, "the campaign itself stays");
    assert!(after[1..].iter().all(|ms| *ms > 0), "{after:?}");
    // It goes on after all: then nothing of it may vanish.
    room.put(|spec| spec.closes_at = 0).await;
    room.now += 1_000;
    assert_eq!(room.admit().await.entered, 2);
    let after = kept(&room).await;
    assert!(after.iter().all(|ms| *ms == -1), "{after:?}");
}

#[tokio::test]
async fn an_open_room_where_nothing_happens_is_not_written() {
    let mut room = Room::open(Terms { active_max: 2, ..Terms::default() }).await;
    room.join(&people(1..=3)).await;
    let keys = room.keys().waiting_room();
    // What an usher would write over.
    room.redis.set_fields(&keys[1], vec![("no_shows".into(), "007".into())]).await.unwrap();
    assert_eq!(room.admit().await.entered, 0);
    assert_eq!(room.redis.all_fields(&keys[1]).await.unwrap()["no_shows"], "007");
    room.leave("u1", (0, 0)).await;
    assert_eq!(room.redis.all_fields(&keys[1]).await.unwrap()["no_shows"], "7");
}

#[tokio::test]
async fn a_room_of_an_older_generation_is_cleared() {
    let mut room = Room::open(Terms { admit: 2, every_ms: 1_000, ..Terms::default() }).await;
    room.join(&people(1..=5)).await;
    room.leave("u4", (0, 0)).await;
    room.stop(true).await;
    let campaign = room.keys().campaign();
    room.redis.set_fields(&campaign, vec![("generation".into(), "2".into())]).await.unwrap();
    assert_eq!(room.look("u1").await, NEVER);
    let snapshot = room.snapshot(-1).await;
    assert_eq!((snapshot.number, snapshot.admitted_to, snapshot.waiting, snapshot.inside), (0, 0, 0, 0));
    assert_eq!((snapshot.admitted, snapshot.departures, snapshot.in_window, snapshot.is_stopped), (0, 0, 0, false));
    assert!(room.waits().await.is_empty());
    assert_eq!(
        room.join(&people(5..=9)).await.users[..2],
        [(INSIDE, 1, OPENS_AT + 600_000), (INSIDE, 2, OPENS_AT + 600_000)]
    );
}

#[tokio::test]
async fn a_clock_that_runs_back_lets_nobody_in_early() {
    let spec = Terms { admit: 3, every_ms: 1_000, active_max: 12, pass_ttl_ms: 5_000, ..Terms::default() };
    let mut room = Room::open(Terms { claim_pass_within_ms: 5_000, ..spec }).await;
    let mut log = vec![(0, room.join(&people(1..=30)).await.admitted)];
    for ms in [1_000, 400, 0, -500, 1_500, 1_999, 2_000, 100, 2_999, 3_000, 2_000] {
        room.now = OPENS_AT + ms;
        let admitted = room.admit().await.entered;
        log.push((room.decided_at - OPENS_AT, admitted));
    }
    assert_eq!(log.iter().map(|(_, count)| count).sum::<i64>(), 12);
    assert_eq!(most_in_a_window(&log, 1_000), 3);
    assert_eq!(room.snapshot(-1).await.inside, 12);
    // Their passes end by the latest time that was decided by.
    room.now = OPENS_AT + 5_000;
    assert_eq!(room.admit().await.ended, 3);
    room.now = OPENS_AT + 10;
    assert_eq!(room.look("u1").await, EXPIRED);
    assert_eq!(room.look("u28").await.0, WAITS);
}

/// A window that was looked at without admitting anyone is over for good all the same.
#[tokio::test]
async fn a_clock_that_runs_back_does_not_open_a_window_twice() {
    let mut room = Room::open(Terms { admit: 10, every_ms: 1_000, ..Terms::default() }).await;
    let mut log = vec![(0, room.join(&people(1..=6)).await.admitted)];
    room.now += 500;
    log.push((500, room.join(&people(7..=30)).await.admitted));
    room.put(|spec| spec.admit = 4).await;
    room.now = OPENS_AT + 1_000;
    // Four of the window before are left in it: nobody may enter, but the six are out of it.
    assert_eq!(room.admit().await.entered, 0);
    room.put(|spec| spec.admit = 10).await;
    room.now = OPENS_AT + 900;
    log.push((room.now - OPENS_AT, room.admit().await.entered));
    log.last_mut().unwrap().0 = room.decided_at - OPENS_AT;
    assert_eq!(log.iter().map(|(_, count)| count).sum::<i64>(), 16);
    assert_eq!(most_in_a_window(&log, 1_000), 10, "{log:?}");
}

/// The codes of all calls that say one.
async fn codes(room: &mut Room) -> [String; 4] {
    let join = room.join(&people(1..=1)).await.code;
    let (leave, _, _) = room.leave("u1", (0, 0)).await;
    [join, leave, room.let_in("u1", (0, 0)).await, room.publish_draw("hash", &[]).await]
}

#[tokio::test]
async fn a_campaign_without_a_room_says_so_and_its_claims_need_no_pass() {
    let mut room = Room::open(Terms { active_max: 2, ..Terms::default() }).await;
    let campaign = room.keys().campaign();
    room.redis.set_fields(&campaign, vec![("room".into(), String::new())]).await.unwrap();
    assert_eq!(codes(&mut room).await, ["no_room"; 4]);
    assert_eq!(room.close_list().await, None);
    assert_eq!(room.claim_one("u1", "a", 0).await, Answer::Issued(1));
    assert_eq!(kept(&room).await[1..], [-2; 8], "nothing was written");
}

#[tokio::test]
async fn a_campaign_that_is_behind_what_a_node_has_seen_is_lost_for_its_room_too() {
    let mut room = Room::open(Terms { active_max: 2, ..Terms::default() }).await;
    room.join(&people(1..=3)).await;
    room.node = 1;
    room.known[1] = 1_000;
    assert_eq!(room.let_in("u3", (0, 0)).await, "lost");
    room.node = 2;
    assert_eq!(codes(&mut room).await, ["lost"; 4], "for every node");
}

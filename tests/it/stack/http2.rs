//! HTTP/2 over plain TCP: what makes work and is never waited for, and what is never done.

use std::time::Duration;

use onrush::app::Role;
use serde_json::json;

use super::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Incoming, PING, RST_STREAM, SETTINGS, frame, get,
    greedy_preface, header, kept_header, preface, request_head, reset, setting, status_of,
};
use super::raw::{Raw, serves_others};
use crate::support::installation::{Installation, TestNode};

async fn node() -> (Installation, TestNode) {
    let installation = Installation::with(|config| config.http.write_stall_ms = 1_000).await;
    let node = installation.node(Role::Serve).await;
    (installation, node)
}

async fn connect(node: &TestNode) -> Raw {
    let mut raw = Raw::to(&node.url).await;
    raw.say(preface()).await;
    raw
}

/// The status of the answer on this stream; `None`: the connection has ended, or the stream was reset.
async fn status(raw: &mut Raw, stream: u32) -> Option<u16> {
    let found = Incoming::of(raw).until(|frame| frame.stream == stream).await?;
    (found.kind == HEADERS).then(|| status_of(&found.payload))
}

async fn given_up(node: &TestNode) -> u64 {
    let metrics = node.get("/metrics").await;
    let line = metrics
        .body
        .as_str()
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix("onrush_http_given_up_total ").map(str::to_owned));
    line.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_and_a_reset_now_and_then_is_no_matter() {
    let (_installation, node) = node().await;
    let mut raw = connect(&node).await;
    for turn in 0..300 {
        let stream = 1 + 4 * turn;
        raw.say(get(stream, "/healthz")).await;
        assert_eq!(status(&mut raw, stream).await, Some(200), "request {turn}");
        // Half of all is given up.
        raw.say(frame(HEADERS, END_HEADERS, stream + 2, &request_head("POST", "/v1/campaigns"))).await;
        raw.say(reset(stream + 2)).await;
    }
    raw.say(get(2_001, "/healthz")).await;
    assert_eq!(status(&mut raw, 2_001).await, Some(200));
}

/// As fast as they can be written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_opens_and_resets_without_end_is_let_go() {
    let (_installation, node) = node().await;
    let campaign = node.campaign(10, json!({})).await;
    for path in ["/healthz".to_owned(), format!("/v1/campaigns/{campaign}"), "/docs/swagger-ui-bundle.js".to_owned()] {
        let mut raw = connect(&node).await;
        let mut opened = 0;
        while opened < 100_000 {
            let some: Vec<u8> =
                (opened..opened + 50).flat_map(|n| [get(1 + 2 * n, &path), reset(1 + 2 * n)].concat()).collect();
            if raw.try_say(&some).await.is_err() {
                break;
            }
            opened += 50;
        }
        assert!(opened < 100_000, "{path}: all of them were taken");
    }
    serves_others(&node).await;
}

/// Each reset comes when its request is being worked on: none of the library's own limits knows of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_up_what_is_being_worked_on_without_end_is_let_go() {
    let (_installation, node) = node().await;
    let before = given_up(&node).await;
    let mut raw = connect(&node).await;
    let mut ended = None;
    for turn in 0..2_000 {
        let stream = 1 + 2 * turn;
        // Its body never comes.
        let mut head = request_head("POST", "/v1/campaigns");
        head.extend(header("authorization", &format!("Bearer {}", crate::support::installation::OPERATOR)));
        head.extend(header("content-type", "application/json"));
        let opened = raw.try_say(&frame(HEADERS, END_HEADERS, stream, &head)).await;
        let ping = raw.try_say(&frame(PING, 0, 0, &[1; 8])).await;
        if opened.is_err()
            || ping.is_err()
            || Incoming::of(&mut raw).until(super::frames::Frame::is_ack_of_ping).await.is_none()
        {
            ended = Some(turn);
            break;
        }
        // The request is in other hands than the connection.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let _ended = raw.try_say(&reset(stream)).await;
    }
    assert!(ended.is_some_and(|turn| turn >= 100), "it was let go after {ended:?}");
    assert_eq!(given_up(&node).await, before + 1);
    serves_others(&node).await;
}

/// Sends this again and again without reading; whether all of it was taken. It never takes longer than the node's patience.
async fn flood(node: &TestNode, begins: &[u8], piece: &[u8], bytes: usize) -> bool {
    let mut raw = Raw::to(&node.url).await;
    raw.say(begins).await;
    let piece = piece.repeat((16 << 10) / piece.len() + 1);
    for _ in 0..bytes / piece.len() {
        if raw.try_say(&piece).await.is_err() {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_frames_that_ask_for_nothing_end_their_connection_or_nothing_else() {
    let (_installation, node) = node().await;
    let open = [preface(), frame(HEADERS, END_HEADERS, 1, &request_head("POST", "/v1/campaigns"))].concat();
    let unended = [preface(), frame(HEADERS, 0, 1, &request_head("GET", "/healthz"))].concat();
    let many = 16 << 20;
    // What has to be acknowledged to who never reads.
    for (what, piece) in [
        ("settings", setting(3, 100)),
        ("empty settings", frame(SETTINGS, 0, 0, &[])),
        ("pings", frame(PING, 0, 0, &[7; 8])),
    ] {
        assert!(!flood(&node, &preface(), &piece, many).await, "{what} without end were taken, and their answers not");
        serves_others(&node).await;
    }
    // What means nothing.
    for (what, begins, piece) in [
        ("empty DATA", &open, frame(DATA, 0, 1, &[])),
        ("empty CONTINUATION", &unended, frame(CONTINUATION, 0, 1, &[])),
        ("CONTINUATION", &unended, frame(CONTINUATION, 0, 1, &header("x-a", &"a".repeat(1_000)))),
        ("DATA beyond the window", &open, frame(DATA, 0, 1, &[0; 16_000])),
        ("resets of nothing", &preface(), reset(1)),
    ] {
        assert!(!flood(&node, begins, &piece, many).await, "{what} without end was taken");
        serves_others(&node).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_headers_that_unfold_are_refused() {
    let (_installation, node) = node().await;
    // One of 4,000 bytes in the table, and one byte for each time that it is meant.
    let bomb =
        [request_head("GET", "/healthz"), kept_header("x-bomb", &"b".repeat(3_900)), vec![0xbe; 10_000]].concat();
    // Or all of it as it is.
    let large = [request_head("GET", "/healthz"), header("x-large", &"b".repeat(60_000))].concat();
    for block in [bomb, large] {
        let mut raw = connect(&node).await;
        let mut pieces = block.chunks(16_000).peekable();
        raw.say(frame(HEADERS, END_STREAM, 1, pieces.next().unwrap())).await;
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
            let _ended = raw.try_say(&frame(CONTINUATION, flags, 1, piece)).await;
        }
        if block.len() < 16_000 {
            let _ended = raw.try_say(&frame(CONTINUATION, END_HEADERS, 1, &[])).await;
        }
        let answered = status(&mut raw, 1).await;
        assert!(answered.is_none_or(|status| status == 431), "{answered:?}");
        serves_others(&node).await;
    }
}

/// Many long answers that nobody takes wait for their turn, and then hear that it does not come; claims do not wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_answers_that_are_not_taken_hold_up_no_short_ones() {
    let installation = Installation::with(|config| {
        config.http.http2.answers_max = 2;
        config.http.request_timeout_ms = 1_500;
    })
    .await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(10, json!({})).await;
    let mut raw = Raw::to(&node.url).await;
    // Of each answer nothing but its headers may be sent.
    raw.say([preface(), setting(4, 0)].concat()).await;
    for stream in [1, 3, 5] {
        raw.say(get(stream, "/openapi.json")).await;
    }
    // Which of them is last is not said.
    let mut first_two = Vec::new();
    for _ in 0..2 {
        first_two.push(answer(&mut raw).await);
    }
    assert!(first_two.iter().all(|(_, status)| *status == 200), "{first_two:?}");
    let token = node.token("alice");
    let head = [
        request_head("POST", &format!("/v1/campaigns/{campaign}/claims")),
        header("authorization", &format!("Bearer {token}")),
    ]
    .concat();
    raw.say(frame(HEADERS, END_HEADERS | END_STREAM, 7, &head)).await;
    assert_eq!(answer(&mut raw).await, (7, 201), "a claim waits for nobody");
    assert_eq!(answer(&mut raw).await.1, 503, "the third long one has no turn");
    // A turn comes free when an answer is taken or given up.
    raw.say([reset(first_two[0].0), get(9, "/openapi.json")].concat()).await;
    assert_eq!(answer(&mut raw).await, (9, 200));
}

/// The next answer that begins: on which stream, and its status.
async fn answer(raw: &mut Raw) -> (u32, u16) {
    let found = Incoming::of(raw).until(|frame| frame.kind == HEADERS).await.unwrap();
    (found.stream, status_of(&found.payload))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_requests_at_a_time_than_may_be_are_refused_one_by_one() {
    let installation = Installation::with(|config| config.http.http2.streams_max = 5).await;
    let node = installation.node(Role::Serve).await;
    let mut raw = Raw::to(&node.url).await;
    raw.say(greedy_preface()).await;
    // They stay open: their bodies never come.
    for stream in (1..=11).step_by(2) {
        let head = [request_head("POST", "/v1/campaigns"), header("authorization", "Bearer x")].concat();
        raw.say(frame(HEADERS, END_HEADERS, stream, &head)).await;
    }
    let refused = Incoming::of(&mut raw).until(|frame| frame.stream == 11 || frame.kind == GOAWAY).await.unwrap();
    assert_eq!((refused.kind, refused.payload), (RST_STREAM, 7_u32.to_be_bytes().to_vec()), "REFUSED_STREAM");
    serves_others(&node).await;
}

//! Live: what a visitor's stream says, how it ends, and what it costs when nobody reads it.

use std::time::{Duration, Instant};

use onrush::app::Role;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::room::{claim, in_ms, join, leave, look, open, pass_of, path};
use crate::support::installation::{Client, Installation};
use crate::support::private_redis::PrivateRedis;
use crate::support::stores::{PATIENCE, eventually};

/// A visitor who listens.
struct Ears {
    response: Response,
    heard: String,
    retry_ms: Option<u64>,
    /// Of the last event that had one.
    id: Option<String>,
}

/// What came in one piece.
#[derive(Debug, PartialEq)]
enum Frame {
    Data(Value),
    Comment,
    End,
}

impl Ears {
    async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { response, heard: String::new(), retry_ms: None, id: None }
    }

    /// Of this user, by the usual credentials.
    async fn of(client: &Client, campaign: &str, user: &str) -> Self {
        let at = format!("{}/events", path(campaign));
        Self::open(client.request(Method::GET, &at).bearer_auth(client.token(user))).await
    }

    /// As a browser: by ticket alone.
    async fn with_ticket(client: &Client, campaign: &str, ticket: &str) -> Self {
        Self::open(client.request(Method::GET, &format!("{}/events?ticket={ticket}", path(campaign)))).await
    }

    async fn next(&mut self) -> Frame {
        loop {
            if let Some((frame, rest)) = self.heard.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.heard = rest;
                return self.read(&frame);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("the stream says nothing");
            match chunk {
                Ok(Some(chunk)) => self.heard.push_str(std::str::from_utf8(&chunk).unwrap()),
                Ok(None) | Err(_) => return Frame::End,
            }
        }
    }

    fn read(&mut self, frame: &str) -> Frame {
        let mut read = Frame::Comment;
        for line in frame.lines() {
            if let Some(data) = line.strip_prefix("data: ") {
                read = Frame::Data(serde_json::from_str(data).unwrap());
            } else if let Some(retry) = line.strip_prefix("retry: ") {
                self.retry_ms = Some(retry.parse().unwrap());
            } else if let Some(id) = line.strip_prefix("id: ") {
                self.id = Some(id.to_owned());
            } else {
                assert!(line.starts_with(':'), "{line} is no line of an event");
            }
        }
        read
    }

    async fn data(&mut self) -> Value {
        loop {
            match self.next().await {
                Frame::Data(data) => return data,
                Frame::Comment => {}
                Frame::End => panic!("the stream has ended"),
            }
        }
    }

    /// The next event that says so; none of another state in between.
    async fn until(&mut self, state: &str, is_so: impl Fn(&Value) -> bool, on_the_way: &str) -> Value {
        loop {
            let data = self.data().await;
            if data["state"] == state && is_so(&data) {
                return data;
            }
            assert_eq!(data["state"], on_the_way, "before {state}: {data}");
        }
    }

    async fn end(&mut self) {
        while self.next().await != Frame::End {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_says_how_it_stands_at_once_and_then_every_change_until_the_end() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 2, json!({"active_max": 1})).await;
    let alice = pass_of(&node, &campaign, "alice").await;
    let joined = join(&node, &campaign, "bob").await;
    join(&node, &campaign, "carol").await;
    let mut bob = Ears::of(&node, &campaign, "bob").await;
    let mut carol = Ears::of(&node, &campaign, "carol").await;
    let present = bob.data().await;
    assert!((1_000..=3_000).contains(&bob.retry_ms.unwrap()), "{:?}", bob.retry_ms);
    for member in ["state", "place", "ahead", "left", "ticket"] {
        assert_eq!(present[member], joined.body[member], "{member}");
    }
    let present = carol.data().await;
    assert_eq!((&present["place"], &present["ahead"]), (&json!(3), &json!(1)));

    // Alice claims and goes: bob is let in with a pass that works, and carol moves up.
    let first = claim(&node, &campaign, "alice", &alice).await;
    assert_eq!(first.outcome(), "201");
    let admitted = bob.until("admitted", |_| true, "waiting").await;
    carol.until("waiting", |data| data["ahead"] == 0 && data["place"] == 3, "waiting").await;
    assert_eq!(look(&node, &campaign, "bob").await.body["pass"], admitted["pass"], "a poll shows the same pass");
    // The last unit goes and comes back.
    let second = claim(&node, &campaign, "bob", admitted["pass"].as_str().unwrap()).await;
    assert_eq!(second.outcome(), "201");
    bob.until("expired", |_| true, "admitted").await;
    bob.end().await;
    carol.until("sold_out", |_| true, "waiting").await;
    assert_eq!(node.give_back(&second).await.status, 200);
    let admitted = carol.until("admitted", |_| true, "waiting").await;
    // One more who waits, until the campaign closes.
    assert_eq!(join(&node, &campaign, "dave").await.status, 202);
    let mut dave = Ears::of(&node, &campaign, "dave").await;
    assert_eq!(dave.data().await["state"], "waiting");
    let claimed = claim(&node, &campaign, "carol", admitted["pass"].as_str().unwrap()).await;
    assert_eq!(claimed.outcome(), "201");
    dave.until("sold_out", |_| true, "waiting").await;
    // Two come back: dave is let in with one of them.
    assert_eq!(node.give_back(&first).await.status, 200);
    dave.until("admitted", |_| true, "waiting").await;
    node.as_operator(Method::POST, &format!("/v1/campaigns/{campaign}/close")).await;
    dave.until("closed", |_| true, "admitted").await;
    dave.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sold_out_room_that_nobody_is_let_into_goes_on_waiting_when_units_come_back() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let campaign = open(&nodes[0], 1, json!({"active_max": 1})).await;
    let pass = pass_of(&nodes[0], &campaign, "alice").await;
    join(&nodes[1], &campaign, "bob").await;
    let mut bob = Ears::of(&nodes[1], &campaign, "bob").await;
    assert_eq!(bob.data().await["state"], "waiting");
    super::room::switch(&nodes[0], &campaign, "pause").await;
    let claimed = claim(&nodes[0], &campaign, "alice", &pass).await;
    let begin = Instant::now();
    bob.until("sold_out", |_| true, "waiting").await;
    assert!(begin.elapsed() < Duration::from_secs(3), "a second and a margin, and not {:?}", begin.elapsed());
    nodes[0].give_back(&claimed).await;
    let waiting = bob.until("waiting", |_| true, "sold_out").await;
    assert_eq!((&waiting["place"], &waiting["ahead"], &waiting["left"]), (&json!(2), &json!(0), &json!(1)));
    leave(&nodes[0], &campaign, "bob").await;
    bob.until("expired", |_| true, "waiting").await;
    bob.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_connects_again_hears_at_another_node_how_it_stands_and_quiet_streams_beat() {
    let installation = Installation::with(|config| config.waiting.heartbeat_ms = 1_000).await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let campaign = open(&nodes[0], 5, json!({"active_max": 1})).await;
    join(&nodes[0], &campaign, "alice").await;
    let ticket = join(&nodes[0], &campaign, "bob").await.text("ticket").to_owned();
    let mut bob = Ears::with_ticket(&nodes[0], &campaign, &ticket).await;
    assert_eq!(bob.data().await["ahead"], 0);
    for _ in 0..2 {
        let begin = Instant::now();
        assert_eq!(bob.next().await, Frame::Comment);
        assert!(begin.elapsed() < Duration::from_secs(4), "{:?} without a word", begin.elapsed());
    }
    drop(bob);
    leave(&nodes[0], &campaign, "alice").await;
    eventually("bob is let in", async || look(&nodes[0], &campaign, "bob").await.text("state") == "admitted").await;
    let mut again = Ears::with_ticket(&nodes[1], &campaign, &ticket).await;
    // What another node has done it may tell a second later.
    let present = again.until("admitted", |_| true, "waiting").await;
    let claimed = claim(&nodes[1], &campaign, "bob", present["pass"].as_str().unwrap()).await;
    assert_eq!(claimed.outcome(), "201");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_whose_time_is_over_ends_the_stream_with_expired() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 5, json!({"active_max": 1, "pass_ttl_s": 1})).await;
    join(&node, &campaign, "alice").await;
    let mut alice = Ears::of(&node, &campaign, "alice").await;
    assert_eq!(alice.data().await["state"], "admitted");
    let begin = Instant::now();
    alice.until("expired", |_| true, "admitted").await;
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    alice.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_beyond_the_limit_are_refused_until_one_ends() {
    let installation = Installation::with(|config| {
        config.waiting.streams_max = 2;
        config.waiting.heartbeat_ms = 1_000;
    })
    .await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 5, json!({"active_max": 1})).await;
    for user in ["alice", "bob", "carol"] {
        join(&node, &campaign, user).await;
    }
    let first = Ears::of(&node, &campaign, "alice").await;
    let _second = Ears::of(&node, &campaign, "bob").await;
    let at = format!("{}/events", path(&campaign));
    let third = async || node.request(Method::GET, &at).bearer_auth(node.token("carol")).send().await.unwrap();
    let refused = third().await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "unavailable");
    drop(first);
    eventually("a place is free again", async || third().await.status() == 200).await;
    assert_eq!(look(&node, &campaign, "carol").await.status, 200, "whoever has no stream can ask");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_ends_its_streams_at_once() {
    let installation = Installation::new().await;
    let (node, other) = (installation.node(Role::Serve).await, installation.node(Role::Serve).await);
    let campaign = open(&node, 5, json!({"active_max": 1})).await;
    let mut streams = Vec::new();
    for index in 0..20 {
        let user = format!("user-{index}");
        join(&node, &campaign, &user).await;
        let mut ears = Ears::of(&node, &campaign, &user).await;
        ears.data().await;
        streams.push(ears);
    }
    let begin = Instant::now();
    node.stop().await;
    // Far below the time that is given to requests under way.
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    for mut stream in streams {
        stream.end().await;
    }
    let mut again = Ears::of(&other, &campaign, "user-1").await;
    assert_eq!(again.data().await["place"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_draw_hears_the_place_at_the_opening_without_asking() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let waiting = json!({"active_max": 1, "order": "draw"});
    let campaign = nodes[0].campaign(5, json!({"opens_at": in_ms(3_500), "waiting": waiting})).await;
    let mut streams = Vec::new();
    for (index, user) in ["alice", "bob", "carol"].into_iter().enumerate() {
        assert_eq!(join(&nodes[0], &campaign, user).await.status, 202);
        let mut ears = Ears::of(&nodes[index % 2], &campaign, user).await;
        let present = ears.data().await;
        assert_eq!((&present["state"], &present["place"]), (&json!("waiting"), &Value::Null), "{present}");
        streams.push(ears);
    }
    let mut places = Vec::new();
    for stream in &mut streams {
        let drawn = stream.data().await;
        match drawn["state"].as_str().unwrap() {
            "admitted" => places.push(1),
            _ => places.push(drawn["place"].as_u64().unwrap()),
        }
    }
    places.sort_unstable();
    assert_eq!(places, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_outlives_redis_and_says_nothing_false_meanwhile() {
    let options = ["--appendonly", "yes"];
    let mut redis = PrivateRedis::start(&options).await;
    let installation = Installation::with(|config| {
        config.redis.url = redis.url();
        config.redis.command_timeout_ms = 300;
        config.waiting.heartbeat_ms = 1_000;
    })
    .await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 5, json!({"active_max": 1, "pass_ttl_s": 2})).await;
    join(&node, &campaign, "alice").await;
    join(&node, &campaign, "bob").await;
    let mut alice = Ears::of(&node, &campaign, "alice").await;
    let mut bob = Ears::of(&node, &campaign, "bob").await;
    assert_eq!(alice.data().await["state"], "admitted");
    assert_eq!(bob.data().await["ahead"], 0);
    redis.kill();
    // Alice's time is over while nobody can say so.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    redis.start_again(&options).await;
    let begin = Instant::now();
    alice.until("expired", |_| true, "admitted").await;
    let admitted = bob.until("admitted", |_| true, "waiting").await;
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    let claimed = claim(&node, &campaign, "bob", admitted["pass"].as_str().unwrap()).await;
    assert_eq!(claimed.outcome(), "201");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_heard_the_last_word_is_answered_204_when_connecting_again_and_nobody_else() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let campaign = open(&nodes[0], 5, json!({"active_max": 1})).await;
    let at = format!("{}/events", path(&campaign));
    // As a browser does: by ticket, with the id of the last event that had one.
    let again = async |node: &Client, ticket: &str, heard: Option<&str>| {
        let request = node.request(Method::GET, &format!("{at}?ticket={ticket}"));
        heard.into_iter().fold(request, |request, id| request.header("Last-Event-ID", id)).send().await.unwrap()
    };
    join(&nodes[0], &campaign, "alice").await;
    let ticket = join(&nodes[0], &campaign, "bob").await.text("ticket").to_owned();
    let mut bob = Ears::with_ticket(&nodes[0], &campaign, &ticket).await;
    assert_eq!(bob.data().await["state"], "waiting");
    assert_eq!(bob.id, None, "more will be said");
    leave(&nodes[0], &campaign, "bob").await;
    bob.until("expired", |_| true, "waiting").await;
    bob.end().await;
    assert_eq!(bob.id.as_deref(), Some("expired"));
    for node in &nodes {
        let nothing = again(node, &ticket, bob.id.as_deref()).await;
        assert_eq!(
            (nothing.status().as_u16(), nothing.headers()["cache-control"].to_str().unwrap()),
            (204, "no-store")
        );
        assert_eq!(nothing.text().await.unwrap(), "");
    }
    // Who lost the connection before that hears it.
    let mut late = Ears::open(nodes[1].request(Method::GET, &format!("{at}?ticket={ticket}"))).await;
    assert_eq!(late.data().await["state"], "expired");
    late.end().await;
    // Who joins again has something to hear again.
    let ticket = join(&nodes[0], &campaign, "bob").await.text("ticket").to_owned();
    assert_eq!(again(&nodes[0], &ticket, Some("expired")).await.status(), 200);
    // And at the end, everybody.
    assert_eq!(nodes[0].as_operator(Method::POST, &format!("/v1/campaigns/{campaign}/close")).await.status, 200);
    let mut bob = Ears::with_ticket(&nodes[0], &campaign, &ticket).await;
    assert_eq!(bob.data().await["state"], "closed");
    bob.end().await;
    assert_eq!(bob.id.as_deref(), Some("closed"));
    assert_eq!(again(&nodes[0], &ticket, Some("closed")).await.status(), 204);
    assert_eq!(again(&nodes[0], &ticket, Some("expired")).await.status(), 200, "that it is closed is news");
}

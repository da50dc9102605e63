//! HTTP/1: what is said beside, behind and instead of a request.

use std::fmt::Write;
use std::time::Duration;

use onrush::app::Role;
use serde_json::json;

use super::raw::{Raw, serves_others, status};
use crate::support::installation::{Installation, OPERATOR, TestNode};

/// Its connections are kept for longer than a test waits: what is heard is an answer and no time limit.
async fn node() -> (Installation, TestNode) {
    let installation = Installation::with(|config| config.http.header_timeout_ms = 60_000).await;
    let node = installation.node(Role::Serve).await;
    (installation, node)
}

/// A claim, with these headers besides.
fn claim(node: &TestNode, campaign: &str, user: &str, more: &str) -> String {
    let token = node.token(user);
    format!(
        "POST /v1/campaigns/{campaign}/claims HTTP/1.1\r\nHost: onrush\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: 0\r\n{more}\r\n"
    )
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: onrush\r\n\r\n";

/// So many headers, `Host` among them.
fn with_headers(count: usize) -> String {
    let mut request = String::from("GET /healthz HTTP/1.1\r\nHost: onrush\r\n");
    for number in 1..count {
        write!(request, "X-Number-{number}: {number}\r\n").unwrap();
    }
    request + "\r\n"
}

fn with_header_bytes(bytes: usize) -> String {
    format!("GET /healthz HTTP/1.1\r\nHost: onrush\r\nX-Long: {}\r\n\r\n", "x".repeat(bytes))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_answered_whatever_is_behind_it() {
    let (_installation, node) = node().await;
    let campaign = node.campaign(100, json!({})).await;
    let behind = ["\r\n", "\r\n\r\n", "\n", "GET /healthz HTTP/1.1", "G", "\0\u{1}rubbish", "POST /v1/campaigns HT"];
    let mut taken = 0;
    for more in ["Connection: close\r\n", "Connection: keep-alive\r\n", ""] {
        for behind in behind {
            let mut raw = Raw::to(&node.url).await;
            taken += 1;
            raw.say(claim(&node, &campaign, &format!("user-{taken}"), more) + behind).await;
            let heard = raw.answers(1).await;
            assert_eq!(status(&heard), 201, "{more:?}, then {behind:?}: {heard:?}");
        }
    }
    assert_eq!(node.view(&campaign).await.number("left"), 100 - taken);
    serves_others(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_line_behind_a_request_does_not_end_the_connection() {
    let (_installation, node) = node().await;
    let mut raw = Raw::to(&node.url).await;
    for number in 1..=3 {
        raw.say(format!("{HEALTH}\r\n")).await;
        let heard = raw.answers(number).await;
        assert_eq!(heard.matches("HTTP/1.1 200").count(), number, "{heard:?}");
    }
    raw.say(&HEALTH[..20]).await;
    raw.say(&HEALTH[20..]).await;
    assert_eq!(raw.answers(4).await.matches("HTTP/1.1 200").count(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_one_piece_are_answered_one_by_one_in_their_order() {
    let (_installation, node) = node().await;
    let mut raw = Raw::to(&node.url).await;
    let request = |number| format!("GET /healthz HTTP/1.1\r\nHost: onrush\r\nX-Request-Id: number-{number}\r\n\r\n");
    let requests: String = (0..400).map(request).collect();
    raw.say(requests).await;
    let heard = raw.answers(400).await;
    let ids: Vec<&str> = heard.lines().filter_map(|line| line.strip_prefix("x-request-id: number-")).collect();
    assert_eq!(ids, (0..400).map(|number| number.to_string()).collect::<Vec<_>>());
}

/// Each is heard, also where much more was sent than was read: again and again, since a reset that overtakes an answer does
/// so only sometimes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_refused_and_the_refusal_arrives() {
    let (_installation, node) = node().await;
    let long_path = format!("GET /{} HTTP/1.1\r\nHost: onrush\r\n\r\n", "x".repeat(70_000));
    for (what, request, statuses) in [
        ("100 headers", with_headers(100), &[200][..]),
        ("101 headers", with_headers(101), &[431]),
        ("110 headers", with_headers(110), &[431]),
        ("a path of 70,000 bytes", long_path, &[414, 431]),
        ("30,000 bytes of headers", with_header_bytes(30_000), &[200]),
        ("40,000 bytes of headers", with_header_bytes(40_000), &[431]),
        ("60,000 bytes of headers", with_header_bytes(60_000), &[431]),
        ("900,000 bytes of headers", with_header_bytes(900_000), &[431]),
    ] {
        for turn in 0..10 {
            let mut raw = Raw::to(&node.url).await;
            raw.say(&request).await;
            // Whoever reads late is the one whom a reset would hit.
            tokio::time::sleep(Duration::from_millis(turn * 3)).await;
            let heard = raw.answers(1).await;
            assert!(statuses.contains(&status(&heard)), "{what}, turn {turn}: {heard:?}");
        }
    }
    serves_others(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_head_is_a_setting() {
    let installation = Installation::with(|config| {
        config.http.header_bytes_max = 200_000;
        config.http.headers_max = 300;
    })
    .await;
    let node = installation.node(Role::Serve).await;
    let path = format!("GET /{} HTTP/1.1\r\nHost: onrush\r\n\r\n", "x".repeat(70_000));
    for (request, wanted) in [
        (with_headers(300), 200),
        (with_headers(301), 431),
        (with_header_bytes(190_000), 200),
        (with_header_bytes(210_000), 431),
        (path, 414),
    ] {
        let mut raw = Raw::to(&node.url).await;
        raw.say(&request).await;
        let heard = raw.answers(1).await;
        assert_eq!(status(&heard), wanted, "{} bytes: {heard:?}", request.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_is_answered_with_400() {
    let (_installation, node) = node().await;
    let get = |headers: &str| format!("GET /healthz HTTP/1.1\r\nHost: onrush\r\n{headers}\r\n");
    let post = |headers: &str| format!("POST /v1/campaigns HTTP/1.1\r\nHost: onrush\r\n{headers}\r\n");
    for request in [
        get("X-Folded: a\r\n  b\r\n"),
        get("X-Folded: a\r\n\tb\r\n"),
        get("X-Nul: a\0b\r\n"),
        get("X-Return: a\rb\r\n"),
        get("X Space: a\r\n"),
        get("X-Space : a\r\n"),
        get(": no name\r\n"),
        get("no colon\r\n"),
        post("Content-Length: 5\r\nContent-Length: 6\r\n") + "hello",
        post("Content-Length: 5, 6\r\n") + "hello",
        post("Content-Length: -1\r\n"),
        post("Content-Length: +5\r\n") + "hello",
        post("Content-Length: 99999999999999999999999\r\n"),
        post("Transfer-Encoding: gzip\r\n"),
        post("Transfer-Encoding: chunked, gzip\r\n"),
        "POST /v1/campaigns HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
        "GET /healthz HTTP/1.1\r\n\r\n".into(),
        "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".into(),
        "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(),
        "GET /healthz HTTP/1.1\r\nHost: a/b\r\n\r\n".into(),
        "GET /healthz HTTP/1.1\r\nHost: user@a\r\n\r\n".into(),
        "GET /healthz HTTP/2.0\r\nHost: onrush\r\n\r\n".into(),
        "GET /healthz HTTP/1.2\r\nHost: onrush\r\n\r\n".into(),
        "GET /healthz\r\n\r\n".into(),
        "GET  /healthz  HTTP/1.1\r\nHost: onrush\r\n\r\n".into(),
        "GET healthz HTTP/1.1\r\nHost: onrush\r\n\r\n".into(),
        "GET /heal thz HTTP/1.1\r\nHost: onrush\r\n\r\n".into(),
        "G\0T /healthz HTTP/1.1\r\nHost: onrush\r\n\r\n".into(),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}\r\n\r\n".into(),
    ] {
        let mut raw = Raw::to(&node.url).await;
        raw.say(&request).await;
        let heard = raw.until_it_ends().await;
        assert_eq!((status(&heard), heard.matches("HTTP/1.").count()), (400, 1), "{request:?}: {heard:?}");
    }
    serves_others(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_host_is_a_problem_that_points_at_it() {
    let (_installation, node) = node().await;
    for (request, detail) in [
        ("GET /healthz HTTP/1.1\r\n\r\n", "header/host: is required"),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "header/host: must come once"),
    ] {
        let mut raw = Raw::to(&node.url).await;
        raw.say(request).await;
        let heard = raw.until_it_ends().await;
        let (headers, body) = heard.split_once("\r\n\r\n").unwrap();
        assert!(headers.contains("application/problem+json") && headers.contains("connection: close"), "{headers}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((body["code"].as_str(), body["detail"].as_str()), (Some("invalid_request"), Some(detail)));
        assert_eq!(body["errors"][0]["pointer"], "header/host");
    }
    // Before HTTP/1.1 there was no such header.
    let mut raw = Raw::to(&node.url).await;
    raw.say("GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&raw.until_it_ends().await), 200);
}

/// Two ends of a message: a proxy that goes by the other one must not be made to see a request that is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_smuggled_behind_a_body_of_two_lengths() {
    let (_installation, node) = node().await;
    for headers in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n",
    ] {
        let mut raw = Raw::to(&node.url).await;
        raw.say(format!("POST /healthz HTTP/1.1\r\nHost: onrush\r\n{headers}\r\n0\r\n\r\n{HEALTH}")).await;
        let heard = raw.until_it_ends().await;
        assert_eq!(heard.matches("HTTP/1.1 ").count(), 1, "{headers:?}: {heard:?}");
        assert!(status(&heard) >= 400, "{headers:?}: {heard:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_in_bad_pieces_is_refused_and_nothing_behind_it_is_answered() {
    let (_installation, node) = node().await;
    let begins = format!(
        "POST /v1/campaigns HTTP/1.1\r\nHost: onrush\r\nAuthorization: Bearer {OPERATOR}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let long = format!("1;{}\r\na\r\n0\r\n\r\n", "e".repeat(100_000));
    for pieces in
        ["zz\r\n", "-1\r\na\r\n", "fffffffffffffffff\r\na", "5\r\nhelloX\r\n0\r\n\r\n", "\r\n", " 5\r\nhello", &long]
    {
        let mut raw = Raw::to(&node.url).await;
        // It may be closed while the rest is under way.
        let _cut_off = raw.try_say(format!("{begins}{pieces}{HEALTH}").as_bytes()).await;
        let heard = raw.until_it_ends().await;
        assert_eq!((status(&heard), heard.matches("HTTP/1.1 ").count()), (400, 1), "{pieces:.20?}: {heard:?}");
    }
    serves_others(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_of_a_target_that_are_seldom_seen_are_answered() {
    let (_installation, node) = node().await;
    for (line, statuses) in [
        ("GET http://onrush/healthz", &[200][..]),
        ("GET http://other.example:99/healthz", &[200]),
        ("OPTIONS *", &[404]),
        ("GET *", &[400]),
        ("GET onrush:80", &[400]),
        ("CONNECT onrush:443", &[404, 405]),
        ("GET /%00", &[404]),
        ("GET /healthz?a=%FF", &[200, 400]),
        ("GET /docs/%FF", &[400, 404]),
        ("GET //healthz", &[404]),
        ("GET /../healthz", &[404]),
        ("get /healthz", &[405]),
        ("BREW /healthz", &[405]),
    ] {
        let mut raw = Raw::to(&node.url).await;
        raw.say(format!("{line} HTTP/1.1\r\nHost: onrush\r\nConnection: close\r\n\r\n")).await;
        let heard = raw.until_it_ends().await;
        assert!(statuses.contains(&status(&heard)), "{line}: {heard:?}");
    }
    serves_others(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_comes_byte_by_byte_has_a_time_limit() {
    let installation = Installation::with(|config| config.http.header_timeout_ms = 1_000).await;
    let node = installation.node(Role::Serve).await;
    for begins in ["", HEALTH, "\r\n"] {
        let mut raw = Raw::to(&node.url).await;
        raw.say(begins).await;
        raw.say("GET /healthz HTTP/1.1\r\n").await;
        let mut ended = false;
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            ended = raw.try_say(b"X").await.is_err();
            if ended {
                break;
            }
        }
        assert!(ended, "{begins:?}: its connection was kept for 10 s");
    }
    serves_others(&node).await;
}

/// Whoever goes on sending when the connection is over is not listened to for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_after_the_end_is_read_off_within_limits() {
    for (linger_ms, linger_bytes_max) in [(500, 64 << 20), (60_000, 100_000)] {
        let installation = Installation::with(|config| {
            config.http.linger_ms = linger_ms;
            config.http.linger_bytes_max = linger_bytes_max;
        })
        .await;
        let node = installation.node(Role::Serve).await;
        let mut raw = Raw::to(&node.url).await;
        raw.say(with_headers(110)).await;
        assert_eq!(status(&raw.answers(1).await), 431);
        let mut ended = false;
        for _ in 0..200 {
            ended = raw.try_say(&[b'x'; 4_096]).await.is_err();
            if ended {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(ended, "{linger_ms} ms, {linger_bytes_max} bytes: it is still read");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_not_sent_again_to_who_has_them() {
    let (_installation, node) = node().await;
    for path in ["/openapi.json", "/docs/", "/docs/swagger-ui-bundle.js", "/docs/swagger-initializer.js"] {
        let first = node.get(path).await;
        assert_eq!(first.status, 200, "{path}");
        assert!(first.header("cache-control").unwrap().contains("max-age"), "{path}");
        let tag = first.header("etag").unwrap().to_owned();
        let again = node.request(reqwest::Method::GET, path).header("if-none-match", &tag);
        let again = node.send(again).await;
        assert_eq!((again.status, again.header("etag")), (304, Some(&*tag)), "{path}");
    }
    assert_eq!(node.get("/docs/no-such-file.js").await.outcome(), "404 not_found");
}

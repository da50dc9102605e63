//! What connections cost that never read, measured on the program itself.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::frames::{
    CONTINUATION, DATA, END_HEADERS, HEADERS, PING, frame, get, greedy_preface, header, preface, request_head, reset,
    setting,
};
use super::raw::{Raw, serves_others};
use crate::support::installation::{Client, Installation};
use crate::support::names;
use crate::support::process::Process;

const CONNECTIONS: usize = 30;
const REQUESTS: u32 = 400;
const KIB_MAX: u64 = 30 << 10;

/// A node with enough to list, and a client of it.
async fn node(installation: &Installation) -> (Process, Client) {
    // Nobody is let go before they were measured.
    let patient = |command: &mut tokio::process::Command| {
        command.env("ONRUSH__HTTP__WRITE_STALL_MS", "600000").env("ONRUSH__HTTP__REQUEST_TIMEOUT_MS", "600000");
    };
    let process = Process::start_with(installation, "serve", patient).await;
    let client = installation.client(&process.url);
    for _ in 0..100 {
        client.campaign(10, json!({"name": "가".repeat(60)})).await;
    }
    (process, client)
}

/// The largest that it becomes in the next seconds.
async fn peak_kib(process: &Process) -> u64 {
    let mut peak = 0;
    for _ in 0..30 {
        peak = peak.max(process.memory_kib());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    peak
}

const PATHS: [&str; 4] = ["/docs/swagger-ui-bundle.js", "/openapi.json", "/metrics", "/v1/campaigns?limit=100"];

async fn absent_readers_cost_little(version: u8) {
    let installation = Installation::new().await;
    let (process, client) = node(&installation).await;
    // Whatever is made once is there.
    for _ in 0..20 {
        for path in PATHS {
            assert_eq!(client.get(path).await.status, 200, "{path}");
        }
    }
    let before = peak_kib(&process).await;
    for path in PATHS {
        let mut absent = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut raw = Raw::to(&process.url).await;
            let requests = if version == 1 {
                format!("GET {path} HTTP/1.1\r\nHost: onrush\r\n\r\n").repeat(REQUESTS as usize).into_bytes()
            } else {
                let all = (0..REQUESTS).flat_map(|number| get(1 + 2 * number, path));
                greedy_preface().into_iter().chain(all).collect()
            };
            // The kernel may hold some of it back, and rightly.
            let _some = tokio::time::timeout(Duration::from_millis(200), raw.stream_write(&requests)).await;
            absent.push(raw);
        }
        let grown = peak_kib(&process).await.saturating_sub(before);
        assert!(grown < KIB_MAX, "HTTP/{version}, {path}: {grown} KiB for {CONNECTIONS} connections");
        serves_others(&client).await;
        drop(absent);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_four_hundred_answers_over_http_1_and_never_reads_costs_a_mebibyte_at_most() {
    absent_readers_cost_little(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_four_hundred_answers_over_http_2_and_never_reads_costs_a_mebibyte_at_most() {
    absent_readers_cost_little(2).await;
}

/// Thirty of each at a time, and what they leave behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_leave_the_memory_as_it_was() {
    let installation = Installation::new().await;
    let impatient = |command: &mut tokio::process::Command| {
        command.env("ONRUSH__HTTP__WRITE_STALL_MS", "1000");
    };
    let process = Process::start_with(&installation, "serve", impatient).await;
    let client = installation.client(&process.url);
    client.get("/metrics").await;
    let before = peak_kib(&process).await;
    let resets: Vec<u8> = (0..4_000).flat_map(|n| [get(1 + 2 * n, "/metrics"), reset(1 + 2 * n)].concat()).collect();
    let open = [preface(), frame(HEADERS, END_HEADERS, 1, &request_head("POST", "/v1/campaigns"))].concat();
    let unended = [preface(), frame(HEADERS, 0, 1, &request_head("GET", "/healthz"))].concat();
    let floods = [
        [preface(), resets].concat(),
        [preface(), setting(3, 100).repeat(100_000)].concat(),
        [preface(), frame(PING, 0, 0, &[7; 8]).repeat(100_000)].concat(),
        [open.clone(), frame(DATA, 0, 1, &[]).repeat(100_000)].concat(),
        [open, frame(DATA, 0, 1, &[b' '; 16_000]).repeat(100)].concat(),
        [unended, frame(CONTINUATION, 0, 1, &header("x-a", &"a".repeat(9_000))).repeat(200)].concat(),
        format!("GET /{}", "x".repeat(2_000_000)).into_bytes(),
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}", "X-A: b\r\n".repeat(100_000)).into_bytes(),
        (0..2_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect(),
    ];
    for (number, flood) in floods.iter().enumerate() {
        let mut absent = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut raw = Raw::to(&process.url).await;
            let _some = tokio::time::timeout(Duration::from_millis(100), raw.stream_write(flood)).await;
            absent.push(raw);
        }
        let grown = peak_kib(&process).await.saturating_sub(before);
        assert!(grown < KIB_MAX, "flood {number}: {grown} KiB for {CONNECTIONS} connections");
        serves_others(&client).await;
    }
    let campaign = names::unique("c");
    let made = json!({"id": campaign, "name": "n", "stock": 1});
    assert_eq!(client.operator_sends(Method::POST, "/v1/campaigns", &made).await.outcome(), "201");
    assert_eq!(client.claim(&campaign, "alice").await.outcome(), "201");
}

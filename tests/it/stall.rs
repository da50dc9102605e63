//! Readers that take nothing are let go; slow ones are not.

use std::time::{Duration, Instant};

use onrush::app::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::installation::{Client, Installation, TestNode};
use crate::support::stores::eventually;

/// All nodes of this process count together who was let go: who counts that is alone.
static COUNTING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A request for something large.
const REQUEST: &[u8] = b"GET /openapi.json HTTP/1.1\r\nHost: onrush\r\n\r\n";

async fn connect(node: &TestNode) -> TcpStream {
    TcpStream::connect(node.url.strip_prefix("http://").unwrap()).await.unwrap()
}

async fn stalled(client: &Client) -> u64 {
    let metrics = client.get("/metrics").await;
    let text = metrics.body.as_str().unwrap().to_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("onrush_http_stalled_total "));
    line.map_or(0, |count| count.parse().unwrap())
}

/// Reads until the end, however it comes; how many bytes that were.
async fn read_all(stream: &mut TcpStream) -> usize {
    let (mut bytes, mut buffer) = (0, vec![0; 64 << 10]);
    loop {
        match tokio::time::timeout(Duration::from_secs(30), stream.read(&mut buffer)).await.expect("it ends") {
            Ok(0) | Err(_) => return bytes,
            Ok(count) => bytes += count,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_and_never_reads_is_let_go_and_who_reads_slowly_is_not() {
    let _alone = COUNTING.lock().await;
    let installation = Installation::with(|config| config.http.write_stall_ms = 1_000).await;
    let node = installation.node(Role::Serve).await;
    let size = node.get("/openapi.json").await.body.to_string().len();
    // More than both kernels' buffers take.
    let requests = (24 << 20) / size;
    let before = stalled(&node).await;
    let (mut silent, mut slow) = (connect(&node).await, connect(&node).await);
    // What was asked for first fills the buffers; then no more requests are taken either.
    let asked = Instant::now();
    let _full = tokio::time::timeout(Duration::from_secs(2), silent.write_all(&REQUEST.repeat(requests))).await;
    let _full = tokio::time::timeout(Duration::from_secs(2), slow.write_all(&REQUEST.repeat(requests))).await;
    let mut slowly_read = 0;
    eventually("the silent one is let go", async || {
        let mut buffer = vec![0; 1 << 20];
        // Something, well before its time is over.
        slowly_read += slow.read(&mut buffer).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Other tests of this process have nodes that count, too: theirs says nothing before ours can have come.
        stalled(&node).await > before && asked.elapsed() >= Duration::from_secs(1)
    })
    .await;
    let taken = read_all(&mut silent).await;
    assert!(taken < requests * size, "all of it came: {taken} bytes");
    // The slow one goes on as it did.
    for _ in 0..5 {
        let mut buffer = vec![0; 1 << 20];
        let count = slow.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the slow one was let go after {slowly_read} bytes");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(node.get("/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_with_nothing_to_write_may_be_silent_for_as_long_as_it_likes() {
    let installation = Installation::with(|config| config.http.write_stall_ms = 1_000).await;
    let node = installation.node(Role::Serve).await;
    let mut idle = connect(&node).await;
    for _ in 0..2 {
        idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: onrush\r\n\r\n").await.unwrap();
        let mut buffer = vec![0; 4_096];
        let count = idle.read(&mut buffer).await.unwrap();
        assert!(buffer[..count].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..count]));
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
}

/// A thousand who do not read would otherwise use up the memory that the kernel has for connections, and with it everybody's.
#[tokio::test]
async fn the_kernel_keeps_no_more_for_who_does_not_read_than_is_set() {
    let mut http = onrush::config::Config::load(None).unwrap().http;
    http.listen = "127.0.0.1:0".parse().unwrap();
    let listener = onrush::http::bind(&http).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let kept = TcpSocket::from_std_stream(accepted.into_std().unwrap()).send_buffer_size().unwrap();
    // Linux doubles what it is asked for.
    let set = http.kernel_send_bytes_max;
    assert!((set..=2 * set).contains(&kept), "the kernel keeps up to {kept} bytes, of {set}");
}

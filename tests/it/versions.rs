//! Both versions of HTTP, on one port.

use std::time::Duration;

use onrush::app::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::installation::Installation;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty frame of type SETTINGS.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

async fn connect(url: &str) -> TcpStream {
    TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap()
}

async fn read(stream: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut read = vec![0; bytes];
    tokio::time::timeout(Duration::from_secs(10), stream.read_exact(&mut read)).await.expect("in time").unwrap();
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_is_spoken_to_who_begins_with_it_also_in_pieces_and_http_1_to_all_others() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;

    let whole = [PREFACE, SETTINGS].concat();
    for pieces in [vec![&whole[..]], vec![&whole[..1], &whole[1..3], &whole[3..20], &whole[20..]]] {
        let mut stream = connect(&node.url).await;
        for piece in pieces {
            stream.write_all(piece).await.unwrap();
            stream.flush().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(read(&mut stream, 9).await[3], 4, "the server's own settings come first");
    }

    // `P` is how a preface and two methods begin.
    let mut stream = connect(&node.url).await;
    for piece in ["P", "OST /v1/campaigns HTTP/1.1\r\nHost: x\r\n", "Content-Length: 0\r\n\r\n"] {
        stream.write_all(piece.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(read(&mut stream, 12).await, b"HTTP/1.1 401");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_says_nothing_is_let_go() {
    let installation = Installation::with(|config| config.http.header_timeout_ms = 500).await;
    let node = installation.node(Role::Serve).await;
    for begins in ["", "PRI * HT", "GET /healthz HTTP/1.1\r\nHo"] {
        let mut stream = connect(&node.url).await;
        stream.write_all(begins.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{begins:?} keeps its connection");
    }
}

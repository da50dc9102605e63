//! Callers who go away: their connection is closed before the answer has come.

use std::time::Duration;

use reqwest::{Request, RequestBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends the request over a connection of its own, and closes that after so long. Answers whether the answer, or its
/// beginning, had come by then: a request that was answered was heard of as any other.
pub(crate) async fn hang_up_after(request: RequestBuilder, after: Duration) -> bool {
    let request = request.build().unwrap();
    let url = request.url();
    let address = (url.host_str().unwrap(), url.port_or_known_default().unwrap());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(&bytes(&request)).await.unwrap();
    tokio::time::sleep(after).await;
    let mut first = [0];
    // Dropped with something unread it is reset, otherwise it is closed: callers do both.
    let heard = tokio::time::timeout(Duration::ZERO, stream.read(&mut first)).await;
    heard.is_ok_and(|read| read.is_ok_and(|count| count > 0))
}

/// The request as it travels.
fn bytes(request: &Request) -> Vec<u8> {
    let url = request.url();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let body = request.body().map_or(&[][..], |body| body.as_bytes().unwrap());
    let headers = request.headers().iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()));
    let headers: String = headers.collect();
    let (method, path, host, length) = (request.method(), url.path(), url.authority(), body.len());
    let head = format!("{method} {path}{query} HTTP/1.1\r\nhost: {host}\r\n{headers}content-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

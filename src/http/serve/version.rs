//! Which version of HTTP does a connection speak? Looked at before it is read.
//!
//! The library can tell by itself, but puts back what it has read for it: the first request then comes in two parts, for
//! which the connection's buffer grows to twice its size, and stays so. Of a crowd that waits that was half the memory.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

/// What HTTP/2 begins with where nobody was asked for it before (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Until the rest of a preface that came in part is looked for: what is there already wakes nobody again.
const PAUSE: Duration = Duration::from_millis(5);

/// Whether it begins as HTTP/2 does. Nothing is taken from it.
pub(crate) async fn is_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut seen = [0; PREFACE.len()];
    loop {
        let count = stream.peek(&mut seen).await?;
        let is_like = count > 0 && PREFACE.starts_with(&seen[..count]);
        if !is_like || count == PREFACE.len() {
            return Ok(is_like);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

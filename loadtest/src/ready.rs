//! Can the server serve? Asked until it says so or the time is over.

use std::time::{Duration, Instant};

use anyhow::bail;
use http::StatusCode;

use crate::http_client;
use crate::target::Target;

const EVERY: Duration = Duration::from_millis(100);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns when `GET /readyz` is answered 200. If that does not happen in time, the error says what was answered.
pub(crate) async fn wait(target: &Target, timeout: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {}\r\n\r\n", target.authority());
    loop {
        let left = timeout.saturating_sub(begun.elapsed());
        let answer = http_client::once(target, request.as_bytes(), left.min(REQUEST_TIMEOUT)).await;
        let said = match answer {
            Ok(answer) if answer.status == StatusCode::OK => return Ok(()),
            Ok(answer) => format!("{} {}", answer.status.as_u16(), String::from_utf8_lossy(&answer.body)),
            Err(why) => why.label().to_owned(),
        };
        if begun.elapsed() + EVERY >= timeout {
            bail!("{} is not ready after {} s: {said}", target.url(), timeout.as_secs());
        }
        tokio::time::sleep(EVERY).await;
    }
}

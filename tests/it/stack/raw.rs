//! A connection on which anything may be written.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::installation::Client;

/// Longer than any answer may take, and shorter than what a connection that is kept would last in these tests.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connection.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    heard: Vec<u8>,
}

impl Raw {
    pub(crate) async fn to(url: &str) -> Self {
        let stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, heard: Vec::new() }
    }

    /// Fails as the connection does.
    pub(crate) async fn try_say(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        tokio::time::timeout(PATIENCE, self.stream.write_all(bytes)).await?
    }

    /// As far as it is taken.
    pub(crate) async fn stream_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_say(bytes.as_ref()).await.unwrap();
    }

    /// What was heard when so many answers have begun; less if the connection has ended before.
    pub(crate) async fn answers(&mut self, count: usize) -> String {
        let mut piece = vec![0; 64 << 10];
        while self.begun() < count {
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut piece)).await;
            match read.unwrap_or_else(|_| panic!("no answer: {:?}", String::from_utf8_lossy(&self.heard))) {
                Ok(0) | Err(_) => break,
                Ok(bytes) => self.heard.extend_from_slice(&piece[..bytes]),
            }
        }
        String::from_utf8_lossy(&self.heard).into_owned()
    }

    /// What was heard until the other end closed, or reset, the connection.
    pub(crate) async fn until_it_ends(&mut self) -> String {
        let ending = self.stream.read_to_end(&mut self.heard);
        let ended = tokio::time::timeout(PATIENCE, ending).await;
        let heard = String::from_utf8_lossy(&self.heard).into_owned();
        // However it ends.
        assert!(ended.is_ok(), "the connection does not end: {heard:?}");
        heard
    }

    fn begun(&self) -> usize {
        let heard = String::from_utf8_lossy(&self.heard);
        heard.lines().filter(|line| line.starts_with("HTTP/1.")).count()
    }
}

/// The status of the first answer in what was heard; 0: none.
pub(crate) fn status(heard: &str) -> u16 {
    let line = heard.lines().next().unwrap_or_default();
    line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).map_or(0, |status| status.parse().unwrap())
}

/// Whoever comes next is served.
pub(crate) async fn serves_others(client: &Client) {
    let fresh = client.request(reqwest::Method::GET, "/healthz").header("connection", "close");
    assert_eq!(client.send(fresh).await.status, 200);
}

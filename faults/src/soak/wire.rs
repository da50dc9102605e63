//! How does a well-behaved client talk to a node? On one connection that stays open, one request at a time. By hyper: headers
//! and streams matter here, and so does when the node closes a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::scale::ANSWER_MAX;
use super::stage::Stage;

/// No answer is near this size.
const BODY_BYTES_MAX: usize = 8 << 20;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Bytes,
    /// The body as JSON; null where it is none.
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(super) fn text(&self, member: &str) -> &str {
        self.body[member].as_str().unwrap_or_default()
    }

    /// A text of it, for a complaint.
    pub(super) fn excerpt(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(300)]))
    }
}

/// An open connection. After a request without an answer it is of no use.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    stage: Arc<Stage>,
}

impl Connection {
    pub(super) async fn open(stage: &Arc<Stage>, node: SocketAddr) -> anyhow::Result<Self> {
        let stream = tokio::time::timeout(ANSWER_MAX, TcpStream::connect(node)).await??;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Its failure is also that of the request that was under way, which says so.
        let driver = tokio::spawn(async move { drop(connection.await) });
        stage.open.good.fetch_add(1, Ordering::Relaxed);
        Ok(Self { sender, driver, stage: Arc::clone(stage) })
    }

    /// The node has closed it: it may do so with one that carries nothing.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// The answer to the last byte.
    pub(super) async fn ask(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let exchange = async {
            let (status, headers, body) = self.begin(request).await?;
            let whole = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(anyhow::Error::from_boxed)?;
            let bytes = whole.to_bytes();
            let body = serde_json::from_slice(&bytes).unwrap_or_default();
            Ok(Answer { status, headers, bytes, body })
        };
        tokio::time::timeout(ANSWER_MAX, exchange).await?
    }

    /// The head of the answer, and its body as it comes.
    pub(super) async fn begin(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<(u16, HeaderMap, Incoming)> {
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        Ok((head.status.as_u16(), head.headers, body))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
        self.stage.open.good.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that is counted as long as it is open.
pub(super) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    pub(super) fn new(open: &'a AtomicUsize) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

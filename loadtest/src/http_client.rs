//! How does one request get its answer? On a connection that stays open, within a limit of time, or not at all.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::target::Target;

/// No answer that this program asks for is near this size.
const BODY_BYTES_MAX: usize = 1 << 20;

/// What came back.
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The whole body.
    pub(crate) body: Bytes,
}

/// Why nothing came back. Whether the server did what was asked is then unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NoAnswer {
    /// The connection could not be opened, or opened again.
    CannotConnect,
    /// The time was over.
    TimedOut,
    /// The connection ended before the answer did.
    ConnectionClosed,
    /// What came was not HTTP, or too large.
    Unreadable,
}

impl NoAnswer {
    /// For the table.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::CannotConnect => "cannot connect",
            Self::TimedOut => "timed out",
            Self::ConnectionClosed => "connection closed",
            Self::Unreadable => "unreadable",
        }
    }
}

/// An open connection. It carries one request at a time, and is of no use after a request without an answer.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Connection {
    /// Connects, and is ready to send.
    pub(crate) async fn open(target: &Target, timeout: Duration) -> io::Result<Self> {
        let stream = tokio::time::timeout(timeout, TcpStream::connect(target.addresses())).await??;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let driver = tokio::spawn(async move {
            // Its failure is also that of the request that was under way, where it is counted.
            let _ = connection.await;
        });
        Ok(Self { sender, driver })
    }

    /// The server may close a connection that carries nothing.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends a request and reads its answer to the last byte.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<Answer, NoAnswer> {
        let exchange = async {
            self.sender.ready().await.map_err(|error| kind_of(&error))?;
            let response = self.sender.send_request(request).await.map_err(|error| kind_of(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), BODY_BYTES_MAX)
                .collect()
                .await
                .map_err(|error| error.downcast_ref::<hyper::Error>().map_or(NoAnswer::Unreadable, kind_of))?;
            Ok(Answer { status, body: body.to_bytes() })
        };
        tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(NoAnswer::TimedOut))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A request that timed out would otherwise keep the socket open for as long as the server likes.
        self.driver.abort();
    }
}

/// A request on a connection of its own.
pub(crate) async fn once(
    target: &Target,
    request: Request<Full<Bytes>>,
    timeout: Duration,
) -> Result<Answer, NoAnswer> {
    let mut connection = Connection::open(target, timeout).await.map_err(|_| NoAnswer::CannotConnect)?;
    connection.exchange(request, timeout).await
}

fn kind_of(error: &hyper::Error) -> NoAnswer {
    if error.is_parse() || error.is_parse_too_large() { NoAnswer::Unreadable } else { NoAnswer::ConnectionClosed }
}

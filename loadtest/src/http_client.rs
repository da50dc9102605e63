//! How does one request get its answer? On a connection that stays open, within a limit of time, or not at all.

use std::io;
use std::time::Duration;

use http::StatusCode;
use loadtest::wire::Wire;

use crate::target::Target;

/// What came back.
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The whole body.
    pub(crate) body: Vec<u8>,
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
pub(crate) struct Connection(Wire);

impl Connection {
    /// Connects, and is ready to send.
    pub(crate) async fn open(target: &Target, timeout: Duration) -> io::Result<Self> {
        Ok(Self(tokio::time::timeout(timeout, Wire::open(target.addresses())).await??))
    }

    /// The server may close a connection that carries nothing.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Sends a request and reads its answer to the last byte.
    pub(crate) async fn exchange(&mut self, request: &[u8], timeout: Duration) -> Result<Answer, NoAnswer> {
        let exchange = tokio::time::timeout(timeout, self.0.exchange(request)).await;
        let answer = exchange.map_err(|_| NoAnswer::TimedOut)?.map_err(|error| kind_of(&error))?;
        let status = StatusCode::from_u16(answer.status).map_err(|_| NoAnswer::Unreadable)?;
        Ok(Answer { status, body: answer.body.to_vec() })
    }
}

/// A request on a connection of its own.
pub(crate) async fn once(target: &Target, request: &[u8], timeout: Duration) -> Result<Answer, NoAnswer> {
    let mut connection = Connection::open(target, timeout).await.map_err(|_| NoAnswer::CannotConnect)?;
    connection.exchange(request, timeout).await
}

fn kind_of(error: &io::Error) -> NoAnswer {
    if error.kind() == io::ErrorKind::InvalidData { NoAnswer::Unreadable } else { NoAnswer::ConnectionClosed }
}

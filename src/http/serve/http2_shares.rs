//! How much may one connection of HTTP/2 have of this node? So many long answers at a time, and so many requests given up.
//!
//! - A long answer has its turn from before it is made until the last of its bytes was written to the connection, or thrown
//!   away: the turn travels with the bytes through the library's buffers.
//! - Who opens requests and resets them again pays nothing for the work. A few given up are usual; for each one too many, one
//!   has to be waited for.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::error::Elapsed;
use tokio_util::sync::CancellationToken;

use crate::config;

/// What the requests of one connection share.
pub(crate) struct Shares {
    turns: Arc<Semaphore>,
    wait_max: Duration,
    given_up: Arc<GivenUp>,
}

/// Requests given up, less those that were waited for.
struct GivenUp {
    balance: AtomicU32,
    max: u32,
    too_many: CancellationToken,
}

/// One request of the connection.
pub(crate) struct Asked {
    /// `None`: its answer is short.
    turns: Option<Arc<Semaphore>>,
    wait_max: Duration,
    given_up: Arc<GivenUp>,
    is_waited_for: bool,
}

/// A long answer's.
type Turn = Option<Arc<OwnedSemaphorePermit>>;

impl Shares {
    pub(crate) fn new(limits: &config::Http2, wait_max: Duration) -> Self {
        let given_up =
            GivenUp { balance: AtomicU32::new(0), max: limits.given_up_max, too_many: CancellationToken::new() };
        Self { turns: Arc::new(Semaphore::new(limits.answers_max)), wait_max, given_up: Arc::new(given_up) }
    }

    /// Cancelled when more was given up than may be.
    pub(crate) fn too_many_given_up(&self) -> CancellationToken {
        self.given_up.too_many.clone()
    }

    /// One more request. Dropped before its answer is asked for, it was given up.
    pub(crate) fn ask(&self, may_be_long: bool) -> Asked {
        Asked {
            turns: may_be_long.then(|| Arc::clone(&self.turns)),
            wait_max: self.wait_max,
            given_up: Arc::clone(&self.given_up),
            is_waited_for: false,
        }
    }
}

impl Asked {
    /// Waits for its turn, if it needs one.
    pub(crate) async fn turn(&self) -> Result<Turn, Elapsed> {
        let Some(turns) = &self.turns else { return Ok(None) };
        let turn = tokio::time::timeout(self.wait_max, Arc::clone(turns).acquire_owned()).await?;
        Ok(Some(Arc::new(turn.expect("nobody closes this semaphore"))))
    }

    /// Its answer, which keeps its turn as long as there is anything of it.
    pub(crate) fn answered(mut self, answer: Response, turn: Turn) -> Response {
        // Nobody asks for what is not there.
        if answer.body().is_end_stream() {
            self.was_waited_for();
            return answer;
        }
        answer.map(|body| Body::new(Held { body, turn, asked: self }))
    }

    fn was_waited_for(&mut self) {
        if !std::mem::replace(&mut self.is_waited_for, true) {
            let less = |balance: u32| balance.checked_sub(1);
            let _at_least_0 = self.given_up.balance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let GivenUp { balance, max, too_many } = &*self.given_up;
        if !self.is_waited_for && balance.fetch_add(1, Ordering::Relaxed) >= *max {
            too_many.cancel();
        }
    }
}

/// A body that keeps a turn. The library asks for it once the answer's headers are on their way, and not where the request was
/// given up meanwhile.
struct Held {
    body: Body,
    turn: Turn,
    asked: Asked,
}

/// Some bytes of it, which do, too.
struct HeldBytes {
    bytes: Bytes,
    _turn: Arc<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.asked.was_waited_for();
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let hold = |bytes| match &self.turn {
            None => bytes,
            Some(turn) => Bytes::from_owner(HeldBytes { bytes, _turn: Arc::clone(turn) }),
        };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(hold))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

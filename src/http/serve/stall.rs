//! Who does not read must not keep a place: a connection that takes nothing for too long is given up. And who does not stop
//! sending still hears the last answer.
//!
//! What is to be written waits in the kernel's buffers first and then in ours, both bounded. When these are full and the
//! other end still takes nothing, only time can tell a slow reader from one that will never read again. The clock runs
//! only while a write waits: a connection that keeps up never has one.
//!
//! A connection that is closed while something of it is unread is reset by the kernel, and the reset may reach the other end
//! before the answer that was written last: refused for its headers, a client would hear nothing, and a proxy would call the
//! node broken. So a connection is first closed for writing, and what still comes is read off, within limits.

use std::future::Future;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// For how long what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// A write may wait for so long.
    pub(crate) write: Duration,
    /// What comes after the end is read off for so long,
    pub(crate) linger: Duration,
    /// and up to so many bytes.
    pub(crate) linger_bytes_max: usize,
}

/// A connection with limits to how long it may take nothing, and to what it may still send when it is over.
pub(crate) struct Guarded {
    stream: TcpStream,
    patience: Patience,
    /// Runs while a write waits, and from the end on.
    clock: Option<Pin<Box<Sleep>>>,
    /// Closed for writing: so many bytes may still come.
    left: Option<usize>,
}

/// How much is read off at a time.
const PIECE_BYTES: usize = 4_096;

impl Guarded {
    pub(crate) fn new(stream: TcpStream, patience: Patience) -> Self {
        Self { stream, patience, clock: None, left: None }
    }

    /// Whatever is taken, however little, stops the clock.
    fn judge<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.clock.is_some() {
                self.clock = None;
            }
            return written;
        }
        let limit = self.patience.write;
        let clock = self.clock.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(clock.as_mut().poll(context));
        metrics::counter!("onrush_http_stalled_total").increment(1);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other end takes nothing")))
    }
}

impl Guarded {
    /// Reads off what still comes: until the other end is done, too.
    fn poll_linger(&mut self, left: &mut usize, context: &mut Context<'_>) -> Poll<()> {
        let limit = self.patience.linger;
        let clock = self.clock.get_or_insert_with(|| Box::pin(sleep(limit)));
        if clock.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let mut room = [MaybeUninit::uninit(); PIECE_BYTES];
        while *left > 0 {
            let mut piece = ReadBuf::uninit(&mut room);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut piece)) {
                Ok(()) if !piece.filled().is_empty() => *left = left.saturating_sub(piece.filled().len()),
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Guarded {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, into)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.judge(written, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.judge(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nothing is kept back in the stream itself: what a flush says must not stop the clock.
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut left = if let Some(left) = this.left {
            left
        } else {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            this.clock = None;
            this.patience.linger_bytes_max
        };
        let lingered = this.poll_linger(&mut left, context);
        this.left = Some(left);
        lingered.map(Ok)
    }
}

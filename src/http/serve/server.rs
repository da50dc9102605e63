//! Connections: accepted up to a limit, each with its time limits, and let go in order at the end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::http::serve::edge::Edge;
use crate::http::serve::http2_shares::Shares;
use crate::http::serve::stack::Stack;
use crate::http::serve::stall::Guarded;
use crate::http::serve::version::is_http2;

/// Binds the address with a backlog that a burst fits in. A port of 0 takes a free one.
pub fn bind(config: &config::Http) -> std::io::Result<TcpListener> {
    let socket = match config.listen {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    // Every connection that is accepted has it from here.
    socket.set_send_buffer_size(config.kernel_send_bytes_max)?;
    socket.bind(config.listen)?;
    socket.listen(config.backlog_max)
}

/// Serves until told to stop; then takes no more connections, and finishes the requests that were accepted.
pub async fn serve(listener: TcpListener, edge: Arc<Edge>, config: config::Http, stop: CancellationToken) {
    let stack = Arc::new(Stack::new(&config));
    let connections = Arc::new(Semaphore::new(config.connections_max));
    let draining = GracefulShutdown::new();
    while let Some(permit) = stop.run_until_cancelled(Arc::clone(&connections).acquire_owned()).await {
        let permit = permit.expect("nobody closes this semaphore");
        let accepted = match stop.run_until_cancelled(listener.accept()).await {
            None => break,
            Some(Ok(accepted)) => accepted,
            Some(Err(error)) => {
                // Out of file descriptors, or a client that went away in the meantime.
                metrics::counter!("onrush_http_accept_failures_total").increment(1);
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let (stream, peer) = accepted;
        // Answers are small and must not wait for more to come.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it was served");
        }
        let connection = Connection { stream, peer, stack: Arc::clone(&stack), edge: Arc::clone(&edge) };
        let (watcher, stop) = (draining.watcher(), stop.clone());
        tokio::spawn(async move {
            metrics::gauge!("onrush_http_connections").increment(1.0);
            connection.serve(watcher, stop).await;
            metrics::gauge!("onrush_http_connections").decrement(1.0);
            drop(permit);
        });
    }
    drop(listener);
    let limit = Duration::from_millis(config.drain_timeout_ms);
    if tokio::time::timeout(limit, draining.shutdown()).await.is_err() {
        tracing::warn!(?limit, "connections were still busy at the end of the drain");
    }
}

/// One that was accepted.
struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    stack: Arc<Stack>,
    edge: Arc<Edge>,
}

impl Connection {
    /// Until it ends. Who is told to stop and has not asked for anything yet is let go.
    async fn serve(self, watcher: Watcher, stop: CancellationToken) {
        let begun = tokio::time::timeout(self.stack.header_timeout, is_http2(&self.stream));
        match stop.run_until_cancelled(begun).await {
            Some(Ok(Ok(false))) => self.serve_http1(watcher).await,
            // Apart: a crowd that waits speaks HTTP/1, and each would have room for the other.
            Some(Ok(Ok(true))) => Box::pin(self.serve_http2(watcher)).await,
            Some(Ok(Err(error))) => tracing::debug!(%error, "a connection was gone before it asked"),
            // It said nothing for too long, or this node stops.
            Some(Err(_)) | None => {}
        }
    }

    async fn serve_http1(self, watcher: Watcher) {
        let Self { stream, peer, stack, edge } = self;
        let service = service_fn(move |request| {
            let edge = Arc::clone(&edge);
            // In a box that goes with the answer: the connection would keep room for it as long as it lives, and
            // thousands of them only wait for events.
            Box::pin(async move { Ok::<_, Infallible>(edge.answer(peer, request).await) })
        });
        let stream = TokioIo::new(Guarded::new(stream, stack.patience));
        // In a box, since a task would keep room for it twice: as it was given, and as it is awaited.
        let connection = Box::pin(watcher.watch(stack.http1.serve_connection(stream, service)));
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended badly");
        }
    }

    async fn serve_http2(self, watcher: Watcher) {
        let Self { stream, peer, stack, edge } = self;
        let shares = Shares::new(&stack.http2_limits, stack.request_timeout);
        let too_much = shares.too_many_given_up();
        let service = service_fn(move |request: Request<Incoming>| {
            let (edge, asked) = (Arc::clone(&edge), shares.ask(Edge::may_be_long(&request)));
            Box::pin(async move {
                // Apart: most who wait for their turn have not come to it yet, and need no room for an answer.
                let turn = asked.turn().await;
                Ok::<_, Infallible>(match turn {
                    Ok(turn) => asked.answered(Box::pin(edge.answer(peer, request)).await, turn),
                    Err(_) => asked.answered(edge.too_late(&request), None),
                })
            })
        });
        let stream = TokioIo::new(Guarded::new(stream, stack.patience));
        let connection = Box::pin(watcher.watch(stack.http2.serve_connection(stream, service)));
        tokio::select! {
            ended = connection => if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended badly");
            },
            () = too_much.cancelled() => {
                metrics::counter!("onrush_http_given_up_total").increment(1);
                tracing::debug!("a connection is ended whose client gives up what it asks for without end");
            }
        }
    }
}

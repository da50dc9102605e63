//! Connections: accepted up to a limit, each with its time limits, and let go in order at the end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::edge::Edge;
use super::stall::Guarded;
use super::version::is_http2;
use crate::config;

/// Binds the address with a backlog that a burst fits in. A port of 0 takes a free one.
pub fn bind(config: &config::Http) -> std::io::Result<TcpListener> {
    let socket = match config.listen {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(config.listen)?;
    socket.listen(config.backlog_max)
}

/// Serves until told to stop; then takes no more connections, and finishes the requests that were accepted.
pub async fn serve(listener: TcpListener, edge: Arc<Edge>, config: config::Http, stop: CancellationToken) {
    let versions = Arc::new(Versions::new(&config));
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
        let connection = Connection { stream, peer, versions: Arc::clone(&versions), edge: Arc::clone(&edge) };
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

/// How connections are served, by the version that they speak.
struct Versions {
    http1: Builder<TokioExecutor>,
    http2: Builder<TokioExecutor>,
    header_timeout: Duration,
    write_stall: Duration,
}

impl Versions {
    fn new(config: &config::Http) -> Self {
        let header_timeout = Duration::from_millis(config.header_timeout_ms);
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_buf_size(config.header_bytes_max)
            .pipeline_flush(true);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(config.header_bytes_max).unwrap_or(u32::MAX));
        Self {
            http1: builder.clone().http1_only(),
            http2: builder.http2_only(),
            header_timeout,
            write_stall: Duration::from_millis(config.write_stall_ms),
        }
    }
}

/// One that was accepted.
struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    versions: Arc<Versions>,
    edge: Arc<Edge>,
}

impl Connection {
    /// Until it ends. Who is told to stop and has not asked for anything yet is let go.
    async fn serve(self, watcher: Watcher, stop: CancellationToken) {
        let Self { stream, peer, versions, edge } = self;
        let begun = tokio::time::timeout(versions.header_timeout, is_http2(&stream));
        let builder = match stop.run_until_cancelled(begun).await {
            Some(Ok(Ok(true))) => &versions.http2,
            Some(Ok(Ok(false))) => &versions.http1,
            Some(Ok(Err(error))) => return tracing::debug!(%error, "a connection was gone before it asked"),
            // It said nothing for too long, or this node stops.
            Some(Err(_)) | None => return,
        };
        let service = service_fn(move |request| {
            let edge = Arc::clone(&edge);
            // In a box that goes with the answer: the connection would keep room for it as long as it lives, and
            // thousands of them only wait for events.
            Box::pin(async move { Ok::<_, Infallible>(edge.answer(peer, request).await) })
        });
        let stream = TokioIo::new(Guarded::new(stream, versions.write_stall));
        // In a box, since a task would keep room for it twice: as it was given, and as it is awaited.
        let connection = Box::pin(watcher.watch(builder.serve_connection(stream, service).into_owned()));
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended badly");
        }
    }
}

//! How the HTTP library is set up. No option is here that was not attacked: see `tests/it/stack/`.
//!
//! - Answers are written as soon as they are there. (The library can hold them back to write several requests' together, but
//!   does so for as long as anything unread is there, be it an empty line; and errors of its own it then never writes.)
//! - HTTP/1 has one request and one answer at a time. Bodies are written from where they are, and not copied.
//! - Everything else that a connection may have under way is a setting.

use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::config;
use crate::http::serve::stall::Patience;

/// How connections are served, by the version that they speak.
pub(crate) struct Stack {
    pub(crate) http1: http1::Builder,
    pub(crate) http2: http2::Builder<TokioExecutor>,
    pub(crate) http2_limits: config::Http2,
    pub(crate) header_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) patience: Patience,
}

impl Stack {
    pub(crate) fn new(config: &config::Http) -> Self {
        let header_timeout = Duration::from_millis(config.header_timeout_ms);
        let limits = &config.http2;
        let (mut http1, mut http2) = (http1::Builder::new(), http2::Builder::new(TokioExecutor::new()));
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_header_size(config.header_bytes_max)
            // What is read at a time may be more than that.
            .max_buf_size(config.header_bytes_max)
            .max_headers(config.headers_max)
            .writev(true);
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(config.header_bytes_max).unwrap_or(u32::MAX))
            .max_concurrent_streams(limits.streams_max)
            .max_send_buf_size(limits.send_buffer_bytes_max)
            .initial_stream_window_size(limits.stream_window_bytes)
            .initial_connection_window_size(limits.connection_window_bytes)
            .keep_alive_interval(Duration::from_millis(limits.ping_every_ms))
            .keep_alive_timeout(Duration::from_millis(limits.ping_timeout_ms));
        Self {
            http1,
            http2,
            http2_limits: limits.clone(),
            header_timeout,
            request_timeout: Duration::from_millis(config.request_timeout_ms),
            patience: Patience {
                write: Duration::from_millis(config.write_stall_ms),
                linger: Duration::from_millis(config.linger_ms),
                linger_bytes_max: config.linger_bytes_max,
            },
        }
    }
}

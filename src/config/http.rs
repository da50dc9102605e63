//! The settings of the server, and their limits: what a stranger may send, and what it may cost.

use std::net::SocketAddr;

use serde::Deserialize;

use super::Limits;

section!(
    /// The server.
    Http {
        listen: SocketAddr, public_url: String, connections_max: usize, backlog_max: u32, body_bytes_max: usize,
        header_bytes_max: usize, headers_max: usize, header_timeout_ms: u64, request_timeout_ms: u64, write_stall_ms: u64,
        kernel_send_bytes_max: u32,         linger_ms: u64, linger_bytes_max: usize, lame_duck_ms: u64, drain_timeout_ms: u64, cors_origins: Vec<String>, metrics_open: bool,
        http2: Http2,
    }
);
section!(
    /// What one connection of HTTP/2 may have under way.
    Http2 {
        streams_max: u32, answers_max: usize, given_up_max: u32, send_buffer_bytes_max: usize, stream_window_bytes: u32,
        connection_window_bytes: u32, ping_every_ms: u64, ping_timeout_ms: u64,
    }
);

impl Http {
    pub(super) fn check(&self, is: &mut Limits) {
        is.within("http.connections_max", self.connections_max, 1..=1_000_000);
        is.within("http.backlog_max", self.backlog_max, 1..=65_535);
        is.within("http.body_bytes_max", self.body_bytes_max, 1_024..=16 << 20);
        is.within("http.header_bytes_max", self.header_bytes_max, 8_192..=1 << 20);
        is.within("http.headers_max", self.headers_max, 20..=1_000);
        is.within("http.header_timeout_ms", self.header_timeout_ms, 100..=600_000);
        is.within("http.request_timeout_ms", self.request_timeout_ms, 100..=600_000);
        is.within("http.write_stall_ms", self.write_stall_ms, 1_000..=600_000);
        is.within("http.kernel_send_bytes_max", self.kernel_send_bytes_max, 4_096..=16 << 20);
        is.within("http.linger_ms", self.linger_ms, 0..=60_000);
        is.within("http.linger_bytes_max", self.linger_bytes_max, 0..=64 << 20);
        is.within("http.lame_duck_ms", self.lame_duck_ms, 0..=600_000);
        is.within("http.drain_timeout_ms", self.drain_timeout_ms, 0..=600_000);
        let http2 = &self.http2;
        is.within("http.http2.streams_max", http2.streams_max, 1..=10_000);
        is.within("http.http2.answers_max", http2.answers_max, 1..=10_000);
        is.within("http.http2.given_up_max", http2.given_up_max, 1..=1_000_000);
        is.within("http.http2.send_buffer_bytes_max", http2.send_buffer_bytes_max, 16_384..=16 << 20);
        is.within("http.http2.stream_window_bytes", http2.stream_window_bytes, 16_384..=16 << 20);
        is.within(
            "http.http2.connection_window_bytes",
            http2.connection_window_bytes,
            // A connection's window begins with so many, and cannot be made smaller (RFC 9113, section 6.9.2).
            http2.stream_window_bytes.max(65_535)..=1 << 30,
        );
        is.within("http.http2.ping_every_ms", http2.ping_every_ms, 100..=3_600_000);
        is.within("http.http2.ping_timeout_ms", http2.ping_timeout_ms, 100..=600_000);
    }
}

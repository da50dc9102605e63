//! Where may a server listen? On a port that is free, and that no client will be given.

use std::net::TcpListener;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::bail;

/// A port that nothing listens on. Below those that the kernel gives to outgoing connections: a client that tries to
/// reach a dead server again and again would otherwise be given its port one day, and reach itself.
pub fn free_port() -> anyhow::Result<u16> {
    const FIRST: u16 = 23_000;
    const COUNT: u16 = 9_000;
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| {
        // Two programs begin at different places; whoever finds a port taken goes on.
        let start = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(COUNT)).unwrap_or(0);
        AtomicU16::new(start)
    });
    for _ in 0..COUNT {
        let port = FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free from {FIRST} on")
}

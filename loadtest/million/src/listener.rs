//! Who holds thousands of event streams open, and counts what comes? A process of its own, started by this program.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use testkit::open_files;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

/// Connections that are being made at a time.
const OPENING_MAX: usize = 64;
const SAY_EVERY: Duration = Duration::from_millis(200);
const BUFFER_BYTES: usize = 1 << 10;
/// A first event, with the head before it, is shorter than this.
const FIRST_BYTES_MAX: usize = 32 << 10;
/// An event begins a line with this.
const EVENT: &[u8] = b"\ndata:";

/// What a listener is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Orders {
    /// Who is listened to.
    #[arg(long)]
    node: SocketAddr,
    /// Whose waiting room.
    #[arg(long)]
    campaign: String,
    /// A file with a ticket on each line: a stream for each.
    #[arg(long)]
    tickets: PathBuf,
}

/// What was heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Streams that had their first event and have not ended.
    pub(crate) open: usize,
    /// Streams that never had one, or ended.
    pub(crate) failed: usize,
    /// Events of all of them.
    pub(crate) events: u64,
}

/// Listens until it is killed, and says again and again what it has heard.
pub(crate) async fn run(orders: Orders) -> anyhow::Result<()> {
    open_files::raise_to_hard_limit()?;
    let text = std::fs::read_to_string(&orders.tickets).context("reading the tickets")?;
    let heard = Rc::new(Cell::new(Heard::default()));
    let opening = Rc::new(Semaphore::new(OPENING_MAX));
    let set = LocalSet::new();
    for ticket in text.lines() {
        let path = format!("/v1/campaigns/{}/waiting/events?ticket={ticket}", orders.campaign);
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n\r\n", orders.node);
        let (heard, opening, node) = (Rc::clone(&heard), Rc::clone(&opening), orders.node);
        set.spawn_local(async move {
            let mut is_open = false;
            if let Err(error) = listen(node, &request, &heard, &opening, &mut is_open).await
                && heard.get().failed < 5
            {
                eprintln!("a stream: {error:#}");
            }
            let mut now = heard.get();
            now.failed += 1;
            now.open -= usize::from(is_open);
            heard.set(now);
        });
    }
    set.run_until(async {
        loop {
            tokio::time::sleep(SAY_EVERY).await;
            let Heard { open, failed, events } = heard.get();
            println!("open {open} failed {failed} events {events}");
        }
    })
    .await
}

/// What a listener said last.
pub(crate) fn read(said: &str) -> Heard {
    let parse = |line: &str| {
        let mut words = line.split(' ');
        let mut number = |name: &str| (words.next() == Some(name)).then(|| words.next()?.parse::<u64>().ok())?;
        let (open, failed, events) = (number("open")?, number("failed")?, number("events")?);
        Some(Heard { open: usize::try_from(open).ok()?, failed: usize::try_from(failed).ok()?, events })
    };
    // The last line may be half written.
    let whole = said.rfind('\n').map_or("", |end| &said[..end]);
    whole.lines().rev().find_map(parse).unwrap_or_default()
}

async fn listen(
    node: SocketAddr,
    request: &str,
    heard: &Cell<Heard>,
    opening: &Semaphore,
    is_open: &mut bool,
) -> anyhow::Result<()> {
    let mut permit = Some(opening.acquire().await?);
    let mut stream = TcpStream::connect(node).await?;
    stream.write_all(request.as_bytes()).await?;
    let (mut buffer, mut matcher) = (vec![0; BUFFER_BYTES], Matcher::default());
    // All that came before the first event.
    let mut first = Vec::new();
    loop {
        let read = stream.read(&mut buffer).await?;
        ensure!(read > 0, "ended after {:?}", String::from_utf8_lossy(&first));
        if !*is_open {
            first.extend_from_slice(&buffer[..read]);
            let is_well = first.starts_with(b"HTTP/1.1 200") && first.len() < FIRST_BYTES_MAX;
            ensure!(is_well, "no event in {:?}", String::from_utf8_lossy(&first));
        }
        let events = matcher.count(&buffer[..read]);
        let mut now = heard.get();
        now.events += events;
        if !*is_open && events > 0 {
            (*is_open, first) = (true, Vec::new());
            now.open += 1;
            // The next one may connect.
            drop(permit.take());
        }
        heard.set(now);
    }
}

/// Counts events, wherever the reads cut them.
#[derive(Debug, Default)]
struct Matcher {
    matched: usize,
}

impl Matcher {
    fn count(&mut self, bytes: &[u8]) -> u64 {
        let mut count = 0;
        for byte in bytes {
            // A line feed is only at its beginning: whatever does not go on may begin anew.
            if *byte == EVENT[self.matched] {
                self.matched += 1;
            } else {
                self.matched = usize::from(*byte == EVENT[0]);
            }
            if self.matched == EVENT.len() {
                self.matched = 0;
                count += 1;
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_wherever_they_are_cut() {
        let stream =
            b"HTTP/1.1 200 OK\r\n\r\n15\r\ndata: {\"x\":\"\\ndata:\"}\n\n\r\n4\r\n:\n\n\r\n9\r\nid: 1\n\ndata: {}\n\n";
        for cut in 0..stream.len() {
            let mut matcher = Matcher::default();
            assert_eq!(matcher.count(&stream[..cut]) + matcher.count(&stream[cut..]), 2, "cut at {cut}");
        }
    }

    #[test]
    fn the_last_whole_line_is_what_was_heard() {
        let said = "a stream: oh\nopen 3 failed 1 events 17\nopen 3 failed 1 even";
        assert_eq!(read(said), Heard { open: 3, failed: 1, events: 17 });
        assert_eq!(read("open 3 fai"), Heard::default());
    }
}

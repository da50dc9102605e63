//! What lies between a node and a store? A TCP proxy that can cut, stall, delay and refuse connections, lose replies, hide
//! messages and fail announcements.

mod resp;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Bytes that are passed on at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// How long an announcement that is to fail is held: longer than a node waits for Redis.
const ANNOUNCEMENT_HELD: Duration = Duration::from_millis(1_300);
/// What a call of a script looks like on its way to Redis.
const SCRIPT_CALL: &[u8] = b"EVALSHA";
/// The number of Kafka's request `OffsetCommit`.
const OFFSET_COMMIT: [u8; 2] = [0, 8];
/// No request to Kafka is near this size.
const REQUEST_BYTES_MAX: u32 = 64 << 20;

/// Whether requests have to be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// No: bytes.
    Any,
    /// Requests to Kafka.
    Kafka,
    /// Commands to Redis.
    Redis,
}

/// How bytes travel now.
#[expect(clippy::struct_excessive_bools, reason = "each is a weather of its own, and any of them may come together")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Weather {
    /// One more each time all open connections are cut.
    cuts: u64,
    refuses: bool,
    stalls: bool,
    delay: Duration,
    holds_offset_commits: bool,
    hides_messages: bool,
}

/// A proxy in front of one store, for one node.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Shared {
    protocol: Protocol,
    upstream: Mutex<SocketAddr>,
    weather: watch::Sender<Weather>,
    /// Replies to script calls that are still to be lost.
    losing: AtomicUsize,
    lost: AtomicUsize,
    held: AtomicUsize,
    /// Announcements that are still to fail.
    failing: AtomicUsize,
}

impl Proxy {
    /// Listens on a free port and passes everything on.
    pub async fn start(protocol: Protocol, upstream: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", testkit::port::free_port()?)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            protocol,
            upstream: Mutex::new(upstream),
            weather: watch::Sender::new(Weather::default()),
            losing: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            failing: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, accepting })
    }

    /// Where the node connects to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// New connections go elsewhere; those that are open are cut.
    pub fn redirect(&self, upstream: SocketAddr) {
        *self.shared.upstream.lock().unwrap_or_else(PoisonError::into_inner) = upstream;
        self.cut();
    }

    /// Ends all open connections. New ones are welcome.
    pub fn cut(&self) {
        self.shared.weather.send_modify(|weather| weather.cuts += 1);
    }

    /// Ends all open connections, and every new one at once, until [`Self::clear`].
    pub fn refuse(&self) {
        self.shared.weather.send_modify(|weather| {
            weather.cuts += 1;
            weather.refuses = true;
        });
    }

    /// Holds what is sent in both directions, until [`Self::clear`].
    pub fn stall(&self) {
        self.shared.weather.send_modify(|weather| weather.stalls = true);
    }

    /// Passes everything on this much later, until [`Self::clear`].
    pub fn delay(&self, by: Duration) {
        self.shared.weather.send_modify(|weather| weather.delay = by);
    }

    /// The next so many replies to script calls are lost, and each time the connection with it: the script has run, and
    /// nobody heard so.
    pub fn lose_replies(&self, count: usize) {
        self.shared.losing.store(count, Ordering::SeqCst);
    }

    /// How many replies were lost so far.
    #[must_use]
    pub fn lost_replies(&self) -> usize {
        self.shared.lost.load(Ordering::SeqCst)
    }

    /// Holds every commit of offsets, and what follows it on its connection, until [`Self::clear`].
    pub fn hold_offset_commits(&self) {
        self.shared.weather.send_modify(|weather| weather.holds_offset_commits = true);
    }

    /// How many commits of offsets were held so far.
    #[must_use]
    pub fn held_offset_commits(&self) -> usize {
        self.shared.held.load(Ordering::SeqCst)
    }

    /// Takes out what other nodes say through Redis, until [`Self::clear`].
    pub fn hide_messages(&self) {
        self.shared.weather.send_modify(|weather| weather.hides_messages = true);
    }

    /// The next so many announcements do not get to Redis: whoever sent one hears nothing until it gives up.
    pub fn fail_announcements(&self, count: usize) {
        self.shared.failing.store(count, Ordering::SeqCst);
    }

    /// Fair weather again. What was held goes on its way.
    pub fn clear(&self) {
        self.shared.losing.store(0, Ordering::SeqCst);
        self.shared.failing.store(0, Ordering::SeqCst);
        self.shared.weather.send_modify(|weather| *weather = Weather { cuts: weather.cuts, ..Weather::default() });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        // An error is that of one connection which was gone before it was accepted.
        let Ok((client, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let mut sky = Sky::at_birth(&shared);
            if sky.now().refuses {
                return;
            }
            let upstream = *shared.upstream.lock().unwrap_or_else(PoisonError::into_inner);
            let Ok(server) = TcpStream::connect(upstream).await else { return };
            if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
                return;
            }
            let called = AtomicBool::new(false);
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            // Whoever ends first ends both: dropping the halves closes the sockets.
            tokio::select! {
                () = requests(&shared, sky.clone(), from_client, to_server, &called) => {}
                () = replies(&shared, sky.clone(), from_server, to_client, &called) => {}
                _ = sky.until(|_| false) => {}
            }
        });
    }
}

/// From the node to the store: chunk by chunk, or, where requests have to be told apart, one at a time.
async fn requests(shared: &Shared, mut sky: Sky, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, called: &AtomicBool) {
    let mut bytes = Vec::new();
    loop {
        let read = match shared.protocol {
            Protocol::Kafka => read_request(&mut from, &mut bytes).await,
            Protocol::Any | Protocol::Redis => read_chunk(&mut from, &mut bytes).await,
        };
        if read.is_err() || sky.travel().await.is_err() {
            return;
        }
        if shared.protocol == Protocol::Kafka && bytes[4..6] == OFFSET_COMMIT && sky.now().holds_offset_commits {
            shared.held.fetch_add(1, Ordering::SeqCst);
            if sky.until(|now| !now.holds_offset_commits).await.is_err() {
                return;
            }
        }
        if shared.protocol == Protocol::Redis
            && shared.failing.load(Ordering::SeqCst) > 0
            && resp::announces(&bytes)
            && shared.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
        {
            tokio::time::sleep(ANNOUNCEMENT_HELD).await;
            return;
        }
        if bytes.windows(SCRIPT_CALL.len()).any(|word| word == SCRIPT_CALL) {
            called.store(true, Ordering::SeqCst);
        }
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// From the store to the node.
async fn replies(shared: &Shared, mut sky: Sky, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, called: &AtomicBool) {
    let mut bytes = Vec::new();
    loop {
        if read_chunk(&mut from, &mut bytes).await.is_err() {
            return;
        }
        if called.swap(false, Ordering::SeqCst)
            && shared.losing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
        {
            shared.lost.fetch_add(1, Ordering::SeqCst);
            return;
        }
        if sky.travel().await.is_err() {
            return;
        }
        if shared.protocol == Protocol::Redis && sky.now().hides_messages {
            bytes = resp::without_messages(&bytes);
        }
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// The weather over one connection, which ends with the first cut after its birth.
#[derive(Clone)]
struct Sky {
    weather: watch::Receiver<Weather>,
    cuts_at_birth: u64,
}

/// The connection is cut.
struct Cut;

impl Sky {
    fn at_birth(shared: &Shared) -> Self {
        let weather = shared.weather.subscribe();
        let cuts_at_birth = weather.borrow().cuts;
        Self { weather, cuts_at_birth }
    }

    fn now(&self) -> Weather {
        *self.weather.borrow()
    }

    /// Waits for such weather. A cut counts also when the weather is such by now: what was held before it is lost.
    async fn until(&mut self, is_such: impl Fn(&Weather) -> bool) -> Result<Weather, Cut> {
        let born = self.cuts_at_birth;
        let now = self.weather.wait_for(|now| now.cuts != born || is_such(now)).await.map_err(|_| Cut)?;
        if now.cuts == born { Ok(*now) } else { Err(Cut) }
    }

    /// What the weather does to whoever travels.
    async fn travel(&mut self) -> Result<(), Cut> {
        let delay = self.until(|now| !now.stalls).await?.delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        Ok(())
    }
}

fn one_less(left: usize) -> Option<usize> {
    left.checked_sub(1)
}

async fn read_chunk(from: &mut OwnedReadHalf, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.resize(CHUNK_BYTES, 0);
    match from.read(bytes).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => {
            bytes.truncate(count);
            Ok(())
        }
    }
}

/// One request to Kafka: four bytes of length, then its number and whatever it says.
async fn read_request(from: &mut OwnedReadHalf, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.resize(4, 0);
    from.read_exact(bytes).await?;
    let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    if !(2..=REQUEST_BYTES_MAX).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    bytes.resize(4 + length as usize, 0);
    from.read_exact(&mut bytes[4..]).await.map(drop)
}

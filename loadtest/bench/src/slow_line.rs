//! How does one reach a store as from far away? Everything on its way there and back is passed on a little later.

use std::net::SocketAddr;
use std::time::Duration;

use testkit::port::free_port;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Bytes that are passed on at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// A line to a store. Dropped, it is cut.
pub struct SlowLine {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl SlowLine {
    /// A line on which everything takes so much longer, in each direction.
    pub async fn start(store: SocketAddr, delay: Duration) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", free_port()?)).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            // They end with this task.
            let mut connections = JoinSet::new();
            loop {
                // An error is that of one connection which was gone before it was accepted.
                let Ok((client, _)) = listener.accept().await else { continue };
                connections.spawn(connect(client, store, delay));
            }
        });
        Ok(Self { address, accepting })
    }

    /// Where it begins.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for SlowLine {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connect(client: TcpStream, store: SocketAddr, delay: Duration) {
    let Ok(server) = TcpStream::connect(store).await else { return };
    if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Whoever ends first ends both: dropping the halves closes the sockets.
    tokio::select! {
        () = carry(from_client, to_server, delay) => {}
        () = carry(from_server, to_client, delay) => {}
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let mut bytes = vec![0; CHUNK_BYTES];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        tokio::time::sleep(delay).await;
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_message_and_its_answer_are_each_that_much_later() {
        let store = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let delay = Duration::from_millis(50);
        let line = SlowLine::start(store.local_addr().unwrap(), delay).await.unwrap();
        let begun = Instant::now();
        let mut client = TcpStream::connect(line.address()).await.unwrap();
        client.write_all(b"ping").await.unwrap();
        let (mut server, _) = store.accept().await.unwrap();
        let mut heard = [0; 4];
        server.read_exact(&mut heard).await.unwrap();
        assert!(&heard == b"ping" && begun.elapsed() >= delay);
        server.write_all(b"pong").await.unwrap();
        client.read_exact(&mut heard).await.unwrap();
        assert!(&heard == b"pong" && begun.elapsed() >= delay * 2);
        drop(line);
        assert_eq!(client.read(&mut heard).await.unwrap_or(0), 0, "it is cut");
    }
}

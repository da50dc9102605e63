//! The rig's own tools do what the other tests take for granted.

use std::time::Duration;

use faults::proxy::{Protocol, Proxy};
use testkit::patience::Patience;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::run;

/// Length 4, request 8 (`OffsetCommit`), version 0.
const COMMIT: [u8; 8] = [0, 0, 0, 4, 0, 8, 0, 0];
/// Often enough for either order in which a task may learn of two changes.
const ROUNDS: usize = 100;

/// Whoever is killed with a request under way was never heard, however soon the weather is fair again.
#[test]
fn what_was_held_when_connections_were_cut_does_not_get_through() {
    run(async {
        let store = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(Protocol::Kafka, store.local_addr().unwrap()).await.unwrap();
        for round in 1..=ROUNDS {
            proxy.hold_offset_commits();
            let mut client = TcpStream::connect(proxy.address()).await.unwrap();
            let (mut heard, _) = store.accept().await.unwrap();
            client.write_all(&COMMIT).await.unwrap();
            let patience = Patience::new("the commit is held", Duration::from_secs(10));
            while proxy.held_offset_commits() < round {
                patience.wait().await.unwrap();
            }
            proxy.cut();
            proxy.clear();
            let mut bytes = Vec::new();
            // However it ends, it ends.
            let _reset = heard.read_to_end(&mut bytes).await;
            assert!(bytes.is_empty(), "in round {round} the store heard {bytes:?}");
        }
    });
}

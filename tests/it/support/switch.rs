//! A store's address that can lead elsewhere, or nowhere: as when another server is promoted, or none can be reached.

use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Listens on loopback and passes every connection on to wherever it leads now.
pub(crate) struct Switch {
    pub(crate) port: u16,
    leads_to: Arc<Mutex<Option<u16>>>,
    turns: watch::Sender<()>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Switch {
    /// Leads to this port of loopback; `None`: connections are closed at once.
    pub(crate) async fn to(port: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (leads_to, turns) = (Arc::new(Mutex::new(port)), watch::Sender::new(()));
        let (target, turned) = (Arc::clone(&leads_to), turns.clone());
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((mut client, _)) = listener.accept().await else { continue };
                let (target, mut turned) = (*target.lock().unwrap(), turned.subscribe());
                let Some(target) = target else { continue };
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
                    tokio::select! {
                        _ = turned.changed() => {}
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                    }
                });
            }
        });
        Self { port: own, leads_to, turns, accepting }
    }

    /// Leads elsewhere from now on; what was connected is cut.
    pub(crate) fn turn(&self, port: Option<u16>) {
        *self.leads_to.lock().unwrap() = port;
        self.turns.send_replace(());
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

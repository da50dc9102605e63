//! Messages between nodes. They only hurry things up: whoever listens also looks by itself, since pub/sub forgets.

use tokio::sync::broadcast::{Receiver, error::RecvError};

use fred::types::Message;
use fred::types::config::Server;

/// What there is to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// A campaign's id: its definition has changed.
    Changes,
    /// A campaign's id, generation and epoch, parted by spaces: a unit has come back where none was left.
    Reopened,
    /// A campaign's id: its outbox was empty and is not any more.
    Outbox,
    /// A campaign's id: something has moved in its waiting room that visitors see.
    Waiting,
    /// What of the cache is not so any more, what was loaded, and the heartbeats of nodes that listen to themselves.
    Cache,
}

impl Channel {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Reopened => "reopened",
            Self::Outbox => "outbox_filled",
            Self::Waiting => "waiting",
            Self::Cache => "cache",
        }
    }
}

/// What one listener hears.
pub struct Messages {
    channel: String,
    incoming: Receiver<Message>,
}

impl Messages {
    pub(super) fn new(channel: String, incoming: Receiver<Message>) -> Self {
        Self { channel, incoming }
    }

    /// The next message's text; `None` where messages were missed, so that the listener looks by itself. Pends for
    /// ever once the connection was closed for good. Safe to drop while it waits.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            match self.incoming.recv().await {
                Ok(message) if *message.channel == *self.channel => return message.value.into_string(),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return None,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

/// Tells of connections that were made again.
pub struct Reconnects(Receiver<Server>);

impl Reconnects {
    pub(super) fn new(made_again: Receiver<Server>) -> Self {
        Self(made_again)
    }

    /// The next one. Pends for ever once the connection was closed for good. Safe to drop while it waits.
    pub async fn next(&mut self) {
        if let Err(RecvError::Closed) = self.0.recv().await {
            std::future::pending::<()>().await;
        }
    }
}

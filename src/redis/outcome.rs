//! Did it happen? What a failed call says of that, which depends on what was sent.
//!
//! - A server that refuses a script says so before the script's first write, and then nothing was done: it has no memory left,
//!   it is a replica, it is loading, ...
//! - That speaks of one sending. The library sends again after it has connected again, and the first may have been carried out
//!   while its answer was lost: where a connection was made during the call, a refusal says nothing of what came before it.
//! - What was given to a client without a connection, and for which none was made, was never sent.

use fred::clients::{Client, Pool};
use fred::error::{Error, ErrorKind};
use fred::prelude::{ClientLike, EventInterface};
use fred::types::ClientState;
use fred::types::config::Server;
use tokio::sync::broadcast;

use super::error::RedisError;

/// How often the connections of each client were made again. Nobody reads these: their lengths are the counts, which are
/// up to date before anything is sent over the new connection.
pub(super) struct MadeAgain(Vec<(String, broadcast::Receiver<Server>)>);

impl MadeAgain {
    pub(super) fn of(pool: &Pool) -> Self {
        Self(pool.clients().iter().map(|client| (client.id().to_owned(), client.reconnect_rx())).collect())
    }

    fn count(&self, client: &Client) -> usize {
        self.0.iter().find(|(id, _)| **id == *client.id()).map_or(0, |(_, made)| made.len())
    }
}

/// A call that is under way.
pub(super) struct Sent<'a> {
    client: &'a Client,
    made_again: &'a MadeAgain,
    made_before: usize,
    had_no_connection: bool,
}

impl<'a> Sent<'a> {
    pub(super) fn begin(client: &'a Client, made_again: &'a MadeAgain) -> Self {
        // In this order: a connection that is made from here on is counted, and one that was made before and is not there
        // yet for everybody has another state. One server of a cluster may be away while others are there.
        let made_before = made_again.count(client);
        let had_no_connection = client.state() == ClientState::Disconnected && !client.is_clustered();
        Self { client, made_again, made_before, had_no_connection }
    }

    /// Whether it may have been sent over one connection and then over another.
    pub(super) fn may_be_twice(&self) -> bool {
        self.made_again.count(self.client) != self.made_before
    }

    /// What its failure means.
    pub(super) fn judge(&self, error: Error) -> RedisError {
        match once(error) {
            RedisError::Refused(error) | RedisError::Unsent(error) if self.may_be_twice() => error.into(),
            RedisError::Unavailable(error) if self.had_no_connection && !self.may_be_twice() => {
                RedisError::Unsent(error)
            }
            other => other,
        }
    }
}

/// What the failure of something means that was sent once at most.
pub(super) fn once(error: Error) -> RedisError {
    if is_refusal(&error) {
        RedisError::Refused(error)
    } else if *error.kind() == ErrorKind::Backpressure {
        RedisError::Unsent(error)
    } else {
        error.into()
    }
}

/// Answers by which a server says that it has done nothing. Redis checks the first write of a script, and not those after it,
/// for all that could keep it from writing.
const REFUSALS: &[&str] = &[
    "OOM",
    "READONLY",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOREPLICAS",
    "NOSCRIPT",
    "BUSY",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MOVED",
    "ASK",
    "NOAUTH",
    "NOPERM",
];

fn is_refusal(error: &Error) -> bool {
    let word = error.details().split([' ', '\r', '\n']).next().unwrap_or_default();
    REFUSALS.contains(&word)
}

impl RedisError {
    /// Why, in words for clients: what Redis itself has said is for the log.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "Redis did not answer",
            Self::Refused(_) => "Redis takes nothing at the moment",
            Self::Unsent(_) => "Redis cannot be reached",
            Self::Unexpected(_) => "Redis answered what was not expected",
            Self::Fenced => "Redis was restarted, replaced or emptied and is being verified",
            Self::Unfit(_) => "this Redis is not fit for use",
        }
    }

    /// Whether the call is known to have done nothing, although it failed.
    #[must_use]
    pub fn has_done_nothing(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Unexpected(_) => false,
            Self::Refused(_) | Self::Unsent(_) | Self::Fenced | Self::Unfit(_) => true,
        }
    }

    /// Counts it, and says in the log what clients are not told.
    pub fn note(&self) {
        metrics::counter!("onrush_store_failures_total", "store" => "Redis").increment(1);
        tracing::warn!(store = "Redis", cause = %self, "a request failed because a store did");
    }

    /// The failure of what came after something that was done: nobody may say of the whole that nothing was.
    #[must_use]
    pub fn after_it_was_done(self) -> Self {
        match self {
            Self::Unavailable(error) | Self::Refused(error) | Self::Unsent(error) => Self::Unavailable(error),
            Self::Unexpected(text) | Self::Unfit(text) => Self::Unexpected(text),
            Self::Fenced => Self::Unexpected("it was done, but its server is being verified".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_by_its_first_word_and_nothing_else_is_certain() {
        let failed = |kind, details: &'static str| once(Error::new(kind, details)).has_done_nothing();
        for refusal in [
            "OOM command not allowed when used memory > 'maxmemory'. script: 0123456789abcdef0123456789abcdef01234567, on x:1.",
            "READONLY You can't write against a read only replica.",
            "LOADING Redis is loading the dataset in memory",
            "NOSCRIPT No matching script. Please use EVAL.",
            "BUSY Redis is busy running a script.",
        ] {
            assert!(failed(ErrorKind::Unknown, refusal), "{refusal}");
        }
        for unknown in ["ERR OOM", "OOMPH", "WRONGTYPE Operation against a key", "Request timed out.", ""] {
            assert!(!failed(ErrorKind::Unknown, unknown), "{unknown}");
        }
        assert!(!failed(ErrorKind::Timeout, "Request timed out.") && !failed(ErrorKind::IO, "connection closed"));
        assert!(failed(ErrorKind::Backpressure, "Max command queue length exceeded"));
    }

    #[test]
    fn what_failed_after_it_was_done_is_never_called_undone() {
        let all = [
            RedisError::Refused(Error::new(ErrorKind::Unknown, "OOM")),
            RedisError::Unsent(Error::new(ErrorKind::Backpressure, "full")),
            RedisError::Unavailable(Error::new(ErrorKind::Timeout, "late")),
            RedisError::Unexpected("x".into()),
            RedisError::Fenced,
            RedisError::Unfit("x".into()),
        ];
        for error in all {
            assert!(!error.after_it_was_done().has_done_nothing());
        }
    }
}

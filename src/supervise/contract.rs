//! What a loop says of itself: when it ends, what a node is without it, and why it ended.

use std::fmt::Display;

/// When a loop ends, as its node stops: earlier stages first, each after all loops of those before it have ended.
///
/// Requests, then the loops that follow campaigns, then those that watch; then the relay (its last publish and delete), the
/// writer (its last transaction and offsets), the posts' relay, the lanes that posts pass (each after those that feed it),
/// and last those that take care of what is left over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Takes connections.
    Serve,
    /// Keeps the node's memory up to date.
    Follow,
    /// Looks after all of it.
    Watch,
    /// From the outbox to Kafka.
    Relay,
    /// From Kafka to the database.
    Write,
    /// Messages about posts to Kafka.
    RelayPosts,
    /// A lane that posts pass, by its place.
    Lane(usize),
    /// Dead letters and contradictions.
    Mend,
}

/// What a node is without the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Not ready: what it would answer is not so.
    ToServe,
    /// Ready all the same.
    Beside,
}

/// What the future of a loop comes to.
pub trait Ending: Send + 'static {
    /// Why it ended, where it says so.
    fn why(self) -> Option<String>;
}

impl Ending for () {
    fn why(self) -> Option<String> {
        None
    }
}

impl<E: Display + Send + 'static> Ending for Result<(), E> {
    fn why(self) -> Option<String> {
        self.err().map(|error| format!("{error:#}"))
    }
}

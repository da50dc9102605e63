//! Which loops does a node run, and do they run? Starts each by its name, starts it again when it ends before its time, shows
//! it to whoever asks, and lets them end in the order of their stages.
//!
//! - A loop that ends by itself, with an error or a panic, begins anew after a pause that doubles with each time in a row.
//! - One that does not come back ends the process: whoever runs it sees that, and starts another.
//! - What a loop needs is given by a function that makes it anew, so that nothing of what broke is kept.

mod board;
mod keeper;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use board::{Board, LoopState, LoopView};
use keeper::Keeper;

use crate::config;

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

/// Runs the loops of one node.
pub struct Supervisor {
    settings: config::Supervisor,
    /// For tests: this one breaks whenever it begins.
    broken: String,
    board: Arc<Board>,
    stages: BTreeMap<Stage, Running>,
}

#[derive(Default)]
struct Running {
    stop: CancellationToken,
    loops: Vec<(&'static str, JoinHandle<()>)>,
}

impl Supervisor {
    /// Runs nothing yet. A loop that is named `broken` breaks whenever it begins.
    #[must_use]
    pub fn new(settings: config::Supervisor, broken: &str) -> Self {
        Self { settings, broken: broken.to_owned(), board: Arc::default(), stages: BTreeMap::new() }
    }

    /// Where all loops are shown.
    #[must_use]
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Starts a loop. `run` makes it, each time that it starts; it ends soon after its token is cancelled.
    pub fn start<F>(
        &mut self,
        (stage, name, need): (Stage, &'static str, Need),
        run: impl Fn(CancellationToken) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output: Ending> + Send + 'static,
    {
        let running = self.stages.entry(stage).or_default();
        let keeper = Keeper {
            entry: self.board.add(name, need),
            board: Arc::clone(&self.board),
            settings: self.settings.clone(),
            stop: running.stop.clone(),
            is_broken: self.broken == name,
        };
        running.loops.push((name, tokio::spawn(keeper.keep(run))));
    }

    /// Is cancelled when the loops of this stage have to end.
    pub fn stop_of(&mut self, stage: Stage) -> CancellationToken {
        self.stages.entry(stage).or_default().stop.clone()
    }

    /// Lets all loops end, stage by stage.
    pub async fn stop(self) {
        for (stage, running) in self.stages {
            running.stop.cancel();
            for (name, handle) in running.loops {
                if let Err(error) = handle.await {
                    tracing::error!(name, ?stage, %error, "whoever keeps this loop had ended before");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

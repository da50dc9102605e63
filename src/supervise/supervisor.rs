//! Starts loops, and lets them end stage by stage.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::contract::{Ending, Need, Stage};
use super::runner::Runner;
use crate::config;

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
        let runner = Runner {
            entry: self.board.add(name, need),
            board: Arc::clone(&self.board),
            settings: self.settings.clone(),
            stop: running.stop.clone(),
            is_broken: self.broken == name,
        };
        running.loops.push((name, tokio::spawn(runner.run_on(run))));
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
                    tracing::error!(name, ?stage, %error, "the runner of this loop had ended before");
                }
            }
        }
    }
}

//! One loop, again and again until it is told to stop.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::board::{Board, Entry, LoopState};
use super::contract::Ending;
use crate::config;

/// Keeps one loop running.
pub(super) struct Runner {
    pub(super) entry: Arc<Entry>,
    pub(super) board: Arc<Board>,
    pub(super) settings: config::Supervisor,
    pub(super) stop: CancellationToken,
    /// For tests: it breaks whenever it begins.
    pub(super) is_broken: bool,
}

impl Runner {
    pub(super) async fn run_on<F>(self, run: impl Fn(CancellationToken) -> F + Send + Sync + 'static)
    where
        F: Future<Output: Ending> + Send + 'static,
    {
        let name = self.entry.name;
        let mut in_a_row = 0;
        loop {
            let began = Instant::now();
            self.entry.is(LoopState::Running);
            if self.is_broken {
                self.entry.broken.notify_one();
            }
            let why = self.once(run(self.stop.clone())).await;
            let why = match (why, self.stop.is_cancelled()) {
                (None, true) => break,
                (why, _) => why.unwrap_or_else(|| "it ended by itself".to_owned()),
            };
            self.entry.ended(&why);
            if self.stop.is_cancelled() {
                tracing::error!(name, why, "a loop ended badly while it was told to stop");
                break;
            }
            let was_steady = began.elapsed() >= Duration::from_millis(self.settings.steady_ms);
            in_a_row = if was_steady { 1 } else { in_a_row + 1 };
            if in_a_row > self.settings.restarts_max {
                self.entry.is(LoopState::GivenUp);
                tracing::error!(name, why, in_a_row, "a loop does not come back: this process ends");
                self.board.give_up();
                return;
            }
            self.entry.is(LoopState::Restarting);
            let pause = self.pause(in_a_row);
            tracing::error!(
                name,
                why,
                in_a_row,
                pause_ms = pause.as_millis(),
                "a loop ended before its time; it begins anew"
            );
            if self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
        }
        self.entry.is(LoopState::Stopped);
    }

    /// Once. Answers why it ended, where that was not in order.
    async fn once<F>(&self, running: F) -> Option<String>
    where
        F: Future<Output: Ending> + Send + 'static,
    {
        let entry = Arc::clone(&self.entry);
        let running = tokio::spawn(async move {
            tokio::select! {
                biased;
                () = entry.broken.notified() => panic!("a test broke this loop"),
                ending = running => ending.why(),
            }
        });
        match running.await {
            Ok(why) => why,
            Err(error) if error.is_panic() => Some(format!("panicked: {}", message_of(&*error.into_panic()))),
            Err(error) => Some(error.to_string()),
        }
    }

    fn pause(&self, in_a_row: u32) -> Duration {
        let doubled = self.settings.restart_ms.saturating_mul(1 << in_a_row.saturating_sub(1).min(20));
        Duration::from_millis(doubled.min(self.settings.restart_ms_max))
    }
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

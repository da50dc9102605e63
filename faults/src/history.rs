//! What did the clients see? Every request, when it was sent, and what came back when.

use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use testkit::client::Answer;

use crate::request::Asked;

/// One request.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// Of which campaign; of all: "".
    pub campaign: String,
    /// Who asked; for a redemption and a raise, on whose behalf does not matter.
    pub user: String,
    /// For what.
    pub asked: Asked,
    /// Which node.
    pub node: usize,
    /// When, since the run began.
    pub sent: Duration,
    /// When the answer was there, or it was clear that none would come.
    pub heard: Duration,
    /// The answer.
    pub answer: Option<Answer>,
}

impl Event {
    /// The status of the answer, 0 without one.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.answer.as_ref().map_or(0, |answer| answer.status)
    }

    /// The code of a problem, or "".
    #[must_use]
    pub fn code(&self) -> &str {
        self.answer.as_ref().map_or("", Answer::code)
    }

    /// Whether it may have happened, or may still: no answer, or one that says so.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self.status(), 0 | 503)
    }

    /// Whether it asked for a unit, and with which key.
    #[must_use]
    pub fn claim(&self) -> Option<Option<&str>> {
        match &self.asked {
            Asked::Claim { key } => Some(key.as_deref()),
            Asked::ClaimWithPass { key, .. } => Some(Some(key)),
            _ => None,
        }
    }
}

/// Everything that was asked in a run.
pub struct History {
    begin: Instant,
    events: Mutex<Vec<Event>>,
}

impl Default for History {
    fn default() -> Self {
        Self { begin: Instant::now(), events: Mutex::default() }
    }
}

impl History {
    /// The time since the run began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Takes it down.
    pub fn add(&self, event: Event) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    /// What there is so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests that were answered with this status so far; looks at campaigns do not count.
    #[must_use]
    pub fn count(&self, status: u16) -> usize {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = |event: &&Event| event.status() == status && !matches!(event.asked, Asked::View | Asked::List);
        events.iter().filter(counts).count()
    }

    /// Claims, and those that were answered 201.
    #[must_use]
    pub fn claims(&self) -> (usize, usize) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let claims = || events.iter().filter(|event| event.claim().is_some());
        (claims().count(), claims().filter(|event| event.status() == 201).count())
    }

    /// Writes it down, a line a request.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        let mut file = std::io::BufWriter::new(std::fs::File::create(file)?);
        for event in self.events() {
            serde_json::to_writer(&mut file, &event)?;
            file.write_all(b"\n")?;
        }
        Ok(file.flush()?)
    }
}

//! What do all sections know? The plan, the users, the stores, and how far it all is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use report::data::Run;

use crate::plan::Plan;
use crate::stores::Stores;
use crate::users::Users;

/// Connections of a closed loop at full speed: as many requests as may be under way.
pub const CONNECTIONS: usize = 256;

/// One run of the program.
pub struct Bench {
    /// For how long.
    pub plan: Plan,
    /// Who asks.
    pub users: Arc<Users>,
    /// What is shared.
    pub stores: Arc<Stores>,
    /// Where it is.
    pub progress: Progress,
}

/// How far a run is.
pub struct Progress {
    sections: Vec<(&'static str, Duration)>,
    now: usize,
    since: Instant,
}

impl Progress {
    /// Of these sections, with what each is thought to take.
    #[must_use]
    pub fn new(sections: Vec<(&'static str, Duration)>) -> Self {
        Self { sections, now: 0, since: Instant::now() }
    }

    /// A section begins, counted from 0.
    pub fn begin(&mut self, section: usize) {
        (self.now, self.since) = (section, Instant::now());
        self.say("begins");
    }

    /// What runs now.
    pub fn say(&self, what: &str) {
        let (name, _) = self.sections[self.now];
        let left = self.left().as_secs();
        println!(
            "[{}/{}] {name}: {what} (about {}:{:02} left)",
            self.now + 1,
            self.sections.len(),
            left / 60,
            left % 60
        );
    }

    fn left(&self) -> Duration {
        let later: Duration = self.sections[self.now + 1..].iter().map(|(_, length)| *length).sum();
        later + self.sections[self.now].1.saturating_sub(self.since.elapsed())
    }
}

/// Adds what a section found.
pub fn absorb(run: &mut Run, part: Run) {
    run.versions.extend(part.versions);
    run.commands.extend(part.commands);
    run.targets.extend(part.targets);
    run.latencies.extend(part.latencies);
    run.timelines.extend(part.timelines);
    run.strategies.extend(part.strategies);
    run.cpu.extend(part.cpu);
    run.tables.extend(part.tables);
    run.notes.extend(part.notes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_comes_later_and_the_rest_of_now() {
        let mut progress = Progress::new(vec![("a", Duration::from_secs(100)), ("b", Duration::from_secs(50))]);
        assert!((145..=150).contains(&progress.left().as_secs()));
        progress.begin(1);
        assert!((45..=50).contains(&progress.left().as_secs()));
        progress.sections[1].1 = Duration::ZERO;
        assert_eq!(progress.left(), Duration::ZERO);
    }
}

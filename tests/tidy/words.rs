//! One word for one idea: names that the glossary has replaced do not come back.

use crate::sources::{code, files};

/// What was called so once, and how it is called now. `docs/glossary.md` says what each means.
const REPLACED: &[(&str, &str)] = &[
    ("Belief", "Liveness"),
    ("Boarding", "Join"),
    ("Copier", "Ingester"),
    ("Door", "HotRoute"),
    ("Errand", "LoadReason"),
    ("Flaw", "FieldError"),
    ("Halter", "Quarantine"),
    ("Keeper", "RoomController"),
    ("LetterBox", "DeadLetters"),
    ("Means", "LaneContext"),
    ("Pulse", "Heartbeat"),
    ("Reads", "FeedConsumer"),
    ("Stand", "Position"),
    ("Standing", "Status"),
    ("Stands", "PageStatus"),
    ("Survey", "Snapshot"),
    ("Told", "StatusBody"),
    ("Vitals", "LedgerHealth"),
    ("Warden", "RoomSupervisor"),
    ("Wish", "Intent"),
    ("deafened", "without_messages"),
];

#[test]
fn what_the_glossary_has_replaced_does_not_come_back() {
    let mut wrong = Vec::new();
    for (name, text) in ["src", "faults", "loadtest", "testkit", "benches"].into_iter().flat_map(|at| files(at, "rs")) {
        if name.contains("/target/") {
            continue;
        }
        for (line_no, line) in code(&text) {
            // Prose in texts and behind code may use any word.
            let line = line.split('"').step_by(2).collect::<String>();
            let line = line.split("//").next().unwrap();
            for word in line.split(|c: char| !(c.is_alphanumeric() || c == '_')) {
                if let Some((_, now)) = REPLACED.iter().find(|(was, _)| *was == word) {
                    wrong.push(format!("{name}:{line_no}: {word} is called {now}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

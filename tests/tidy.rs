//! The house rules, as a test: who may import whom, where each dependency lives, how files look.

#![allow(clippy::unwrap_used, reason = "what cannot be read fails the test, as it should")]

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms of `src/`, uphill to downhill, and what each may use of the others.
const IMPORTS: &[(&str, &[&str])] = &[
    ("main", &["app", "config", "database", "http", "ids", "ledger", "rebuild", "redis", "telemetry", "waiting"]),
    (
        "app",
        &[
            "alarm",
            "cache",
            "campaign",
            "claim",
            "clock",
            "config",
            "database",
            "feed",
            "fence",
            "health",
            "http",
            "kafka",
            "ledger",
            "letters",
            "nodes",
            "redis",
            "supervise",
            "telemetry",
            "upstream",
            "waiting",
        ],
    ),
    (
        "http",
        &[
            "alarm",
            "cache",
            "campaign",
            "claim",
            "clock",
            "config",
            "database",
            "feed",
            "health",
            "ids",
            "ledger",
            "letters",
            "redis",
            "supervise",
            "text",
            "waiting",
        ],
    ),
    ("alarm", &["campaign", "clock", "config", "database", "feed", "kafka", "ledger", "nodes", "redis"]),
    ("nodes", &["claim", "clock", "config", "ledger", "redis", "supervise"]),
    ("health", &["config", "database", "kafka", "redis"]),
    ("supervise", &["clock", "config"]),
    ("fence", &["campaign", "config", "database", "facts", "ids", "kafka", "redis", "script"]),
    ("rebuild", &["campaign", "config", "database", "facts", "ids", "kafka", "redis", "script"]),
    ("claim", &["campaign", "clock", "coalescer", "config", "ids", "redis", "script"]),
    ("waiting", &["cache", "campaign", "clock", "coalescer", "config", "ids", "redis", "script"]),
    ("feed", &["cache", "clock", "config", "database", "ids", "kafka", "letters", "redis", "throttle", "upstream"]),
    ("upstream", &["cache", "clock", "config", "ids"]),
    ("coalescer", &["campaign", "ids", "redis"]),
    ("campaign", &["cache", "clock", "config", "database", "ids", "redis", "script"]),
    ("ledger", &["clock", "config", "database", "facts", "ids", "kafka", "letters", "redis", "script", "throttle"]),
    ("cache", &["clock", "config", "redis", "script"]),
    ("letters", &["clock", "config", "database", "facts", "ids", "kafka"]),
    ("throttle", &["database"]),
    ("redis", &["clock", "config", "facts", "ids", "script"]),
    ("kafka", &["config", "facts", "ids"]),
    ("database", &["config"]),
    ("telemetry", &["config"]),
    ("facts", &["ids"]),
    ("config", &[]),
    ("clock", &[]),
    ("ids", &["text"]),
    ("text", &[]),
    ("lib", &[]),
];

/// Dependencies with one home, and where it is.
const HOMES: &[(&str, &[&str])] = &[
    ("fred", &["src/redis/"]),
    ("axum", &["src/http/"]),
    ("askama", &["src/http/page/"]),
    ("hyper_util", &["src/http/"]),
    ("tower_http", &["src/http/"]),
    ("utoipa_axum", &["src/http/"]),
    ("jsonwebtoken", &["src/http/", "src/waiting/"]),
    ("rdkafka", &["src/kafka"]),
    (
        "sqlx",
        &[
            "src/database.rs",
            "src/alarm/",
            "src/campaign/",
            "src/feed/",
            "src/fence/",
            "src/ledger/",
            "src/letters/",
            "src/rebuild/",
            "src/throttle/",
        ],
    ),
    ("hmac", &["src/claim/coupon.rs", "src/waiting/"]),
    ("ed25519_dalek", &["src/waiting/"]),
    ("moka", &["src/cache/"]),
    ("zstd", &["src/cache/"]),
    ("figment", &["src/config.rs"]),
    ("ipnet", &["src/config/auth.rs", "src/http/auth.rs"]),
    ("reqwest", &["src/alarm/", "src/feed/inspect/chat.rs", "src/http/jwks.rs", "src/upstream/client.rs"]),
    ("failsafe", &["src/upstream/breaker.rs"]),
    ("clap", &["src/main.rs"]),
    ("rust_stemmers", &["src/feed/search/tokens.rs"]),
    ("url", &["src/config/"]),
    ("unicode_normalization", &["src/feed/", "src/claim/coupon.rs"]),
    ("metrics_exporter_prometheus", &["src/telemetry/mod.rs", "src/http/mod.rs", "src/app.rs"]),
];

const LINES_MAX: usize = 400;

fn files(below: &str, ending: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, ending, found);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join(below), ending, &mut found);
    found.sort();
    assert!(!found.is_empty(), "no .{ending} below {below}");
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// The lines that are code, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The words that follow `prefix` on a line, up to the end of the name.
fn names_after<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(prefix).filter_map(move |(at, _)| {
        let before = line[..at].chars().next_back();
        let rest = &line[at + prefix.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        (!before.is_some_and(|c| c.is_alphanumeric() || c == '_') && end > 0).then(|| &rest[..end])
    })
}

#[test]
fn imports_run_downhill() {
    let mut wrong = Vec::new();
    for (name, text) in files("src", "rs") {
        let room = name.strip_prefix("src/").unwrap().split(['/', '.']).next().unwrap().to_owned();
        let (_, allowed) =
            IMPORTS.iter().find(|(known, _)| *known == room).unwrap_or_else(|| panic!("{room} is not in the table"));
        for (line_no, line) in code(&text) {
            for prefix in ["crate::", "onrush::"] {
                for used in names_after(line, prefix).filter(|used| *used != room && !allowed.contains(used)) {
                    wrong.push(format!("{name}:{line_no}: {room} may not use {used}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The table itself is downhill: no room can reach itself.
#[test]
fn the_import_table_has_no_loop() {
    fn reaches(from: &str, to: &str, depth: usize) -> bool {
        assert!(depth < IMPORTS.len(), "a loop that does not even pass {to}");
        let below = IMPORTS.iter().find(|(room, _)| *room == from).map_or(&[][..], |(_, below)| below);
        below.iter().any(|room| *room == to || reaches(room, to, depth + 1))
    }
    for (room, _) in IMPORTS {
        assert!(!reaches(room, room, 0), "{room} reaches itself");
    }
}

#[test]
fn each_dependency_has_one_home() {
    let mut wrong = Vec::new();
    for (name, text) in files("src", "rs") {
        for (line_no, line) in code(&text) {
            for (dependency, homes) in HOMES {
                let used = line.contains(&format!("{dependency}::")) || line.contains(&format!("use {dependency};"));
                let whole_word = line
                    .match_indices(dependency)
                    .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'));
                if used && whole_word && !homes.iter().any(|home| name.starts_with(home)) {
                    wrong.push(format!("{name}:{line_no}: {dependency} lives in {homes:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_first_what_it_is_and_fits_in_a_head() {
    let sources = ["src", "tests", "benches", "loadtest", "faults", "testkit", "dev"]
        .into_iter()
        .flat_map(|below| files(below, "rs"));
    for (name, text) in sources.filter(|(name, _)| !name.contains("/target/")) {
        assert!(text.starts_with("//! "), "{name} does not begin with //!");
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX + 50, "{name} has {lines} lines; about {LINES_MAX} is the most");
    }
}

#[test]
fn every_script_states_its_contract() {
    for (name, text) in files("lua", "lua") {
        // What Redis itself has to know of a script stands before everything else.
        let text = text.strip_prefix("#!lua flags=allow-oom\n").unwrap_or(&text);
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("--")).collect();
        let stem = Path::new(&name).file_stem().unwrap().to_string_lossy().into_owned();
        assert!(text.starts_with(&format!("-- {stem}: ")), "{name} does not begin with its name");
        if stem == "prelude" {
            continue;
        }
        for part in ["-- KEYS[1]", "-- ARGV", "-- Reply:", "-- Safe to repeat:"] {
            assert!(header.iter().any(|line| line.starts_with(part)), "{name} has no {part} in its header");
        }
        for (line_no, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with("--")) {
            assert!(!line.contains("cjson"), "{name}:{}: cjson is not for scripts on the hot path", line_no + 1);
            assert!(!line.contains("onrush:"), "{name}:{}: keys come in KEYS", line_no + 1);
        }
    }
}

#[test]
fn nothing_is_put_off() {
    let this_file = "tests/tidy.rs";
    let sources = ["src", "tests", "benches", "loadtest", "faults", "testkit", "dev"]
        .into_iter()
        .flat_map(|below| files(below, "rs"));
    for (name, text) in sources.filter(|(name, _)| name != this_file && !name.contains("/target/")) {
        for word in ["#[ignore", "todo!", "unimplemented!", "TODO", "FIXME", "unbounded_channel"] {
            assert!(!text.contains(word), "{name} has {word}");
        }
    }
}

/// Each setting is explained, in the file that sets it, by a comment above it or above its group.
#[test]
fn every_setting_is_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("config/default.toml")).unwrap();
    let obvious = ["listen", "url", "brokers", "facts_topic", "batch_max", "buffer_facts_max"];
    let mut explained = false;
    for line in text.lines() {
        if line.starts_with('#') {
            explained = true;
        } else if line.is_empty() || line.starts_with('[') {
            explained = false;
        } else if let Some((name, _)) = line.split_once(" = ") {
            assert!(explained || obvious.contains(&name), "{name} has no comment");
        }
    }
}

/// What shops are to copy is what was tried: the README shows the examples to the letter.
#[test]
fn the_readme_shows_the_examples_as_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    for (language, file) in [("python", "verify.py"), ("javascript", "verify.mjs"), ("go", "verify.go")] {
        let text = fs::read_to_string(root.join("examples/verify-pass").join(file)).unwrap();
        assert!(readme.contains(&format!("```{language}\n{text}```\n")), "the README does not show {file} as it is");
    }
}

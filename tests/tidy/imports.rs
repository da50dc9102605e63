//! Who may import whom, and where each dependency lives.

use crate::sources::{code, files};

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
            "dead_letters",
            "nodes",
            "redis",
            "supervise",
            "telemetry",
            "upstream",
            "waiting",
            "hex",
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
            "dead_letters",
            "redis",
            "supervise",
            "text",
            "waiting",
            "hex",
        ],
    ),
    ("alarm", &["campaign", "clock", "config", "database", "feed", "kafka", "ledger", "nodes", "redis"]),
    ("nodes", &["claim", "clock", "config", "ledger", "redis", "supervise"]),
    ("health", &["config", "database", "kafka", "redis"]),
    ("supervise", &["clock", "config"]),
    ("fence", &["campaign", "config", "database", "facts", "ids", "kafka", "redis", "script"]),
    ("rebuild", &["campaign", "config", "database", "facts", "ids", "kafka", "redis", "script"]),
    ("claim", &["campaign", "clock", "coalescer", "config", "facts", "ids", "redis", "script"]),
    ("waiting", &["cache", "campaign", "claim", "clock", "coalescer", "config", "ids", "redis", "script", "hex"]),
    (
        "feed",
        &["cache", "clock", "config", "database", "ids", "kafka", "dead_letters", "redis", "throttle", "upstream"],
    ),
    ("upstream", &["cache", "config", "ids"]),
    ("coalescer", &["campaign", "ids", "redis"]),
    ("campaign", &["cache", "clock", "config", "database", "ids", "redis", "script"]),
    ("ledger", &["config", "database", "facts", "ids", "kafka", "dead_letters", "redis", "script", "throttle"]),
    ("cache", &["clock", "config", "redis", "script"]),
    ("dead_letters", &["clock", "config", "database", "facts", "ids", "kafka"]),
    ("throttle", &["database"]),
    ("redis", &["clock", "config", "facts", "ids", "script"]),
    ("kafka", &["config", "facts"]),
    ("database", &["config"]),
    ("telemetry", &["config"]),
    ("facts", &["ids"]),
    ("config", &[]),
    ("clock", &[]),
    ("ids", &["text"]),
    ("text", &[]),
    ("hex", &[]),
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
            "src/dead_letters/",
            "src/rebuild/",
            "src/throttle/",
        ],
    ),
    ("hmac", &["src/claim/coupon.rs", "src/waiting/"]),
    ("ed25519_dalek", &["src/waiting/"]),
    ("moka", &["src/cache/"]),
    ("zstd", &["src/cache/"]),
    ("figment", &["src/config.rs"]),
    ("ipnet", &["src/config/auth.rs", "src/http/auth/"]),
    ("reqwest", &["src/alarm/", "src/feed/inspect/chat.rs", "src/http/auth/jwks.rs", "src/upstream/client.rs"]),
    ("failsafe", &["src/upstream/breaker.rs"]),
    ("clap", &["src/main.rs"]),
    ("data_encoding", &["src/hex.rs", "src/http/serve/edge.rs"]),
    ("rust_stemmers", &["src/feed/search/tokens.rs"]),
    ("url", &["src/config/"]),
    ("unicode_normalization", &["src/feed/", "src/claim/coupon.rs"]),
    ("metrics_exporter_prometheus", &["src/telemetry/mod.rs", "src/http/state.rs", "src/app.rs"]),
];

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

/// What nobody uses any more is not allowed for later.
#[test]
fn the_import_table_says_nothing_that_is_not_so() {
    let mut used = std::collections::BTreeSet::new();
    for (name, text) in files("src", "rs") {
        let room = name.strip_prefix("src/").unwrap().split(['/', '.']).next().unwrap().to_owned();
        for (_, line) in code(&text) {
            for prefix in ["crate::", "onrush::"] {
                used.extend(names_after(line, prefix).map(|below| (room.clone(), below.to_owned())));
            }
            if let Some((_, group)) = line.split_once("onrush::{") {
                let names = group.split([',', '}']).filter_map(|path| path.trim().split("::").next());
                used.extend(names.map(|below| (room.clone(), below.to_owned())));
            }
            // Its macro has no path.
            used.extend(line.contains("script!(").then(|| (room.clone(), "script".to_owned())));
        }
    }
    let allowed = IMPORTS.iter().flat_map(|(room, below)| below.iter().map(move |below| (*room, *below)));
    let unused: Vec<_> =
        allowed.filter(|(room, below)| !used.contains(&((*room).to_owned(), (*below).to_owned()))).collect();
    assert!(unused.is_empty(), "allowed, and not used: {unused:?}");
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

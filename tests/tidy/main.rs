//! The house rules, as a test: who may import whom, where each dependency lives, how files look.

#![allow(clippy::unwrap_used, reason = "what cannot be read fails the test, as it should")]

mod circles;
mod configuration;
mod imports;
mod sources;
mod words;

use std::fs;
use std::path::Path;

use sources::files;

const LINES_MAX: usize = 400;
const README_BYTES_MAX: usize = 10_000;

#[test]
fn every_file_says_first_what_it_is_and_fits_in_a_head() {
    let sources = ["src", "tests", "benches", "loadtest", "faults", "testkit", "dev"]
        .into_iter()
        .flat_map(|below| files(below, "rs"));
    for (name, text) in sources.filter(|(name, _)| !name.contains("/target/")) {
        assert!(text.starts_with("//! "), "{name} does not begin with //!");
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{name} has {lines} lines; {LINES_MAX} is the most");
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
    let this_file = "tests/tidy/main.rs";
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

/// What shops are to copy is what was tried: documents show no program of their own, but lead to the examples.
#[test]
fn the_documents_lead_to_the_examples() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/integration.md")).unwrap();
    for file in ["verify.py", "verify.mjs", "verify.go"] {
        assert!(
            text.contains(&format!("(../examples/verify-pass/{file})")),
            "docs/integration.md does not lead to {file}"
        );
    }
}

/// Links of documents lead to files that are there.
#[test]
fn no_document_has_a_dead_link() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    let folders = ["docs", "lua", "migrations"].into_iter().flat_map(|below| files(below, "md"));
    let top = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    let top = top.map(|name| (name.to_owned(), fs::read_to_string(root.join(name)).unwrap()));
    for (name, text) in folders.chain(top) {
        let folder = root.join(&name).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ', '#']).next()) {
            if !link.is_empty() && !link.contains("://") && !link.starts_with("mailto:") && !folder.join(link).exists()
            {
                wrong.push(format!("{name}: {link}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Who comes today reads it in minutes.
#[test]
fn the_readme_is_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bytes = fs::read(root.join("README.md")).unwrap().len();
    assert!(bytes <= README_BYTES_MAX, "README.md has {bytes} bytes; {README_BYTES_MAX} is the most: docs/ has room");
}

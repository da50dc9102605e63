//! Folders to write into, and what is in them.

#![allow(clippy::unwrap_used, reason = "what cannot be read fails the test, as it should")]

use std::fs;
use std::path::{Path, PathBuf};

/// An empty folder of this test's own, below `target/`.
pub(crate) fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report").join(test);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    folder
}

pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == ending));
    found.sort();
    found
}

/// Where Markdown's links and pictures lead.
pub(crate) fn links(markdown: &str) -> Vec<String> {
    markdown.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link.to_owned()).collect()
}

/// Markdown's tables: rows of cells, with the head and the dashes below it.
pub(crate) fn tables(markdown: &str) -> Vec<Vec<Vec<String>>> {
    let mut tables = Vec::new();
    let mut table: Vec<Vec<String>> = Vec::new();
    for line in markdown.lines().chain([""]) {
        if let Some(line) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) {
            let escaped = line.replace("\\|", "\u{0}");
            table.push(escaped.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect());
        } else if !table.is_empty() {
            tables.push(std::mem::take(&mut table));
        }
    }
    tables
}

/// Whether a picture has this text.
pub(crate) fn is_shown(folder: &Path, picture: &str, text: &str) -> bool {
    let svg = fs::read_to_string(folder.join(format!("pictures/{picture}.svg"))).unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    document
        .descendants()
        .any(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text")) && node.text() == Some(text))
}

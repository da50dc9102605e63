//! No file imports one that imports it, directly or around: a room can then be read, and taken out, by itself.
//!
//! Names that a `mod.rs` only hands on (`pub use`) count as those of the file that defines them. Unit tests are not looked at.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::files;

/// The crates, each with the folder of its sources.
const CRATES: &[&str] = &[
    "src",
    "faults/src",
    "loadtest/bench/src",
    "loadtest/browser/src",
    "loadtest/goose/src",
    "loadtest/million/src",
    "loadtest/report/src",
    "loadtest/src",
    "loadtest/strategies/src",
    "dev/upstream/src",
    "testkit/src",
];

type Path = Vec<String>;

/// A crate's modules: where each stands, and what it says without comments and unit tests.
struct Crate {
    modules: BTreeMap<Path, Module>,
}

struct Module {
    file: String,
    text: String,
    /// Names that it hands on, with the path that they come from.
    handed_on: BTreeMap<String, Path>,
}

impl Crate {
    fn read(folder: &str) -> Self {
        let mut modules = BTreeMap::new();
        for (file, text) in files(folder, "rs") {
            let inside = file.strip_prefix(folder).unwrap().trim_start_matches('/').trim_end_matches(".rs");
            let mut path: Path = inside.split('/').map(str::to_owned).collect();
            if path.last().is_some_and(|last| last == "mod") || path == ["lib"] || path == ["main"] {
                path.pop();
            }
            let text = plain(&text);
            modules.entry(path).or_insert(Module { file, text, handed_on: BTreeMap::new() });
        }
        let mut read = Self { modules };
        let handed_on: Vec<(Path, BTreeMap<String, Path>)> =
            read.modules.keys().map(|path| (path.clone(), read.handed_on_by(path))).collect();
        for (path, names) in handed_on {
            read.modules.get_mut(&path).unwrap().handed_on = names;
        }
        read
    }

    fn handed_on_by(&self, path: &Path) -> BTreeMap<String, Path> {
        let mut names = BTreeMap::new();
        for (is_public, used) in uses(&self.modules[path].text) {
            if is_public && let Some(target) = self.absolute(path, &used) {
                names.insert(used.last().unwrap().clone(), target);
            }
        }
        names
    }

    /// A path as it is written in a module, from the root of its crate; `None`: it leads into another crate.
    fn absolute(&self, from: &Path, written: &[String]) -> Option<Path> {
        let mut base: Path = match written.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self") => from.clone(),
            Some("super") => {
                let mut up = from.clone();
                let steps = written.iter().take_while(|part| *part == "super").count();
                up.truncate(up.len().checked_sub(steps)?);
                up.extend(written[steps..].iter().cloned());
                return Some(up);
            }
            Some(first) => {
                let mut child = from.clone();
                child.push(first.to_owned());
                if !self.modules.contains_key(&child) {
                    return None;
                }
                child.extend(written[1..].iter().cloned());
                return Some(child);
            }
            None => return None,
        };
        base.extend(written[1..].iter().cloned());
        Some(base)
    }

    /// The module in which what the path names is defined.
    fn home(&self, path: &[String], depth: usize) -> Option<Path> {
        let length = (0..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length]))?;
        let module = path[..length].to_vec();
        let handed_on = path.get(length).and_then(|name| self.modules[&module].handed_on.get(name));
        match handed_on {
            Some(target) if depth < 8 && *target != path => self.home(target, depth + 1),
            _ => Some(module),
        }
    }

    fn imports(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut imports = BTreeMap::new();
        for (path, module) in &self.modules {
            // What a module only hands on it does not use itself.
            let is_used = |name: &String| words(&module.text).filter(|word| word == name).count() > 1;
            let imported = uses(&module.text).into_iter();
            let imported = imported.filter(|(is_public, used)| !is_public || used.last().is_some_and(is_used));
            let children = self.modules.keys().filter(|child| child.len() == path.len() + 1 && child.starts_with(path));
            let children = children.map(|child| child[path.len()].clone()).collect::<Vec<_>>();
            let used = imported.map(|(_, used)| used).chain(inline_paths(&module.text, &children));
            let homes = used.filter_map(|used| self.home(&self.absolute(path, &used)?, 0));
            // The root only says which modules there are.
            let targets = homes.filter(|home| home != path && !home.is_empty());
            let targets = targets.map(|home| self.modules[&home].file.clone()).collect();
            imports.insert(module.file.clone(), targets);
        }
        imports
    }
}

/// Without comments, texts and unit tests, which stand at the end.
fn plain(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]\nmod ").next().unwrap();
    code.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// What is imported: whether it is handed on, and the whole path of each name.
fn uses(text: &str) -> Vec<(bool, Path)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("use ") {
        let before = text[..at].rsplit('\n').next().unwrap().trim();
        if !(before.is_empty() || before.starts_with("pub")) {
            continue;
        }
        let Some(end) = text[at..].find(';') else { continue };
        expand(&[], &text[at + 4..at + end], &mut |path| found.push((!before.is_empty(), path)));
    }
    found
}

/// `a::{b, c::d as e}` is `a::b` and `a::c::d`.
fn expand(prefix: &[String], tree: &str, found: &mut impl FnMut(Path)) {
    let tree = tree.trim();
    let (head, group) = match tree.find('{') {
        Some(open) => (tree[..open].trim_end_matches("::"), Some(&tree[open + 1..tree.rfind('}').unwrap()])),
        None => (tree.split(" as ").next().unwrap(), None),
    };
    let mut path = prefix.to_vec();
    path.extend(head.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()));
    let Some(group) = group else {
        if path.last().is_some_and(|last| last == "self" && path.len() > 1) {
            path.pop();
        }
        found(path);
        return;
    };
    let (mut depth, mut start) = (0_usize, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&path, &group[start..at], found);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !group[start..].trim().is_empty() {
        expand(&path, &group[start..], found);
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}

/// Paths that are written out where they are used: from the root, from the parent, or through a child.
fn inline_paths(text: &str, children: &[String]) -> Vec<Path> {
    let mut found = Vec::new();
    let starts = children.iter().map(|child| format!("{child}::")).chain(["crate::".to_owned(), "super::".to_owned()]);
    for start in starts {
        for (at, _) in text.match_indices(&start) {
            let line = text[..at].rsplit('\n').next().unwrap();
            let is_inside = line.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if line.contains("use ") || is_inside || line.contains("pub(in ") {
                continue;
            }
            let end = text[at..].find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
            let path = &text[at..at + end.unwrap_or(text.len() - at)];
            found.push(path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect());
        }
    }
    found
}

/// Files of which each reaches all others.
fn circles(imports: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach = |from: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(file) = next.pop() {
            for used in &imports[&file] {
                if seen.insert(used.clone()) {
                    next.push(used.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = imports.keys().map(|file| (file, reach(file))).collect();
    let mut found: Vec<Vec<String>> = Vec::new();
    for (file, below) in &reached {
        let is_known = found.iter().any(|circle| circle.contains(file));
        if below.contains(*file) && !is_known {
            found.push(below.iter().filter(|other| reached[other].contains(*file)).cloned().collect());
        }
    }
    found
}

#[test]
fn no_file_imports_one_that_imports_it() {
    let mut wrong = Vec::new();
    for folder in CRATES {
        let imports = Crate::read(folder).imports();
        for circle in circles(&imports) {
            wrong.push(format!("a circle of {}:", circle.len()));
            for file in &circle {
                let ties: Vec<_> = imports[file].iter().filter(|used| circle.contains(used)).cloned().collect();
                wrong.push(format!("    {file} -> {}", ties.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The test itself finds one that is there.
#[test]
fn a_circle_is_found() {
    let of = |used: &[&str]| used.iter().map(|file| (*file).to_owned()).collect::<BTreeSet<_>>();
    let imports = BTreeMap::from([
        ("a".to_owned(), of(&["b"])),
        ("b".to_owned(), of(&["c"])),
        ("c".to_owned(), of(&["b"])),
        ("d".to_owned(), of(&["a"])),
    ]);
    assert_eq!(circles(&imports), [vec!["b".to_owned(), "c".to_owned()]]);
    let mut used = Vec::new();
    expand(&[], "crate::a::{self, b::{C, D as E}, F}", &mut |path| used.push(path.join("::")));
    assert_eq!(used, ["crate::a", "crate::a::b::C", "crate::a::b::D", "crate::a::F"]);
}

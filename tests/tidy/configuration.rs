//! The page of all settings is made from the file that sets them, so neither can say what the other does not.

use std::fmt::Write;
use std::fs;
use std::path::Path;

/// `docs/configuration.md`, as it has to be: each group of settings with the comment above it.
fn page(settings: &str) -> String {
    let mut page = String::from(
        "# Configuration\n\n`config/default.toml` is the source of this page; `make docs` writes it anew. A file that `--config` \
         or `ONRUSH_CONFIG` names is laid over\nthese values, and then variables of the environment: \
         `ONRUSH__CLAIM__BATCH_MAX=128` is `claim.batch_max = 128`. All of it is checked at boot.\n",
    );
    let (mut section, mut comment, mut named) = (String::new(), Vec::new(), Vec::new());
    // The head of the file says what the head of the page says.
    let body = settings.split_once("\n\n").map_or(settings, |(_, body)| body);
    for line in body.lines().chain([""]) {
        if let Some(text) = line.strip_prefix('#') {
            if !named.is_empty() {
                group(&mut page, &section, &mut comment, &mut named);
            }
            comment.push(text.trim());
        } else if let Some((name, value)) = line.split_once(" = ") {
            named.push((name, value));
        } else {
            group(&mut page, &section, &mut comment, &mut named);
            if let Some(name) = line.strip_prefix('[') {
                name.trim_end_matches(']').clone_into(&mut section);
                write!(page, "\n## {section}\n").unwrap();
            }
        }
    }
    page
}

fn group(page: &mut String, section: &str, comment: &mut Vec<&str>, named: &mut Vec<(&str, &str)>) {
    if !named.is_empty() {
        page.push('\n');
    }
    for (name, value) in named.drain(..) {
        writeln!(page, "- `{section}.{name}` = `{value}`").unwrap();
    }
    if !comment.is_empty() {
        write!(page, "\n{}\n", comment.join(" ")).unwrap();
        comment.clear();
    }
}

#[test]
fn the_page_of_settings_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let wanted = page(&fs::read_to_string(root.join("config/default.toml")).unwrap());
    let path = root.join("docs/configuration.md");
    #[expect(clippy::disallowed_methods, reason = "no setting of the product: whether to write the page")]
    let writes = std::env::var_os("ONRUSH_WRITE_DOCS").is_some();
    if writes {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "docs/configuration.md is not what config/default.toml says: run `make docs`");
}

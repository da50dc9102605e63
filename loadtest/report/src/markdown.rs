//! How is it read on a code host? As Markdown, with the pictures as files beside it.

use std::fmt::Write;

use crate::data::Run;
use crate::picture::Picture;
use crate::sheet::{Sheet, Sheets};
use crate::words;

/// The whole report.
pub(crate) fn render(run: &Run, sheets: &Sheets, pictures: &[Picture]) -> String {
    let mut text = format!("# {}\n\n{}\n\n", escape(&words::title(run)), escape(&words::summary(run)));
    text.push_str(
        "The same as a page that opens from disk: [index.html](index.html). As data: [run.json](data/run.json).\n\n",
    );
    section(&mut text, &sheets.targets);
    if !pictures.is_empty() {
        text.push_str("## Pictures\n\n");
    }
    for picture in pictures {
        let (title, slug) = (escape(&picture.title), &picture.slug);
        let _ = write!(text, "### {title}\n\n![{title}](pictures/{slug}.svg)\n\n{}\n\n", escape(&picture.text));
    }
    for sheet in &sheets.figures {
        section(&mut text, sheet);
    }
    section(&mut text, &sheets.machine);
    section(&mut text, &sheets.versions);
    if !run.commands.is_empty() {
        let commands = run.commands.join("\n");
        let fence = fence(&commands);
        let _ = write!(text, "## Commands\n\n{fence}sh\n{commands}\n{fence}\n\n");
    }
    if !run.notes.is_empty() {
        text.push_str("## Notes\n\n");
        for note in &run.notes {
            let _ = writeln!(text, "- {}", escape(note));
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn section(text: &mut String, sheet: &Sheet) {
    if sheet.rows.is_empty() {
        return;
    }
    let _ = write!(text, "## {}\n\n", escape(&sheet.title));
    if !sheet.text.is_empty() {
        let _ = write!(text, "{}\n\n", escape(&sheet.text));
    }
    row(text, sheet.head.iter().map(|cell| escape(cell)));
    let columns = 0..sheet.head.len();
    row(text, columns.map(|column| if sheet.is_numeric(column) { "---:".to_owned() } else { "---".to_owned() }));
    for cells in &sheet.rows {
        row(text, cells.iter().map(|cell| escape(cell)));
    }
    text.push('\n');
}

fn row(text: &mut String, cells: impl Iterator<Item = String>) {
    text.push('|');
    for cell in cells {
        let _ = write!(text, " {cell} |");
    }
    text.push('\n');
}

/// In one line, with nothing in it that Markdown or a table would take for its own.
fn escape(text: &str) -> String {
    let characters: Vec<char> = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().collect();
    let mut escaped = String::new();
    for (position, character) in characters.iter().enumerate() {
        let is_word = |offset: usize| characters.get(offset).is_some_and(|c| c.is_alphanumeric());
        let is_inside = position > 0 && is_word(position - 1) && is_word(position + 1);
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '|' | '\\' | '`' | '*' | '[' | ']' | '~' => escaped.extend(['\\', *character]),
            // `sold_out` stays as it is, as it does in Markdown.
            '_' if !is_inside => escaped.push_str("\\_"),
            '#' | '+' | '-' if position == 0 => escaped.extend(['\\', *character]),
            _ => escaped.push(*character),
        }
    }
    escaped
}

/// Longer than any run of its character in the text.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_cell() {
        assert_eq!(escape("a|b\nc <&\"> `x` *y* [z](u) \\"), r#"a\|b c &lt;&amp;"&gt; \`x\` \*y\* \[z\](u) \\"#);
        assert_eq!(escape("sold_out and __init__ -1"), r"sold_out and \_\_init\_\_ -1");
        assert_eq!(escape("- # no list"), r"\- # no list");
    }

    #[test]
    fn commands_cannot_end_their_block() {
        assert_eq!((fence("make bench"), fence("echo ``` x")), ("```".to_owned(), "````".to_owned()));
    }
}

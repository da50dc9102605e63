//! How is it read in a browser? As one file that needs no other: style, script and pictures are in it.

use std::fmt::Write;

use crate::data::Run;
use crate::picture::Picture;
use crate::sheet::{Sheet, Sheets};
use crate::style;
use crate::svg::escape;
use crate::words;

/// The whole page.
pub(crate) fn render(run: &Run, sheets: &Sheets, pictures: &[Picture]) -> String {
    let title = escape(&words::title(run));
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>\n{}\n{}\n{}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{}</p>\n",
        style::page(),
        style::pictures(),
        include_str!("page.css"),
        escape(&words::summary(run))
    );
    section(&mut page, &sheets.targets, "targets", true);
    for picture in pictures {
        figure(&mut page, picture);
    }
    for sheet in &sheets.figures {
        section(&mut page, sheet, "figures", false);
    }
    section(&mut page, &sheets.machine, "figures", false);
    section(&mut page, &sheets.versions, "figures", false);
    if !run.commands.is_empty() {
        let _ = write!(page, "<h2>Commands</h2>\n<pre>{}</pre>\n", escape(&run.commands.join("\n")));
    }
    if !run.notes.is_empty() {
        page.push_str("<h2>Notes</h2>\n<ul>\n");
        for note in &run.notes {
            let _ = writeln!(page, "<li>{}</li>", escape(note));
        }
        page.push_str("</ul>\n");
    }
    let _ = write!(
        page,
        "<p class=\"end\">As data: <a href=\"data/run.json\">data/run.json</a>. The same as Markdown: \
         <a href=\"report.md\">report.md</a>.</p>\n</main>\n<script>\n{}</script>\n</body>\n</html>\n",
        include_str!("page.js")
    );
    page
}

fn figure(page: &mut String, picture: &Picture) {
    let (title, text) = (escape(&picture.title), escape(&picture.text));
    let (wide, narrow) = (picture.wide.inline(), picture.narrow.inline());
    let _ = write!(page, "<figure>\n<h2>{title}</h2>\n{wide}\n{narrow}\n<figcaption>{text}</figcaption>\n</figure>\n");
}

fn section(page: &mut String, sheet: &Sheet, class: &str, has_verdict: bool) {
    if sheet.rows.is_empty() {
        return;
    }
    let _ = writeln!(page, "<section class=\"{class}\">\n<h2>{}</h2>", escape(&sheet.title));
    if !sheet.text.is_empty() {
        let _ = writeln!(page, "<p>{}</p>", escape(&sheet.text));
    }
    page.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    for (column, cell) in sheet.head.iter().enumerate() {
        let _ = write!(page, "<th{}>{}</th>", alignment(sheet, column), escape(cell));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &sheet.rows {
        page.push_str("<tr>");
        for (column, (cell, head)) in row.iter().zip(&sheet.head).enumerate() {
            let class = match cell.as_str() {
                "yes" if has_verdict => " class=\"met\"",
                "no" if has_verdict => " class=\"missed\"",
                _ => alignment(sheet, column),
            };
            // On a phone each cell of the targets is a line, with the column's name before it.
            let label = if has_verdict { format!(" data-label=\"{}\"", escape(head)) } else { String::new() };
            let _ = write!(page, "<td{class}{label}>{}</td>", escape(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table></div>\n</section>\n");
}

fn alignment(sheet: &Sheet, column: usize) -> &'static str {
    if sheet.is_numeric(column) { " class=\"number\"" } else { "" }
}

//! What is a picture drawn on? A sheet as wide as a page or as a phone, that is shown within the page and kept as a file.

use crate::style;
use crate::svg::{Element, px};

/// For what size of screen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Format {
    /// The class by which the page shows one of the two.
    pub(crate) name: &'static str,
    /// In px; the height is what the picture needs.
    pub(crate) width: f64,
    /// Names beside the curves rather than in a legend, if they are at most so wide, in px.
    pub(crate) label_max: f64,
}

/// For pages, files and paper.
pub(crate) const WIDE: Format = Format { name: "wide", width: 800.0, label_max: 210.0 };
/// For phones: the same text size on fewer pixels.
pub(crate) const NARROW: Format = Format { name: "narrow", width: 340.0, label_max: 0.0 };

/// More points on a curve than this are not seen.
pub(crate) const POINTS_MAX: usize = 200;
/// The space around a picture that is a file.
const MARGIN: f64 = 16.0;
const LEGEND_LINE: f64 = 20.0;

/// Where a text's place is on it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// What is being drawn.
pub(crate) struct Canvas {
    pub(crate) format: Format,
    /// Distinguishes its names from those of other pictures on the page.
    id: String,
    shapes: Vec<Element>,
}

/// What was drawn.
#[derive(Debug, Clone)]
pub(crate) struct Drawing {
    format: Format,
    height: f64,
    label: String,
    shapes: Vec<Element>,
}

impl Canvas {
    /// An empty one, for a picture of this name.
    pub(crate) fn new(format: Format, slug: &str) -> Self {
        Self { format, id: format!("{slug}-{}", format.name), shapes: Vec::new() }
    }

    /// Adds a shape over all earlier ones.
    pub(crate) fn add(&mut self, shape: Element) {
        self.shapes.push(shape);
    }

    /// A text in one line.
    pub(crate) fn text(&mut self, (x, y): (f64, f64), class: &str, anchor: Anchor, text: &str) {
        let element = Element::new("text").px("x", x).px("y", y).with("class", class);
        let element = match anchor {
            Anchor::Start => element,
            Anchor::Middle => element.with("text-anchor", "middle"),
            Anchor::End => element.with("text-anchor", "end"),
        };
        self.add(element.text(text));
    }

    /// A straight line.
    pub(crate) fn rule(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        self.add(
            Element::new("line").px("x1", from.0).px("y1", from.1).px("x2", to.0).px("y2", to.1).with("class", class),
        );
    }

    /// A part of the picture that tells its values when it is pointed at.
    pub(crate) fn hit(&mut self, (left, right): (f64, f64), (top, bottom): (f64, f64), values: &str) {
        let area = rectangle(left, top, right - left, bottom - top).with("class", "hit");
        self.add(area.child(Element::new("title").text(values)));
    }

    /// Stripes over a shape; what is returned is its `fill`.
    pub(crate) fn hatching(&mut self, index: usize) -> String {
        // The number of shapes so far grows with each call, so that the name is given once.
        let id = format!("hatching{}-{}", self.shapes.len(), self.id);
        let ground = rectangle(0.0, 0.0, 7.0, 7.0).with("class", style::fill(index));
        let stripe = Element::new("path").with("d", "M0 0V7").with("class", "hatching");
        let pattern = Element::new("pattern")
            .with("id", id.as_str())
            .px("width", 7.0)
            .px("height", 7.0)
            .with("patternUnits", "userSpaceOnUse")
            .with("patternTransform", "rotate(45)")
            .child(ground)
            .child(stripe);
        self.add(Element::new("defs").child(pattern));
        format!("url(#{id})")
    }

    /// Names and their colours, in lines from `top` on; returns where the last one ends.
    pub(crate) fn legend(&mut self, names: &[(usize, &str)], top: f64) -> f64 {
        let (mut x, mut y) = (0.0, top);
        for (index, name) in names {
            let name = fit(name, self.format.width - 24.0);
            let width = text_width(&name) + 40.0;
            if x > 0.0 && x + width - 20.0 > self.format.width {
                (x, y) = (0.0, y + LEGEND_LINE);
            }
            self.add(rectangle(x, y + 3.0, 12.0, 12.0).px("rx", 2.0).with("class", style::fill(*index)));
            if *index >= style::COLOURS {
                // A gap in the swatch, as in the dashes.
                self.add(rectangle(x + 5.0, y + 3.0, 2.0, 12.0).with("class", "paper"));
            }
            self.text((x + 18.0, y + 14.0), "ink", Anchor::Start, &name);
            x += width;
        }
        if names.is_empty() { top } else { y + LEGEND_LINE }
    }

    /// The finished picture; `label` says what it shows to those who cannot see it.
    pub(crate) fn finish(self, height: f64, label: impl Into<String>) -> Drawing {
        Drawing { format: self.format, height, label: label.into(), shapes: self.shapes }
    }
}

impl Drawing {
    /// Within a page, which has the style sheet.
    pub(crate) fn inline(&self) -> Element {
        let root = self.root(&format!("picture {}", self.format.name), 0.0);
        self.shapes.iter().cloned().fold(root, Element::child)
    }

    /// As a file of its own: on its own paper, because nobody knows what it will lie on.
    pub(crate) fn standalone(&self) -> String {
        let (width, height) = (self.format.width + 2.0 * MARGIN, self.height + 2.0 * MARGIN);
        let paper = rectangle(-MARGIN, -MARGIN, width, height).px("rx", 8.0).with("class", "paper");
        let root = self
            .root("picture", MARGIN)
            .with("xmlns", "http://www.w3.org/2000/svg")
            .px("width", width)
            .px("height", height)
            .child(Element::new("style").text(style::pictures()))
            .child(paper);
        let root = self.shapes.iter().cloned().fold(root, Element::child);
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{root}\n")
    }

    fn root(&self, class: &str, margin: f64) -> Element {
        let view = [-margin, -margin, self.format.width + 2.0 * margin, self.height + 2.0 * margin];
        Element::new("svg")
            .with("class", class)
            .with("viewBox", view.map(px).join(" "))
            .with("role", "img")
            .with("aria-label", self.label.as_str())
    }
}

/// A rectangle without a colour.
pub(crate) fn rectangle(x: f64, y: f64, width: f64, height: f64) -> Element {
    Element::new("rect").px("x", x).px("y", y).px("width", width.max(0.0)).px("height", height.max(0.0))
}

/// About how wide a text is, in px at 13 px: nobody knows which font a reader has, so rather too much.
pub(crate) fn text_width(text: &str) -> f64 {
    let share = |character: char| match character {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | '(' | ')' | ' ' => 0.36,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.92,
        'A'..='Z' | '&' | '<' | '>' | '+' | '=' => 0.7,
        character if character < '\u{1100}' => 0.59,
        _ => 1.05,
    };
    13.0 * text.chars().map(share).sum::<f64>()
}

/// The text, cut at its end to what fits.
pub(crate) fn fit(text: &str, width: f64) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let mut kept = text.to_owned();
    while kept.pop().is_some() && text_width(&kept) + 13.0 > width {}
    format!("{}…", kept.trim_end())
}

/// The parts, with dots between them, in as many lines as they need; a part that is too long for a line is cut.
pub(crate) fn wrap(parts: &[String], width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if text_width(line) + text_width(part) + 13.0 <= width => {
                line.push_str(" · ");
                line.push_str(part);
            }
            _ => lines.push(fit(part, width)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_and_says_so() {
        assert_eq!(fit("short", 100.0), "short");
        let cut = fit("claims granted at half of the highest throughput", 100.0);
        assert!(cut.ends_with('…') && text_width(&cut) <= 105.0, "{cut}");
        assert_eq!(fit("x", 0.0), "…");
    }

    #[test]
    fn what_does_not_fit_on_one_line_is_on_the_next() {
        let parts = ["12 oversold", "34 out of order", "cut off at 5 of 6"].map(str::to_owned);
        assert_eq!(wrap(&parts, 800.0), ["12 oversold · 34 out of order · cut off at 5 of 6"]);
        assert_eq!(wrap(&parts, 200.0), ["12 oversold · 34 out of order", "cut off at 5 of 6"]);
        assert_eq!(wrap(&[], 200.0), Vec::<String>::new());
    }

    #[test]
    fn a_file_has_its_own_paper_and_style_and_a_page_has_them_already() {
        let mut canvas = Canvas::new(WIDE, "some");
        canvas.text((1.0, 2.0), "ink", Anchor::End, "a < b");
        let drawing = canvas.finish(50.0, "a & b");
        let (file, inline) = (drawing.standalone(), drawing.inline().to_string());
        let document = roxmltree::Document::parse(&file).unwrap();
        assert_eq!(document.root_element().attribute("viewBox"), Some("-16 -16 832 82"));
        assert!(document.descendants().any(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "style"))));
        assert!(!inline.contains("<style") && !inline.contains("\"paper\"") && inline.contains("a &lt; b"), "{inline}");
    }

    #[test]
    fn a_legend_breaks_into_lines_and_an_empty_one_takes_no_room() {
        let mut canvas = Canvas::new(NARROW, "some");
        let name = "n".repeat(20);
        assert_eq!(px(canvas.legend(&[(0, &name), (1, &name), (2, &name)], 0.0)), "60");
        assert_eq!(px(canvas.legend(&[], 7.0)), "7");
    }
}

//! How does an element become text? With every character that means something to XML replaced, wherever it came from.

use std::fmt::{self, Display, Write};

/// An element: its attributes, and what is in it, in order.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    content: Vec<Content>,
}

#[derive(Debug, Clone)]
enum Content {
    Element(Element),
    Text(String),
}

impl Element {
    /// An empty one.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, attributes: Vec::new(), content: Vec::new() }
    }

    /// With an attribute.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// With an attribute that is a length or a place.
    pub(crate) fn px(self, name: &'static str, value: f64) -> Self {
        self.with(name, px(value))
    }

    /// With a text in it.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.content.push(Content::Text(text.into()));
        self
    }

    /// With another element in it.
    pub(crate) fn child(mut self, element: Element) -> Self {
        self.content.push(Content::Element(element));
        self
    }
}

impl Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}", self.name)?;
        for (name, value) in &self.attributes {
            write!(f, " {name}=\"{}\"", escape(value))?;
        }
        if self.content.is_empty() {
            return f.write_str("/>");
        }
        f.write_char('>')?;
        for content in &self.content {
            match content {
                Content::Element(element) => write!(f, "{element}")?,
                Content::Text(text) => f.write_str(&escape(text))?,
            }
        }
        write!(f, "</{}>", self.name)
    }
}

/// Text for XML and HTML, between tags and within quotes. What XML cannot hold at all becomes U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ if character < ' ' => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// A place in tenths of a pixel: finer is not seen, only stored.
pub(crate) fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// The path through these places.
pub(crate) fn path(points: &[(f64, f64)]) -> String {
    let mut text = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        let _ = write!(text, "{}{} {}", if index == 0 { 'M' } else { 'L' }, px(*x), px(*y));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place() {
        let hostile = "a <&\"'> b\u{0}\u{1b}]]>";
        let element = Element::new("text").with("class", hostile).text(hostile).child(Element::new("title").text("x"));
        let text = element.to_string();
        let document = roxmltree::Document::parse(&text).unwrap();
        let root = document.root_element();
        let expected = "a <&\"'> b\u{fffd}\u{fffd}]]>";
        assert_eq!((root.attribute("class"), root.text()), (Some(expected), Some(expected)), "{text}");
    }

    #[test]
    fn places_are_short() {
        assert_eq!([1.0, 1.25, -0.01, 1234.56].map(px), ["1", "1.2", "0", "1234.6"]);
        assert_eq!(path(&[(0.0, 1.5), (10.0, 2.0)]), "M0 1.5L10 2");
    }
}

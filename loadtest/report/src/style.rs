//! Which colours? Few, far enough apart for every kind of colour blindness, on white and on nearly black.

use std::fmt::Write;

/// How many curves have colours of their own. What comes after them has the same ones again, and dashes.
pub(crate) const COLOURS: usize = 7;

/// What the page and the pictures are drawn with.
struct Theme {
    paper: &'static str,
    ink: &'static str,
    muted: &'static str,
    grid: &'static str,
    panel: &'static str,
    wrong: &'static str,
    /// A colour, and what can be read on it.
    series: [(&'static str, &'static str); COLOURS],
}

const WHITE: &str = "#ffffff";
const BLACK: &str = "#14171a";

const LIGHT: Theme = Theme {
    paper: WHITE,
    ink: "#1b1f24",
    muted: "#5a636d",
    grid: "#e2e6ea",
    panel: "#f5f7f9",
    wrong: "#b3261e",
    series: [
        ("#1272c4", WHITE),
        ("#e08a00", BLACK),
        ("#00806a", WHITE),
        ("#8a2b7c", WHITE),
        ("#c23b22", WHITE),
        ("#69b3e0", BLACK),
        ("#9099a3", BLACK),
    ],
};

const DARK: Theme = Theme {
    paper: BLACK,
    ink: "#e6e9ec",
    muted: "#9ba5af",
    grid: "#2c3238",
    panel: "#1c2025",
    wrong: "#ff8f80",
    series: [
        ("#4193e0", BLACK),
        ("#f2b544", BLACK),
        ("#1fae8a", BLACK),
        ("#e39ad6", BLACK),
        ("#e8694a", BLACK),
        ("#a9d8f5", BLACK),
        ("#8d959e", BLACK),
    ],
};

/// Colours are written out and not variables: some programs that show SVG know classes and no variables.
fn picture_rules(theme: &Theme) -> String {
    let mut css = format!(
        ".picture .paper{{fill:{}}}.picture .ink{{fill:{}}}.picture .muted{{fill:{}}}.picture .wrong{{fill:{}}}\
         .picture .grid{{stroke:{}}}.picture .axis{{stroke:{}}}.picture .edge{{stroke:{}}}.picture .hatching{{stroke:{}}}",
        theme.paper, theme.ink, theme.muted, theme.wrong, theme.grid, theme.muted, theme.paper, theme.paper
    );
    for (index, (colour, text)) in theme.series.iter().enumerate() {
        let _ = write!(
            css,
            ".picture .fill{index}{{fill:{colour}}}.picture .line{index}{{stroke:{colour}}}.picture .on{index}{{fill:{text}}}"
        );
    }
    css
}

/// What the classes in the pictures mean, in light and dark.
pub(crate) fn pictures() -> String {
    format!(
        ".picture text{{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;font-size:13px}}\
         .picture .small{{font-size:12px}}.picture .bold{{font-weight:600}}.picture .line{{fill:none;stroke-width:2;\
         stroke-linejoin:round;stroke-linecap:round}}.picture .dashed{{stroke-dasharray:6 4}}.picture .leader{{stroke-width:1;stroke-dasharray:1 3;stroke-opacity:.7}}.picture .grid,.picture .axis,\
         .picture .edge{{stroke-width:1;fill:none}}.picture .hatching{{stroke-width:3;fill:none}}\
         .picture .hit{{fill:#808080;fill-opacity:0}}.picture .hit:hover{{fill-opacity:.16}}{}\
         @media screen and (prefers-color-scheme:dark){{{}}}",
        picture_rules(&LIGHT),
        picture_rules(&DARK)
    )
}

/// The page's colours, as variables.
pub(crate) fn page() -> String {
    let variables = |theme: &Theme| {
        format!(
            ":root{{--paper:{};--ink:{};--muted:{};--grid:{};--panel:{};--wrong:{};--met:{};--link:{}}}",
            theme.paper,
            theme.ink,
            theme.muted,
            theme.grid,
            theme.panel,
            theme.wrong,
            theme.series[2].0,
            theme.series[0].0
        )
    };
    format!("{}@media screen and (prefers-color-scheme:dark){{{}}}", variables(&LIGHT), variables(&DARK))
}

/// The class of a filled shape.
pub(crate) fn fill(index: usize) -> String {
    format!("fill{}", index % COLOURS)
}

/// The class of text on such a shape.
pub(crate) fn on(index: usize) -> String {
    format!("on{}", index % COLOURS)
}

/// The classes of a curve.
pub(crate) fn line(index: usize) -> String {
    format!("line line{}{}", index % COLOURS, if index < COLOURS { "" } else { " dashed" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(colour: &str) -> f64 {
        let part = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn text_can_be_read_and_shapes_are_seen() {
        for theme in [LIGHT, DARK] {
            for text in [theme.ink, theme.muted, theme.wrong] {
                assert!(contrast(text, theme.paper) >= 4.5, "{text} on {}", theme.paper);
                assert!(contrast(text, theme.panel) >= 4.5, "{text} on {}", theme.panel);
            }
            for (colour, text) in theme.series {
                assert!(contrast(colour, theme.paper) >= 2.2, "{colour} on {}", theme.paper);
                assert!(contrast(text, colour) >= 4.5, "{text} on {colour}");
            }
        }
    }

    #[test]
    fn more_curves_than_colours_are_told_apart_by_dashes() {
        assert_eq!((line(0), line(COLOURS)), ("line line0".to_owned(), "line line0 dashed".to_owned()));
    }
}

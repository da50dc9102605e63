//! What is common to pictures with two axes? The axes, their words, the curves' names, and what to say when there is nothing.

use crate::canvas::{Anchor, Canvas, fit, text_width};
use crate::scale::{Scale, Ticks};
use crate::style;
use crate::svg::{Element, path, px};

/// How far apart names beside curves are, in px.
const LABEL_LINE: f64 = 16.0;

/// From the end of the longest curve to its name, in px.
const LEADER: f64 = 26.0;

/// Where the curves are, in px.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Area {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
}

/// What is written beside a curve, and where the curve ends.
pub(crate) struct Label<'a> {
    pub(crate) index: usize,
    pub(crate) name: &'a str,
    pub(crate) end: (f64, f64),
}

/// The room that the values beside the vertical axis need.
pub(crate) fn room_for(ticks: &[String]) -> f64 {
    ticks.iter().map(|tick| text_width(tick)).fold(0.0, f64::max) + 8.0
}

/// The room that names beside the curves need; `None` if they are too long for it and a legend must do.
pub(crate) fn room_for_labels<'a>(canvas: &Canvas, names: impl Iterator<Item = &'a str>) -> Option<f64> {
    let widest = names.map(text_width).fold(0.0, f64::max);
    (widest <= canvas.format.label_max).then_some(widest + LEADER + 6.0)
}

/// The values beside the vertical axis with a hairline each, and what they count above them.
pub(crate) fn vertical_axis(canvas: &mut Canvas, area: Area, scale: &Scale, ticks: &[(f64, String)], unit: &str) {
    canvas.text((0.0, area.top - 12.0), "muted small", Anchor::Start, unit);
    for (value, text) in ticks {
        let y = scale.px(*value);
        canvas.rule((area.left, y), (area.right, y), "grid");
        canvas.text((area.left - 8.0, y + 4.0), "muted small", Anchor::End, text);
    }
}

/// The values below the horizontal axis, and what they count below them. Values without room for their text have none.
pub(crate) fn horizontal_axis(
    canvas: &mut Canvas,
    area: Area,
    scale: &Scale,
    ticks: &[(f64, String)],
    unit: &str,
) -> f64 {
    canvas.rule((area.left, area.bottom), (area.right, area.bottom), "axis");
    let mut free_from = f64::NEG_INFINITY;
    for (value, text) in ticks {
        let (x, half) = (scale.px(*value), text_width(text) / 2.0);
        canvas.rule((x, area.bottom), (x, area.bottom + 4.0), "axis");
        if x - half < free_from {
            continue;
        }
        // The last one may not leave the picture.
        let middle = x.min(canvas.format.width - half);
        canvas.text((middle, area.bottom + 18.0), "muted small", Anchor::Middle, text);
        free_from = x + half + 4.0;
    }
    canvas.text((area.right, area.bottom + 36.0), "muted small", Anchor::End, unit);
    area.bottom + 42.0
}

/// A curve; a single point is a dot, and none is nothing.
pub(crate) fn curve(canvas: &mut Canvas, index: usize, points: &[(f64, f64)]) {
    if points.len() > 1 {
        canvas.add(Element::new("path").with("d", path(points)).with("class", style::line(index)));
    }
    if let Some((x, y)) = points.last() {
        canvas.add(Element::new("circle").px("cx", *x).px("cy", *y).px("r", 3.5).with("class", style::fill(index)));
    }
}

/// Names beside the ends of their curves, moved apart where the curves end too near each other.
pub(crate) fn labels(canvas: &mut Canvas, area: Area, mut labels: Vec<Label<'_>>) {
    labels.sort_by(|one, other| one.end.1.total_cmp(&other.end.1));
    let wished: Vec<f64> = labels.iter().map(|label| label.end.1).collect();
    let x = area.right + LEADER;
    for (label, y) in labels.iter().zip(apart(&wished, area.top, area.bottom)) {
        // The text has the ink's colour, which can be read; a thin line of the curve's colour leads to it.
        let leader = [(label.end.0 + 6.0, label.end.1), (area.right + 8.0, label.end.1), (x - 4.0, y)];
        let points = leader.map(|(x, y)| format!("{},{}", px(x), px(y))).join(" ");
        let class = format!("{} leader", style::line(label.index));
        canvas.add(Element::new("polyline").with("points", points).with("class", class));
        canvas.text((x, y + 4.5), "ink", Anchor::Start, &fit(label.name, canvas.format.width - x));
    }
}

/// Places at least a line apart, in order, as near to the wished ones as it goes from the top down.
fn apart(wished: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut placed: Vec<f64> = Vec::with_capacity(wished.len());
    for y in wished {
        let lowest = placed.last().map_or(top, |above| above + LABEL_LINE);
        placed.push(y.max(lowest));
    }
    let mut limit = bottom;
    for y in placed.iter_mut().rev() {
        *y = y.min(limit);
        limit = *y - LABEL_LINE;
    }
    placed
}

/// The words instead of curves.
pub(crate) fn nothing(canvas: &mut Canvas, area: Area, text: &str) {
    let middle = (f64::midpoint(area.left, area.right), f64::midpoint(area.top, area.bottom));
    canvas.text(middle, "muted", Anchor::Middle, text);
}

/// Each tick with its text.
pub(crate) fn written(ticks: &Ticks, write: impl Fn(f64) -> String) -> Vec<(f64, String)> {
    ticks.at.iter().map(|at| (*at, write(*at))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::WIDE;

    #[test]
    fn names_keep_apart_within_the_picture() {
        assert_eq!(apart(&[100.0, 102.0, 104.0], 0.0, 300.0), [100.0, 116.0, 132.0]);
        assert_eq!(apart(&[290.0, 295.0, 300.0], 0.0, 300.0), [268.0, 284.0, 300.0]);
        assert_eq!(apart(&[], 0.0, 300.0), Vec::<f64>::new());
    }

    #[test]
    fn long_names_go_into_a_legend() {
        let canvas = Canvas::new(WIDE, "some");
        assert!(room_for_labels(&canvas, ["rows"].into_iter()).is_some());
        assert_eq!(room_for_labels(&canvas, ["rows", &"long ".repeat(20)].into_iter()), None);
    }
}

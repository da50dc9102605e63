//! What happened when? Areas on top of each other where they are parts of a whole, curves beside each other where not.

use std::fmt::Write;

use crate::canvas::{Canvas, Drawing, Format, POINTS_MAX, WIDE};
use crate::data::{Series, Timeline};
use crate::number::{figure, float, length, tick};
use crate::plot::{self, Area, Label};
use crate::scale::{self, Scale};
use crate::style;
use crate::svg::{Element, path};

/// How the picture is read.
pub(super) fn explained(timeline: &Timeline) -> String {
    let mut text = if timeline.stacked {
        "The areas lie on top of each other: the upper edge is all of them together. ".to_owned()
    } else if is_count_so_far(timeline) {
        "What was counted so far. The distance of two curves, upwards, is how many are still on their way; sideways, how \
         much later the same count was reached. "
            .to_owned()
    } else {
        String::new()
    };
    let step_s = float(timeline.step_ms) / 1e3;
    let _ = write!(text, "One step is {} s", tick(step_s));
    let joined = joined(timeline);
    if joined > 1 {
        let _ = write!(text, "; a point is the mean of {joined} steps");
    }
    text.push('.');
    text
}

/// Whether the values can only grow, by their nature.
pub(crate) fn is_count_so_far(timeline: &Timeline) -> bool {
    !timeline.unit.ends_with("/s")
        && timeline.series.len() > 1
        && timeline.series.iter().all(|series| series.values.is_sorted())
}

/// The picture of one stretch of time.
pub(super) fn draw(timeline: &Timeline, format: Format, slug: &str) -> Drawing {
    let mut canvas = Canvas::new(format, slug);
    let shown = Shown::of(timeline);
    let names = || timeline.series.iter().map(|series| series.name.as_str());
    let room = if timeline.stacked { None } else { plot::room_for_labels(&canvas, names()) };
    let legend: Vec<(usize, &str)> = if room.is_none() { names().enumerate().collect() } else { Vec::new() };
    let top = canvas.legend(&legend, 0.0) + 32.0;

    let y_ticks = scale::linear(shown.highest(timeline.stacked), 5.0);
    let y_texts = plot::written(&y_ticks, tick);
    let texts: Vec<String> = y_texts.iter().map(|(_, text)| text.clone()).collect();
    let area = Area {
        left: plot::room_for(&texts),
        right: format.width - room.unwrap_or(8.0),
        top,
        bottom: top + if room.is_some() { 280.0 } else { 230.0 },
    };
    let x_ticks = scale::linear_until(shown.seconds, if format == WIDE { 10.0 } else { 5.0 });
    let x = Scale::linear(&x_ticks, area.left, area.right);
    let y = Scale::linear(&y_ticks, area.bottom, area.top);

    plot::vertical_axis(&mut canvas, area, &y, &y_texts, &timeline.unit);
    if shown.points() == 0 {
        plot::nothing(&mut canvas, area, "nothing was counted");
    } else if timeline.stacked {
        stack(&mut canvas, &shown, &x, &y);
    } else {
        let labels = lines(&mut canvas, timeline, &shown, &x, &y);
        if room.is_some() {
            plot::labels(&mut canvas, area, labels);
        }
    }
    let height = plot::horizontal_axis(&mut canvas, area, &x, &plot::written(&x_ticks, tick), "s since the beginning");
    tell(&mut canvas, area, timeline, &shown, &x);
    canvas.finish(height, label(timeline))
}

/// So many steps become one point.
fn joined(timeline: &Timeline) -> usize {
    let steps = timeline.series.iter().map(|series| series.values.len()).max().unwrap_or(0);
    steps.div_ceil(POINTS_MAX).max(1)
}

/// What can be seen of a timeline.
struct Shown {
    /// How long it is.
    seconds: f64,
    /// From one point to the next.
    step_s: f64,
    /// A list for each series.
    values: Vec<Vec<f64>>,
}

impl Shown {
    fn of(timeline: &Timeline) -> Self {
        let joined = joined(timeline);
        let second = float(timeline.step_ms.max(1)) / 1e3;
        let steps = timeline.series.iter().map(|series| series.values.len()).max().unwrap_or(0);
        let mean = |chunk: &[f64]| chunk.iter().sum::<f64>() / length(chunk.len());
        let values = timeline.series.iter().map(|series| series.values.chunks(joined).map(mean).collect()).collect();
        Self { seconds: length(steps) * second, step_s: length(joined) * second, values }
    }

    fn points(&self) -> usize {
        self.values.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// The middle of a point's time.
    fn second(&self, point: usize) -> f64 {
        let begin = length(point) * self.step_s;
        f64::midpoint(begin, (begin + self.step_s).min(self.seconds))
    }

    fn highest(&self, stacked: bool) -> f64 {
        let at = |point: usize| self.values.iter().map(move |values| values.get(point).copied().unwrap_or(0.0));
        let heights =
            (0..self.points()).map(|point| if stacked { at(point).sum() } else { at(point).fold(0.0, f64::max) });
        heights.fold(0.0, f64::max)
    }
}

fn stack(canvas: &mut Canvas, shown: &Shown, x: &Scale, y: &Scale) {
    // The first and the last point hold to the edges, so that even one alone is an area.
    let places: Vec<f64> = std::iter::once(0.0)
        .chain((0..shown.points()).map(|point| shown.second(point)))
        .chain([shown.seconds])
        .map(|second| x.px(second))
        .collect();
    let edge = |heights: &[f64]| -> Vec<(f64, f64)> {
        let (first, last) = (heights.first().copied(), heights.last().copied());
        let all = first.into_iter().chain(heights.iter().copied()).chain(last);
        places.iter().copied().zip(all.map(|height| y.px(height))).collect()
    };
    let mut below = vec![0.0; shown.points()];
    for (index, values) in shown.values.iter().enumerate() {
        let above: Vec<f64> = below
            .iter()
            .enumerate()
            .map(|(point, height)| height + values.get(point).copied().unwrap_or(0.0))
            .collect();
        let outline: Vec<(f64, f64)> = edge(&above).into_iter().chain(edge(&below).into_iter().rev()).collect();
        let area = Element::new("path").with("d", format!("{}Z", path(&outline)));
        let area = if index < style::COLOURS {
            area.with("class", style::fill(index))
        } else {
            let stripes = canvas.hatching(index);
            area.with("fill", stripes)
        };
        canvas.add(area);
        below = above;
    }
}

fn lines<'a>(canvas: &mut Canvas, timeline: &'a Timeline, shown: &Shown, x: &Scale, y: &Scale) -> Vec<Label<'a>> {
    let mut labels = Vec::new();
    for (index, (values, series)) in shown.values.iter().zip(&timeline.series).enumerate() {
        let place = |(point, value): (usize, &f64)| (x.px(shown.second(point)), y.px(*value));
        let points: Vec<(f64, f64)> = values.iter().enumerate().map(place).collect();
        plot::curve(canvas, index, &points);
        if let Some(end) = points.last().copied() {
            labels.push(Label { index, name: &series.name, end });
        }
    }
    labels
}

fn tell(canvas: &mut Canvas, area: Area, timeline: &Timeline, shown: &Shown, x: &Scale) {
    for point in 0..shown.points() {
        let begin = length(point) * shown.step_s;
        let edges = (x.px(begin), x.px((begin + shown.step_s).min(shown.seconds)));
        let mut values = format!("{} s, {}", figure(begin), timeline.unit);
        for (series, shown) in timeline.series.iter().zip(&shown.values) {
            if let Some(value) = shown.get(point) {
                let _ = write!(values, "\n{}: {}", series.name, figure(*value));
            }
        }
        canvas.hit(edges, (area.top, area.bottom), &values);
    }
}

fn label(timeline: &Timeline) -> String {
    let mut text = format!("{}, in {}, over time.", timeline.name, timeline.unit);
    for Series { name, values } in &timeline.series {
        let highest = values.iter().copied().fold(0.0, f64::max);
        let _ = write!(text, " {name}: {} at most.", figure(highest));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::NARROW;

    fn timeline(stacked: bool, series: &[(&str, &[f64])]) -> Timeline {
        let series =
            series.iter().map(|(name, values)| Series { name: (*name).into(), values: values.to_vec() }).collect();
        Timeline { name: "answers".into(), unit: "answers/s".into(), step_ms: 100, stacked, series }
    }

    fn paths(drawing: &Drawing) -> Vec<String> {
        let text = drawing.standalone();
        let document = roxmltree::Document::parse(&text).unwrap();
        document.descendants().filter_map(|node| node.attribute("d").map(str::to_owned)).collect()
    }

    #[test]
    fn a_stack_is_as_high_as_its_parts_together() {
        let shown = Shown::of(&timeline(true, &[("a", &[1.0, 2.0]), ("b", &[3.0])]));
        assert_eq!([true, false].map(|stacked| tick(shown.highest(stacked))), ["4", "3"]);
    }

    #[test]
    fn what_is_too_fine_to_see_is_joined_to_its_mean_and_this_is_said() {
        let many: Vec<f64> = (0..500).map(f64::from).collect();
        let timeline = timeline(false, &[("a", &many)]);
        let shown = Shown::of(&timeline);
        assert_eq!((shown.points(), tick(shown.values[0][0]), tick(shown.step_s)), (167, "1".into(), "0.3".into()));
        assert_eq!(tick(shown.seconds), "50");
        assert!(explained(&timeline).ends_with("One step is 0.1 s; a point is the mean of 3 steps."));
    }

    #[test]
    fn one_value_is_an_area_or_a_dot_and_none_is_said() {
        for format in [WIDE, NARROW] {
            assert_eq!(paths(&draw(&timeline(true, &[("a", &[5.0])]), format, "t")).len(), 1);
            let dot = draw(&timeline(false, &[("a", &[5.0])]), format, "t");
            assert_eq!((paths(&dot).len(), dot.standalone().matches("<circle").count()), (0, 1));
            for empty in [timeline(true, &[]), timeline(true, &[("a", &[])]), timeline(false, &[("a", &[])])] {
                let drawing = draw(&empty, format, "t");
                assert!(paths(&drawing).is_empty() && drawing.standalone().contains(">nothing was counted<"));
            }
        }
    }

    #[test]
    fn more_kinds_than_colours_have_stripes() {
        let names: Vec<String> = (0..style::COLOURS + 2).map(|index| format!("kind {index}")).collect();
        let series: Vec<(&str, &[f64])> = names.iter().map(|name| (name.as_str(), &[1.0, 2.0][..])).collect();
        let text = draw(&timeline(true, &series), NARROW, "t").standalone();
        assert_eq!(text.matches("fill=\"url(#hatching").count(), 2);
    }

    #[test]
    fn counts_that_only_grow_are_explained_as_such() {
        let mut counts = timeline(false, &[("answered", &[0.0, 5.0, 9.0]), ("rows", &[0.0, 0.0, 4.0])]);
        assert!(!explained(&counts).contains("so far"));
        counts.unit = "claims".into();
        assert!(explained(&counts).contains("so far"));
        counts.series[1].values[2] = -1.0;
        assert!(!explained(&counts).contains("so far"));
    }
}

//! How slow are the slowest answers? A curve for each load, over percentiles whose distances grow with what they leave out.

use std::fmt::Write;

use crate::canvas::{Canvas, Drawing, Format, POINTS_MAX};
use crate::data::Latencies;
use crate::number::{figure, float, length, tick};
use crate::percentile;
use crate::plot::{self, Area, Label};
use crate::scale::{self, Scale, Ticks};

/// Percentiles by what they leave out: 100 is 99 %.
const TICKS: [(f64, &str); 6] =
    [(2.0, "50%"), (10.0, "90%"), (100.0, "99%"), (1e3, "99.9%"), (1e4, "99.99%"), (1e5, "99.999%")];
/// The axis reaches at least here.
const ONE_OF_MIN: f64 = 100.0;
/// And at most here, even if there are more answers.
const ONE_OF_MAX: f64 = 1e4;
/// Where values are told to who points at them.
const TOLD: [(f64, &str); 11] = [
    (2.0, "50"),
    (4.0, "75"),
    (10.0, "90"),
    (20.0, "95"),
    (50.0, "98"),
    (100.0, "99"),
    (200.0, "99.5"),
    (500.0, "99.8"),
    (1e3, "99.9"),
    (3e3, "99.97"),
    (1e4, "99.99"),
];

/// How the picture is read.
pub(super) fn explained() -> String {
    "How long answers took, up to the slowest. Above 99% a curve is as high as the time within which 99 of 100 answers came; \
     each mark further to the right looks at ten times fewer, slower answers. Both axes are logarithmic. A curve ends where \
     fewer than one answer would be slower."
        .to_owned()
}

/// The curves of these loads.
pub(super) fn draw(loads: &[Latencies], format: Format, slug: &str) -> Drawing {
    let mut canvas = Canvas::new(format, slug);
    let curves: Vec<Vec<(f64, f64)>> = loads.iter().map(curve).collect();
    let names = || loads.iter().map(|load| load.name.as_str());
    let room = plot::room_for_labels(&canvas, names());
    let legend: Vec<(usize, &str)> = if room.is_none() { names().enumerate().collect() } else { Vec::new() };
    let top = canvas.legend(&legend, 0.0) + 32.0;

    let values = || curves.iter().flatten().map(|(_, ms)| *ms);
    let y_ticks = scale::logarithmic(values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    let y_texts = plot::written(&y_ticks, tick);
    let texts: Vec<String> = y_texts.iter().map(|(_, text)| text.clone()).collect();
    let area = Area {
        left: plot::room_for(&texts),
        right: format.width - room.unwrap_or(8.0),
        top,
        bottom: top + if room.is_some() { 300.0 } else { 250.0 },
    };
    let furthest = curves.iter().flatten().map(|(one_of, _)| *one_of).fold(ONE_OF_MIN, f64::max);
    let x_texts: Vec<(f64, String)> = TICKS
        .iter()
        .filter(|(one_of, _)| *one_of <= furthest)
        .map(|(one_of, text)| (*one_of, (*text).to_owned()))
        .collect();
    let x = Scale::log(&Ticks { from: 2.0, to: furthest, at: Vec::new() }, area.left, area.right);
    let y = Scale::log(&y_ticks, area.bottom, area.top);

    plot::vertical_axis(&mut canvas, area, &y, &y_texts, "ms");
    for (one_of, _) in &x_texts {
        canvas.rule((x.px(*one_of), area.top), (x.px(*one_of), area.bottom), "grid");
    }
    let height = plot::horizontal_axis(&mut canvas, area, &x, &x_texts, "of the answers came within");
    let mut labels = Vec::new();
    for (index, (points, load)) in curves.iter().zip(loads).enumerate() {
        let points: Vec<(f64, f64)> = points.iter().map(|(one_of, ms)| (x.px(*one_of), y.px(*ms))).collect();
        plot::curve(&mut canvas, index, &points);
        if let Some(end) = points.last().copied() {
            labels.push(Label { index, name: &load.name, end });
        }
    }
    if labels.is_empty() {
        plot::nothing(&mut canvas, area, "no answers");
    } else {
        if room.is_some() {
            plot::labels(&mut canvas, area, labels);
        }
        tell(&mut canvas, area, &x, loads, furthest);
    }
    canvas.finish(height, label(loads))
}

/// Points of a percentile's distance and ms, as far as at least one answer is slower; the median always.
fn curve(load: &Latencies) -> Vec<(f64, f64)> {
    let all = float(percentile::count(load));
    let last = all.clamp(2.0, ONE_OF_MAX);
    let steps = POINTS_MAX - 1;
    let mut points: Vec<(f64, f64)> = Vec::new();
    for step in 0..=steps {
        let one_of = 2.0 * (last / 2.0).powf(length(step) / length(steps));
        let Some(us) = percentile::all_but_one_of(load, one_of) else { continue };
        if points.last().is_none_or(|(before, _)| one_of > *before) {
            points.push((one_of, float(us.max(1)) / 1e3));
        }
    }
    points
}

fn tell(canvas: &mut Canvas, area: Area, x: &Scale, loads: &[Latencies], furthest: f64) {
    let told: Vec<(f64, &str)> = TOLD.iter().copied().filter(|(one_of, _)| *one_of <= furthest).collect();
    let mut left = area.left;
    for (position, (one_of, percent)) in told.iter().enumerate() {
        let right = told.get(position + 1).map_or(area.right, |(next, _)| f64::midpoint(x.px(*one_of), x.px(*next)));
        let mut values = format!("{percent}% of the answers came within");
        for load in loads {
            let reaches = *one_of <= float(percentile::count(load)).max(2.0);
            if let Some(us) = percentile::all_but_one_of(load, *one_of).filter(|_| reaches) {
                let _ = write!(values, "\n{}: {} ms", load.name, figure(float(us) / 1e3));
            }
        }
        canvas.hit((left, right), (area.top, area.bottom), &values);
        left = right;
    }
}

fn label(loads: &[Latencies]) -> String {
    let mut text = "Latency by percentile.".to_owned();
    for load in loads {
        let at = |one_of| percentile::all_but_one_of(load, one_of).map(|us| figure(float(us) / 1e3));
        if let Some((half, most)) = at(2.0).zip(at(100.0)) {
            let _ = write!(text, " {}: half within {half} ms, 99% within {most} ms.", load.name);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::{NARROW, WIDE};

    fn load(buckets: Vec<(u64, u64)>) -> Latencies {
        Latencies { name: "load".into(), buckets }
    }

    fn count(drawing: &Drawing, name: &str) -> usize {
        let text = drawing.standalone();
        roxmltree::Document::parse(&text).unwrap().descendants().filter(|node| node.tag_name().name() == name).count()
    }

    #[test]
    fn a_curve_goes_as_far_as_an_answer_is_slower() {
        let points = curve(&load((1..=1_000).map(|us| (us * 1_000, 1)).collect()));
        assert_eq!(points[0], (2.0, 500.0));
        let (one_of, ms) = points[points.len() - 1];
        assert!((one_of - 1_000.0).abs() < 1e-6 && ms >= 999.0, "{one_of} {ms}");
        assert!(points.is_sorted_by(|one, other| one.0 < other.0 && one.1 <= other.1));
    }

    #[test]
    fn one_answer_is_a_dot_and_none_is_said() {
        assert_eq!(curve(&load(vec![(7_000, 1)])), [(2.0, 7.0)]);
        for format in [WIDE, NARROW] {
            let drawing = draw(&[load(vec![(7_000, 1)])], format, "latency");
            assert_eq!((count(&drawing, "circle"), count(&drawing, "path")), (1, 0));
            let drawing = draw(&[load(Vec::new())], format, "latency");
            assert_eq!((count(&drawing, "circle"), count(&drawing, "path")), (0, 0));
            assert!(drawing.standalone().contains(">no answers<"));
        }
    }

    #[test]
    fn an_answer_in_no_time_is_on_the_axis_all_the_same() {
        assert_eq!(curve(&load(vec![(0, 5)]))[0], (2.0, 0.001));
    }
}

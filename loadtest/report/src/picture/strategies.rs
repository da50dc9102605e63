//! Which way to sell is how fast, and is it right? A bar for each, the fastest first; what sells wrongly has stripes and says
//! by how much.

use crate::canvas::{Anchor, Canvas, Drawing, Format, fit, rectangle, wrap};
use crate::data::Strategy;
use crate::number::{figure, length, tick, whole};
use crate::plot::{self, Area};
use crate::scale::{self, Scale};
use crate::style;

/// The colours: of what this report is about, and of everything else.
const OURS: usize = 0;
const OTHERS: usize = 6;
const BAR: f64 = 20.0;
/// A name and a bar, and each line below them.
const ROW: f64 = 54.0;
const LINE: f64 = 17.0;

/// How the picture is read.
pub(super) fn explained() -> String {
    "Answers a second, on a logarithmic axis: from one mark to the next it is ten times as many. Striped bars do not sell \
     exactly, and the line below each says what went wrong: units sold beyond the stock (oversold), units left although more \
     had asked (undersold), users who were served after, or refused instead of, somebody who came later (out of order)."
        .to_owned()
}

/// The fastest first; equal ones as they came.
pub(crate) fn ranked(strategies: &[Strategy]) -> Vec<&Strategy> {
    let mut ranked: Vec<&Strategy> = strategies.iter().collect();
    ranked.sort_by(|one, other| other.per_second.total_cmp(&one.per_second));
    ranked
}

/// Whether it sold as many as there were, as far as was seen, and does so by its construction. What was left when it was
/// stopped was not refused to anybody.
pub(crate) fn is_exact(strategy: &Strategy) -> bool {
    strategy.is_correct && strategy.oversold == 0 && (strategy.undersold == 0 || strategy.was_cut_off)
}

/// The bars.
pub(super) fn draw(strategies: &[Strategy], format: Format, slug: &str) -> Drawing {
    let mut canvas = Canvas::new(format, slug);
    let ranked = ranked(strategies);
    let speeds = || ranked.iter().map(|strategy| strategy.per_second).filter(|speed| *speed > 0.0);
    let ticks = scale::decades(speeds().fold(f64::INFINITY, f64::min), speeds().fold(0.0, f64::max));
    let lines = |strategy: &Strategy| wrap(&marks(strategy), format.width);
    let rows: Vec<(&Strategy, Vec<String>)> = ranked.iter().map(|strategy| (*strategy, lines(strategy))).collect();
    let heights = rows.iter().map(|(_, lines)| ROW + LINE * length(lines.len()));
    let area = Area { left: 0.0, right: format.width - 96.0, top: 0.0, bottom: heights.sum() };
    let x = Scale::log(&ticks, area.left, area.right);
    for tick in &ticks.at {
        canvas.rule((x.px(*tick), area.top), (x.px(*tick), area.bottom), "grid");
    }
    let mut y = area.top;
    for (strategy, lines) in &rows {
        let top = y;
        let is_ours = strategy.name.to_lowercase().contains("onrush");
        let colour = if is_ours { OURS } else { OTHERS };
        canvas.text(
            (0.0, y + 15.0),
            if is_ours { "ink bold" } else { "ink" },
            Anchor::Start,
            &fit(&strategy.name, format.width),
        );
        let end = if strategy.per_second > 0.0 { x.px(strategy.per_second) } else { area.left };
        let bar = rectangle(area.left, y + 22.0, end - area.left, BAR).px("rx", 2.0);
        let bar = if is_exact(strategy) {
            bar.with("class", style::fill(colour))
        } else {
            let stripes = canvas.hatching(colour);
            bar.with("fill", stripes)
        };
        canvas.add(bar);
        let speed = format!("{} /s", figure(strategy.per_second));
        canvas.text((end + 6.0, y + 22.0 + BAR - 5.5), "ink bold", Anchor::Start, &speed);
        y += ROW;
        for line in lines {
            let class = if is_exact(strategy) { "muted small" } else { "wrong small" };
            canvas.text((0.0, y + 2.0), class, Anchor::Start, line);
            y += LINE;
        }
        canvas.hit((area.left, format.width), (top, y), &told(strategy));
    }
    let texts = plot::written(&ticks, tick);
    let height = plot::horizontal_axis(&mut canvas, area, &x, &texts, "answers/s");
    canvas.finish(height, label(&ranked))
}

/// What is wrong with it, in words; nothing if nothing is.
fn marks(strategy: &Strategy) -> Vec<String> {
    let mut marks = Vec::new();
    for (count, what) in
        [(strategy.oversold, "oversold"), (strategy.undersold, "undersold"), (strategy.out_of_order, "out of order")]
    {
        if count > 0 {
            marks.push(format!("{} {what}", whole(count)));
        }
    }
    if marks.is_empty() && !strategy.is_correct {
        marks.push("inexact, though not seen in this run".to_owned());
    }
    if strategy.was_cut_off {
        marks.push(format!("cut off at {} of {}", whole(strategy.answered), whole(strategy.asked)));
    }
    marks
}

fn told(strategy: &Strategy) -> String {
    format!(
        "{}\n{} of {} answered in {} s\nhalf within {} ms, 99% within {} ms",
        strategy.name,
        whole(strategy.answered),
        whole(strategy.asked),
        figure(strategy.seconds),
        figure(strategy.p50_ms),
        figure(strategy.p99_ms)
    )
}

fn label(ranked: &[&Strategy]) -> String {
    let parts: Vec<String> = ranked
        .iter()
        .map(|strategy| match marks(strategy).join(", ").as_str() {
            "" => format!("{}: {} answers/s.", strategy.name, figure(strategy.per_second)),
            marks => format!("{}: {} answers/s, {marks}.", strategy.name, figure(strategy.per_second)),
        })
        .collect();
    format!("Ways to sell a stock, the fastest first. {}", parts.join(" "))
}

/// How it ended, for the table.
pub(crate) fn end(strategy: &Strategy) -> String {
    let end = if strategy.was_cut_off { "cut off" } else { "finished" };
    match (whole(strategy.answered), whole(strategy.asked)) {
        (answered, asked) if answered == asked => format!("{end}: {answered}"),
        (answered, asked) => format!("{end}: {answered} of {asked}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::{NARROW, WIDE};

    fn strategy(name: &str, per_second: f64) -> Strategy {
        Strategy { name: name.into(), is_correct: true, answered: 100, asked: 100, per_second, ..Strategy::default() }
    }

    #[test]
    fn what_sells_wrongly_has_stripes_and_says_by_how_much() {
        let wrong =
            Strategy { is_correct: false, oversold: 1_234, out_of_order: 5, ..strategy("read, then write", 900.0) };
        for format in [WIDE, NARROW] {
            let text = draw(&[strategy("row lock", 500.0), wrong.clone()], format, "s").standalone();
            assert!(text.contains("1,234 oversold · 5 out of order"), "{text}");
            assert_eq!(text.matches("fill=\"url(#").count(), 1);
        }
        assert!(marks(&strategy("row lock", 1.0)).is_empty());
    }

    #[test]
    fn a_correct_one_that_oversold_is_not_drawn_as_exact() {
        assert!(!is_exact(&Strategy { oversold: 1, ..strategy("row lock", 1.0) }));
        assert!(!is_exact(&Strategy { undersold: 1, ..strategy("row lock", 1.0) }));
        assert!(is_exact(&Strategy { undersold: 1, was_cut_off: true, ..strategy("row lock", 1.0) }));
        assert!(is_exact(&Strategy { out_of_order: 1, ..strategy("row lock", 1.0) }));
    }

    #[test]
    fn a_cut_is_said_and_a_fault_that_was_not_seen_too() {
        let cut = Strategy { was_cut_off: true, asked: 20_000, answered: 1_500, ..strategy("optimistic", 25.0) };
        assert_eq!(marks(&cut), ["cut off at 1,500 of 20,000"]);
        assert_eq!(end(&cut), "cut off: 1,500 of 20,000");
        assert_eq!(end(&strategy("row lock", 1.0)), "finished: 100");
        assert_eq!(
            marks(&Strategy { is_correct: false, ..strategy("x", 1.0) }),
            ["inexact, though not seen in this run"]
        );
    }

    #[test]
    fn one_that_answered_nothing_has_no_bar() {
        let drawing = draw(&[strategy("stuck", 0.0)], WIDE, "s");
        assert!(drawing.standalone().contains("width=\"0\" height=\"20\""));
    }
}

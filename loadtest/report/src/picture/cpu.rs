//! What does a claim cost, and whom? A bar for each load, of parts for each process.

use std::fmt::Write;

use crate::canvas::{Anchor, Canvas, Drawing, Format, fit, rectangle, text_width};
use crate::data::CpuCost;
use crate::number::{figure, tick, whole};
use crate::plot::{self, Area};
use crate::scale::{self, Scale};
use crate::style;

const ROW: f64 = 56.0;
const BAR: f64 = 24.0;

/// How the picture is read.
pub(super) fn explained() -> String {
    "Time of all processors together that one claim costs, by the process that spends it. 100 µs mean that one core is kept \
     busy by 10,000 claims a second."
        .to_owned()
}

/// What all processes spend, in us a claim.
pub(crate) fn total(cost: &CpuCost) -> f64 {
    cost.processes.iter().map(|process| process.us_per_claim).sum()
}

/// Each process once, in the order in which they come first.
pub(crate) fn processes(costs: &[CpuCost]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for process in costs.iter().flat_map(|cost| &cost.processes) {
        if !names.contains(&process.process.as_str()) {
            names.push(&process.process);
        }
    }
    names
}

/// The bars.
pub(super) fn draw(costs: &[CpuCost], format: Format, slug: &str) -> Drawing {
    let mut canvas = Canvas::new(format, slug);
    let names = processes(costs);
    let legend: Vec<(usize, &str)> = names.iter().copied().enumerate().collect();
    let top = canvas.legend(&legend, 0.0) + 8.0;
    let rows = costs.iter().fold(0.0, |rows, _| rows + ROW);
    let area = Area { left: 0.0, right: format.width - 84.0, top, bottom: top + rows };
    let ticks =
        scale::linear(costs.iter().map(total).fold(0.0, f64::max), if format.label_max > 0.0 { 8.0 } else { 4.0 });
    let x = Scale::linear(&ticks, area.left, area.right);
    for tick in &ticks.at {
        canvas.rule((x.px(*tick), area.top), (x.px(*tick), area.bottom), "grid");
    }
    let mut y = area.top;
    for cost in costs {
        canvas.text((0.0, y + 15.0), "ink", Anchor::Start, &fit(&cost.name, format.width));
        let mut before = 0.0;
        for process in &cost.processes {
            let index = names.iter().position(|name| *name == process.process).unwrap_or(0);
            let (left, right) = (x.px(before), x.px(before + process.us_per_claim));
            canvas.add(
                rectangle(left, y + 22.0, right - left, BAR).with("class", format!("{} edge", style::fill(index))),
            );
            let text = figure(process.us_per_claim);
            if text_width(&text) + 6.0 < right - left {
                let middle = (f64::midpoint(left, right), y + 22.0 + BAR / 2.0 + 4.5);
                canvas.text(middle, &format!("{} small", style::on(index)), Anchor::Middle, &text);
            }
            before += process.us_per_claim;
        }
        let sum = format!("{} µs", figure(total(cost)));
        canvas.text((x.px(before) + 8.0, y + 22.0 + BAR / 2.0 + 4.5), "ink bold", Anchor::Start, &sum);
        canvas.hit((area.left, format.width), (y, y + ROW - 4.0), &told(cost));
        y += ROW;
    }
    let height = plot::horizontal_axis(&mut canvas, area, &x, &plot::written(&ticks, tick), "µs a claim");
    canvas.finish(height, format!("CPU time a claim. {}", costs.iter().map(told).collect::<Vec<_>>().join(" ")))
}

fn told(cost: &CpuCost) -> String {
    let mut text = format!("{}, {} claims", cost.name, whole(cost.claims));
    for process in &cost.processes {
        let _ = write!(text, "\n{}: {} µs", process.process, figure(process.us_per_claim));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::{NARROW, WIDE};
    use crate::data::ProcessCost;

    fn cost(name: &str, parts: &[(&str, f64)]) -> CpuCost {
        let part = |(process, us): &(&str, f64)| ProcessCost { process: (*process).into(), us_per_claim: *us };
        CpuCost { name: name.into(), claims: 1_000, processes: parts.iter().map(part).collect() }
    }

    #[test]
    fn a_process_has_one_colour_under_all_loads() {
        let costs = [cost("a", &[("onrush", 20.0), ("redis", 9.0)]), cost("b", &[("redis", 8.0), ("onrush", 19.0)])];
        assert_eq!(processes(&costs), ["onrush", "redis"]);
        let text = draw(&costs, WIDE, "cpu").standalone();
        assert_eq!((text.matches("fill0 edge").count(), text.matches("fill1 edge").count()), (2, 2));
        assert!(text.contains(">29.0 µs<") && text.contains(">27.0 µs<"), "{text}");
    }

    #[test]
    fn a_load_without_processes_costs_nothing() {
        for format in [WIDE, NARROW] {
            assert!(draw(&[cost("idle", &[])], format, "cpu").standalone().contains(">0 µs<"));
        }
    }
}

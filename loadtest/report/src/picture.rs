//! Which pictures does a run have? One for each kind of thing that was measured, and none for what was not.

mod cpu;
mod latency;
mod strategies;
mod timeline;

use crate::canvas::{Drawing, Format, NARROW, WIDE};
use crate::data::Run;
use crate::words;

pub(crate) use cpu::{processes, total};
pub(crate) use strategies::{end, is_exact, ranked};
pub(crate) use timeline::is_count_so_far;

/// Curves of one picture; more are divided among several.
const CURVES_MAX: usize = 6;

/// A picture, twice, and what it says.
pub(crate) struct Picture {
    /// Its file's name, without the ending.
    pub(crate) slug: String,
    /// Its heading.
    pub(crate) title: String,
    /// How it is to be read.
    pub(crate) text: String,
    /// For pages, files and paper.
    pub(crate) wide: Drawing,
    /// For phones.
    pub(crate) narrow: Drawing,
}

impl Picture {
    fn new(slug: String, title: String, text: String, draw: impl Fn(Format, &str) -> Drawing) -> Self {
        Self { wide: draw(WIDE, &slug), narrow: draw(NARROW, &slug), slug, title, text }
    }
}

/// All of them, in the order in which they are shown.
pub(crate) fn all(run: &Run) -> Vec<Picture> {
    let mut pictures = Vec::new();
    let groups = run.latencies.len().div_ceil(CURVES_MAX).max(1);
    let curves = run.latencies.len().div_ceil(groups).max(1);
    for (index, group) in run.latencies.chunks(curves).enumerate() {
        let (slug, title) = match groups {
            1 => ("latency".to_owned(), "Latency by percentile".to_owned()),
            _ => (format!("latency-{}", index + 1), format!("Latency by percentile, {} of {groups}", index + 1)),
        };
        pictures
            .push(Picture::new(slug, title, latency::explained(), |format, slug| latency::draw(group, format, slug)));
    }
    let slugs = words::slugs(run.timelines.iter().map(|timeline| timeline.name.as_str()));
    for (timeline, slug) in run.timelines.iter().zip(slugs) {
        let text = timeline::explained(timeline);
        pictures.push(Picture::new(format!("time-{slug}"), timeline.name.clone(), text, |format, slug| {
            timeline::draw(timeline, format, slug)
        }));
    }
    if !run.strategies.is_empty() {
        let title = "Ways to sell a stock".to_owned();
        pictures.push(Picture::new("strategies".to_owned(), title, strategies::explained(), |format, slug| {
            strategies::draw(&run.strategies, format, slug)
        }));
    }
    if !run.cpu.is_empty() {
        let title = "CPU time a claim".to_owned();
        pictures.push(Picture::new("cpu".to_owned(), title, cpu::explained(), |format, slug| {
            cpu::draw(&run.cpu, format, slug)
        }));
    }
    pictures
}

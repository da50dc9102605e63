//! Where is it kept? In a folder: the page, the Markdown, the pictures, and the data that all of them come from.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::check::check;
use crate::data::{Latencies, Run};
use crate::sheet::Sheets;
use crate::{html, markdown, picture, words};

const RUN: &str = "data/run.json";

/// Writes the whole report into a folder, which is made if there is none. The data come first: what cannot be drawn is
/// not lost.
pub fn write(run: &Run, folder: &Path) -> anyhow::Result<()> {
    for (part, prefix, ending) in [("data", "latency-", ".csv"), ("pictures", "", ".svg")] {
        let part = folder.join(part);
        fs::create_dir_all(&part).with_context(|| format!("making {}", part.display()))?;
        remove(&part, prefix, ending)?;
    }
    let json = serde_json::to_string(run).context("writing the run as JSON")?;
    save(folder, RUN, &format!("{json}\n"))?;
    let slugs = words::slugs(run.latencies.iter().map(|load| load.name.as_str()));
    for (load, slug) in run.latencies.iter().zip(slugs) {
        save(folder, &format!("data/latency-{slug}.csv"), &csv(load))?;
    }

    check(run)?;
    let sheets = Sheets::of(run)?;
    let pictures = picture::all(run);
    for picture in &pictures {
        save(folder, &format!("pictures/{}.svg", picture.slug), &picture.wide.standalone())?;
    }
    save(folder, "report.md", &markdown::render(run, &sheets, &pictures))?;
    save(folder, "index.html", &html::render(run, &sheets, &pictures))
}

/// What an earlier [`write()`] left there.
pub fn read(folder: &Path) -> anyhow::Result<Run> {
    let path = folder.join(RUN);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no run", path.display()))
}

fn csv(load: &Latencies) -> String {
    let mut text = "upper_bound_us,count\n".to_owned();
    for (upper_us, count) in &load.buckets {
        let _ = writeln!(text, "{upper_us},{count}");
    }
    text
}

fn save(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}

/// Removes what an earlier drawing left and this one may not replace.
fn remove(folder: &Path, prefix: &str, ending: &str) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_file() && name.starts_with(prefix) && name.ends_with(ending) {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

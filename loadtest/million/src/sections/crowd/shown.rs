//! What is shown of the crowd beside the promises: pictures over time, tables, and how the figures came to be.

use bench::histogram::Histogram;
use report::data::{Series, Table, Timeline};

use super::findings::{Findings, NODES};
use crate::crowd::Second;
use crate::plan::{ACTIVE_MAX, LEAVES_OF};
use crate::watch::{LOOK_EVERY, Sample};
use crate::wheel::TICK;

const SECOND_MS: u64 = 1_000;
const MIB: f64 = 1024.0 * 1024.0;

/// What happened when.
pub(super) fn timelines(findings: &Findings<'_>) -> Vec<Timeline> {
    let (seconds, samples) = (&findings.outcome.found.seconds, &findings.seen.samples);
    let of_seconds = |name: &str, value: fn(&Second) -> u64| Series {
        name: name.to_owned(),
        values: seconds.iter().map(|second| float(value(second))).collect(),
    };
    let of_samples =
        |name: String, value: &dyn Fn(&Sample) -> f64| Series { name, values: samples.iter().map(value).collect() };
    let line = |name: &str, unit: &str, stacked: bool, series: Vec<Series>| Timeline {
        name: name.to_owned(),
        unit: unit.to_owned(),
        step_ms: SECOND_MS,
        stacked,
        series,
    };
    let cpu = findings.processes.iter().enumerate().map(|(index, name)| {
        of_samples(name.clone(), &|sample| sample.cpu_percent.get(index).copied().unwrap_or_default())
    });
    let memory = (0..NODES).map(|index| {
        let mib = |sample: &Sample| float(sample.node_bytes.get(index).copied().unwrap_or_default()) / MIB;
        of_samples(format!("onrush {}", index + 1), &mib)
    });
    vec![
        line(
            "The crowd: joins and polls",
            "answers/s",
            true,
            vec![of_seconds("joins", |second| second.joins), of_seconds("polls", |second| second.polls)],
        ),
        line(
            "The crowd: admitted, and passes picked up",
            "visitors",
            false,
            vec![
                of_samples("admitted".to_owned(), &|sample| float(sample.admitted)),
                Series { name: "picked up".to_owned(), values: so_far(seconds.iter().map(|second| second.picked_up)) },
            ],
        ),
        line("The crowd: processors", "% of one core", true, cpu.collect()),
        line("The crowd: memory of the nodes", "MiB", false, memory.collect()),
    ]
}

fn so_far(counts: impl Iterator<Item = u64>) -> Vec<f64> {
    let sums = counts.scan(0, |sum, count| {
        *sum += count;
        Some(float(*sum))
    });
    sums.collect()
}

/// What was counted.
pub(super) fn tables(findings: &Findings<'_>) -> Vec<Table> {
    vec![speeds(findings), people(findings), processors(findings), ages(findings)]
}

fn speeds(findings: &Findings<'_>) -> Table {
    let found = &findings.outcome.found;
    let joining = found.joining.as_secs_f64();
    let after: Vec<&Second> = found.seconds.iter().filter(|second| second.joins == 0).collect();
    let polls: u64 = after.iter().map(|second| second.polls).sum();
    let row = |name: &str, count: u64, per_second: f64, times: &Histogram| {
        let ms = |per_cent: f64| format!("{:.2}", float(times.percentile_us(per_cent)) / 1e3);
        vec![name.to_owned(), count.to_string(), format!("{per_second:.0}"), ms(50.0), ms(99.0), ms(99.9)]
    };
    let all = found.seconds.len().max(1);
    Table {
        title: "The crowd: speeds and times".into(),
        text: format!(
            "{} connections of one client over {NODES} nodes. Joins are as fast as they are answered; polls come when \
             visitors were told to ask, and have precedence. Joins a second count until the last one had joined, polls \
             a second from then on. Times are from the sending on; the last line is how long after a visitor's time had \
             come this client sent the request: it looks every {} ms.",
            findings.plan.connections,
            TICK.as_millis()
        ),
        head: ["what", "answers", "a second", "p50, ms", "p99, ms", "p99.9, ms"].map(String::from).to_vec(),
        rows: vec![
            row("joins", found.joined, float(found.joined) / joining.max(f64::MIN_POSITIVE), &found.joins),
            row("polls", found.polls.total(), float(polls) / float(after.len().max(1) as u64), &found.polls),
            row(
                "claims with a pass",
                found.claims.total(),
                float(found.claims.total()) / float(all as u64),
                &found.claims,
            ),
            row("sent late", found.late.total(), float(found.late.total()) / float(all as u64), &found.late),
        ],
    }
}

fn people(findings: &Findings<'_>) -> Table {
    let (found, last, seen) = (&findings.outcome.found, &findings.last, &findings.seen);
    let row = |name: &str, count: u64| vec![name.to_owned(), count.to_string()];
    Table {
        title: "The crowd: what became of the visitors".into(),
        text: format!(
            "At most {} are admitted in any {} ms, at most {ACTIVE_MAX} are inside. Of ten who come in eight claim, one leaves and \
             one lets the pass lapse; of {LEAVES_OF} answers that say to wait, one makes its visitor leave the queue.",
            findings.plan.admit, findings.plan.every_ms
        ),
        head: ["what", "visitors"].map(String::from).to_vec(),
        rows: vec![
            row("joined", found.joined),
            row("admitted, by Redis", last.admitted),
            row("heard that they are inside", found.picked_up),
            row("claimed a unit", found.claimed),
            row("left from inside", found.left_inside),
            row("let the pass lapse", found.lapsed),
            row("left while they waited", last.left_queue),
            row("admitted and not there in time, by Redis", last.no_shows),
            row("heard that their time is over", found.expired),
            row("still wait at the end", last.waiting),
            row("inside at the same time, at most", seen.inside_max),
            row("answers 503", found.unavailable),
        ],
    }
}

fn processors(findings: &Findings<'_>) -> Table {
    let seconds = &findings.outcome.found.seconds;
    // What is a second here and one there began at about the same time.
    let joining = seconds.iter().take_while(|second| second.joins > 0).count();
    let samples = &findings.seen.samples;
    let (early, late) = samples.split_at(joining.min(samples.len()));
    let mean = |samples: &[Sample], index: usize| {
        let sum: f64 = samples.iter().filter_map(|sample| sample.cpu_percent.get(index)).sum();
        format!("{:.0}", sum / float(samples.len().max(1) as u64))
    };
    let memory = |samples: &[Sample], index: usize| {
        let bytes = samples.iter().filter_map(|sample| sample.node_bytes.get(index)).max();
        bytes.map_or("-".to_owned(), |bytes| format!("{:.0}", float(*bytes) / MIB))
    };
    let rows = findings.processes.iter().enumerate().map(|(index, name)| {
        let node = name.strip_prefix("onrush ").and_then(|number| number.parse::<usize>().ok());
        let mib = node.map_or("-".to_owned(), |number| memory(samples, number - 1));
        vec![name.clone(), mean(early, index), mean(late, index), mib]
    });
    let (joined, room) = findings.seen.joined_bytes.unwrap_or_default();
    let each = |bytes: u64| float(bytes) / float(findings.plan.users.max(1) as u64);
    Table {
        title: "The crowd: processors and memory".into(),
        text: format!(
            "In % of one core, as means while they join and after the last has joined. When all had joined, Redis had \
             grown by {:.1} bytes a visitor (ids of 10 bytes; claims until then are in it), of which its own estimate \
             gives the room's keys {:.1}.",
            each(joined.saturating_sub(findings.bytes_before)),
            each(room)
        ),
        head: ["process", "joining, %", "waiting, %", "MiB, at most"].map(String::from).to_vec(),
        rows: rows.collect(),
    }
}

fn ages(findings: &Findings<'_>) -> Table {
    let ages = &findings.ages;
    let last = ages.by_100_ms.len() - 1;
    let rows = ages.by_100_ms.iter().enumerate().map(|(step, count)| {
        let from = step * 100;
        let name = if step == last { format!("{from} ms or more") } else { format!("{from} to {} ms", from + 100) };
        vec![name, count.to_string()]
    });
    Table {
        title: "The crowd: how old `ahead` was".into(),
        text: format!(
            "Redis was looked at every {} ms ({} at most), and each `ahead` held against what was true at each look: the \
             last one admitted, and the bitmap of those who left. It was true until some moment between two looks; it is \
             counted as if from the earlier of these to when the answer had come, its way included. The oldest: {}. From \
             the later of the two looks to when the node was asked, which leaves the way out, it was {} ms at most.",
            LOOK_EVERY.as_millis(),
            findings.seen.look_gap_max.as_millis(),
            if ages.told.is_empty() { "none" } else { &ages.told },
            ages.oldest_asked.as_millis()
        ),
        head: ["age", "answers"].map(String::from).to_vec(),
        rows: rows.collect(),
    }
}

/// How figures came to be.
pub(super) fn notes(findings: &Findings<'_>) -> Vec<String> {
    vec![
        "Inversions: from Redis, visitors who still wait with a number up to the last one that was admitted, and visitors \
         who were admitted with a number beyond it; from the answers, visitors who were told to wait more than a second \
         after somebody behind them had heard to be inside. Deadlines of passes are given with the admission, so a number \
         tells the same as its deadline."
            .into(),
        format!(
            "Overshoot: admissions above {} in any window of {} ms, on Redis' clock, from its own list of them, put \
             together from all looks and complete by its own count; and looks at which more were inside than the cap, or \
             than units were left.",
            findings.plan.admit, findings.plan.every_ms
        ),
        "Lost: visitors without a place in Redis, or with another than they were told, at the end; visitors who wait in \
         Redis and had heard otherwise; and the difference between those who do not wait any more and those who were \
         admitted or left. Errors: answers that the contract does not have there, places given twice, answers that did not \
         come, and an `ahead` that was never true."
            .into(),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

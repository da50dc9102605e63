//! What does an open event stream cost a node? Many of them, over two nodes, held by processes of their own: a process may
//! have 20,000 files.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bench::proc::Watched;
use bench::rig::Node;
use bench::sections::Promise;
use loadtest::wire::Wire;
use report::data::{Run, Table};
use testkit::process::{Process, Program};
use testkit::usage::resident_bytes;

use crate::crowd::State;
use crate::joined::join_all;
use crate::listener::{self, Heard};
use crate::plan::Plan;
use crate::stage::{Set, Stage};

/// What it is to find out.
pub(crate) const PROMISES: &[Promise] = &[
    Promise { name: "event streams open over two nodes", target: "all of them, each with its first event" },
    Promise { name: "memory of a node for an open event stream", target: "at most 16 KiB" },
];

const CAMPAIGN: &str = "streams";
const NODES: usize = 2;
/// Sockets of one listening process.
const SOCKETS_MAX: usize = 12_000;
/// Visitors who join beyond those who listen.
const SPARE: usize = 500;
const KIB_MAX: f64 = 16.0;
/// Connections that do nothing, to compare with.
const IDLE_MAX: usize = 2_000;
/// How long all of them may take to be open.
const OPEN_MAX: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A process that listens.
struct Listening {
    _process: Process,
    log: PathBuf,
    streams: usize,
}

/// Measures. Every stream has to be open, and stay so.
pub(crate) async fn run(stage: &Stage) -> anyhow::Result<(Run, bool)> {
    let plan = &stage.plan;
    let set = Set::open(stage, "streams", NODES, &[]).await?;
    set.campaign(CAMPAIGN, plan.stock() + plan.streams as u64, &Plan::slow_room()).await?;
    // Some are admitted at once, and gone again before anybody listens: there are a few more.
    let count = plan.streams + SPARE;
    let people = join_all(&set.addresses(), CAMPAIGN, &stage.users, count, plan.connections).await?.people;
    let last = u32::try_from(count).context("far too many streams")?;
    let waits: Vec<u32> = (0..last).filter(|user| people.state(*user) == State::Waits).take(plan.streams).collect();
    ensure!(waits.len() == plan.streams, "only {} of {count} still wait", waits.len());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = resident(&set.nodes)?;

    let mut listening = Vec::new();
    let (each, mut first) = (plan.streams / NODES, 0);
    for node in &set.nodes {
        let end = first + each;
        while first < end {
            let last = end.min(first + SOCKETS_MAX);
            let lines: Vec<&[u8]> = waits[first..last].iter().map(|user| people.tickets.get(*user as usize)).collect();
            let stem = stage.stores.folder.join(format!("streams-{first}"));
            listening.push(start(node, &stem, &lines)?);
            first = last;
        }
    }
    let begun = Instant::now();
    let asked: usize = listening.iter().map(|it| it.streams).sum();
    let opened = loop {
        let heard = heard(&listening);
        if heard.open + heard.failed >= asked {
            break heard;
        }
        ensure!(begun.elapsed() < OPEN_MAX, "{} of {asked} streams are open after {OPEN_MAX:?}", heard.open);
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let opening = begun.elapsed();
    let just_open = resident(&set.nodes)?;
    let mut watched = Watched::default();
    for (index, node) in set.nodes.iter().enumerate() {
        watched = watched.and(&format!("onrush {}", index + 1), Some(node.pid()));
    }
    let (times, mut most, begun) = (watched.times(), just_open.clone(), Instant::now());
    while begun.elapsed() < plan.listened {
        tokio::time::sleep(LOOK_EVERY).await;
        most = most.iter().zip(resident(&set.nodes)?).map(|(most, now)| *most.max(&now)).collect();
    }
    let (last, passed) = (heard(&listening), begun.elapsed().as_secs_f64());
    let after = watched.times();
    drop(listening);
    let idle = idle(&set, each.min(IDLE_MAX)).await?;
    set.close().await?;

    let kib =
        |index: usize, bytes: &[u64]| float(bytes[index].saturating_sub(before[index])) / 1024.0 / float(each as u64);
    let worst = (0..NODES).map(|index| kib(index, &most)).fold(0.0, f64::max);
    let is_open = last.open == asked && opened.failed == 0;
    let events = last.events.saturating_sub(opened.events);
    println!("  {} of {asked} streams, {worst:.1} KiB each, {:.0} events/s", last.open, float(events) / passed);
    let rows = (0..NODES).map(|index| {
        let (_, used) = &after.entries()[index];
        let percent = (used - times.entries()[index].1) / passed / 1e4;
        vec![
            format!("onrush {}", index + 1),
            each.to_string(),
            format!("{:.1}", float(before[index]) / 1024.0 / 1024.0),
            format!("{:.1}", kib(index, &just_open)),
            format!("{:.1}", kib(index, &most)),
            format!("{percent:.0}"),
        ]
    });
    let spread = format!("opened in {:.1} s, then {:.0} s", opening.as_secs_f64(), passed);
    let run = Run {
        targets: vec![
            PROMISES[0].judged(format!("{} of {asked}", last.open), spread, is_open),
            PROMISES[1].judged(format!("{worst:.1} KiB"), format!("{NODES} nodes, {each} each"), worst <= KIB_MAX),
        ],
        tables: vec![Table {
            title: "Event streams".into(),
            text: format!(
                "Everybody has joined before and holds a ticket; ten a second are admitted, so that there is news for \
                 all. Memory is what is resident of the node's process, beyond what it was when all had joined and none \
                 listened: just after the last stream's first event, and at most while {} events were heard ({:.0} a \
                 second). The kernel's buffers of the sockets are not in it. The allocator may keep pages that are free \
                 again, which count. Of it, {idle:.1} KiB are what any connection takes that is kept alive after one \
                 GET /healthz, by {} of them on a node of their own.",
                events,
                float(events) / passed,
                each.min(IDLE_MAX)
            ),
            head: ["node", "streams", "MiB before", "KiB each, just open", "KiB each, at most", "% of a core"]
                .map(String::from)
                .to_vec(),
            rows: rows.collect(),
        }],
        ..Run::default()
    };
    Ok((run, is_open))
}

/// What a connection takes that asked for next to nothing and is kept alive, in KiB.
async fn idle(set: &Set, count: usize) -> anyhow::Result<f64> {
    let node = set.rig.node("serve", &[], None).await?;
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", node.address);
    let before = resident_bytes(node.pid())?;
    let mut wires = Vec::with_capacity(count);
    for _ in 0..count {
        let mut wire = Wire::open(node.address).await?;
        let status = wire.exchange(request.as_bytes()).await?.status;
        ensure!(status == 200, "GET /healthz: {status}");
        wires.push(wire);
    }
    let after = resident_bytes(node.pid())?;
    Ok(float(after.saturating_sub(before)) / 1024.0 / float(wires.len().max(1) as u64))
}

fn start(node: &Node, stem: &Path, tickets: &[&[u8]]) -> anyhow::Result<Listening> {
    let (list, log) = (stem.with_extension("tickets"), stem.with_extension("log"));
    std::fs::write(&list, tickets.join(&b'\n'))?;
    let address = node.address.to_string();
    let program = std::env::current_exe()?;
    let words = ["streams-child", "--node", &address, "--campaign", CAMPAIGN, "--tickets"];
    let process = Program::new("listener", program).args(words).args([&list]).start(&log)?;
    Ok(Listening { _process: process, log, streams: tickets.len() })
}

/// What all of them heard so far.
fn heard(listening: &[Listening]) -> Heard {
    let all = listening.iter().map(|it| {
        let text = std::fs::read_to_string(&it.log).unwrap_or_default();
        listener::read(&text)
    });
    all.fold(Heard::default(), |sum, one| Heard {
        open: sum.open + one.open,
        failed: sum.failed + one.failed,
        events: sum.events + one.events,
    })
}

fn resident(nodes: &[Node]) -> anyhow::Result<Vec<u64>> {
    let all: anyhow::Result<Vec<u64>> = nodes.iter().map(|node| resident_bytes(node.pid())).collect();
    all.context("a node is gone")
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

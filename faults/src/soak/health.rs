//! How are the nodes? Their memory has to be flat, and none of their loops may have begun anew: nothing in this weather
//! breaks one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use testkit::client::{Client, Method};
use testkit::usage::resident_bytes;

use super::stage::Stage;
use crate::installation::Node;

/// Memory at the end may be more than at the beginning by this part of it, and by so many MiB.
const GROWTH_MAX: f64 = 0.10;
const GROWTH_MIB_MAX: f64 = 16.0;

/// This program among the nodes: its memory is shown, and not judged.
pub(super) const DRIVER: &str = "this driver";

/// A node with so many MiB takes the machine down before it is judged: that is the end of the soak.
const MIB_MAX: f64 = 5_000.0;

/// A look at one node's memory: minutes since the soak began, and MiB.
pub(super) type Sample = (f64, f64);

/// A node's memory after the warm-up.
#[derive(Debug, Clone)]
pub struct Memory {
    /// The node.
    pub node: String,
    /// The median of the first quarter, in MiB.
    pub first: f64,
    /// The median of the last quarter, in MiB.
    pub last: f64,
    /// The most, in MiB.
    pub most: f64,
    /// MiB an hour, by least squares.
    pub slope: f64,
    /// Whether the last quarter is about as high as the first.
    pub is_flat: bool,
}

/// What was seen.
#[derive(Default)]
pub(super) struct Health {
    memory: BTreeMap<String, Vec<Sample>>,
    pids: BTreeMap<String, u32>,
    /// By node and loop.
    restarts: BTreeMap<(String, String), u64>,
    /// Connections that were open: of well-behaved clients, of who does not read, of who sends rubbish.
    open: [Vec<usize>; 3],
}

impl Health {
    /// Looks at all nodes, again and again until the soak is over.
    pub(super) async fn watch(&mut self, stage: &Stage, nodes: &[Arc<Node>]) -> anyhow::Result<()> {
        while stage.goes_on() {
            self.look(stage, nodes).await?;
            stage.sleep(stage.scale.look_every()).await;
        }
        Ok(())
    }

    /// Looks once.
    pub(super) async fn look(&mut self, stage: &Stage, nodes: &[Arc<Node>]) -> anyhow::Result<()> {
        let now = stage.begin.elapsed();
        if now > stage.scale.warm_up() && stage.goes_on() {
            let open = &stage.open;
            for (seen, open) in self.open.iter_mut().zip([&open.good, &open.absent, &open.rubbish]) {
                seen.push(open.load(Ordering::Relaxed));
            }
        }
        if now > stage.scale.warm_up() {
            self.keep(DRIVER, now, resident(std::process::id())?);
        }
        for node in nodes {
            let name = node.name().to_owned();
            let pid = node.pid().await;
            let first = *self.pids.entry(name.clone()).or_insert(pid.unwrap_or(0));
            let Some(pid) = pid.filter(|pid| *pid == first) else {
                stage.verdict.wrong("a node's process has ended", || format!("{name}, {}", stage.at()));
                continue;
            };
            let mib = resident(pid)?;
            anyhow::ensure!(mib < MIB_MAX, "{name} has {mib:.0} MiB in memory, {}: it is stopped here", stage.at());
            if now > stage.scale.warm_up() {
                self.keep(&name, now, mib);
            }
            // One that does not answer is judged by who asks for something.
            let readiness = Client::new(&node.url)?.operate(Method::GET, "/readyz", None).await;
            for each in readiness.iter().flat_map(|answer| answer.body["loops"].as_array().into_iter().flatten()) {
                let (of, restarts) = (each["name"].as_str().unwrap_or_default(), each["restarts"].as_u64());
                stage.verdict.count("looks at a loop");
                let seen = self.restarts.entry((name.clone(), of.to_owned())).or_default();
                if restarts.is_none_or(|restarts| restarts > *seen) {
                    *seen = restarts.unwrap_or(u64::MAX);
                    stage.verdict.wrong("a loop began anew", || format!("{name}, {}: {each}", stage.at()));
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, name: &str, now: Duration, mib: f64) {
        self.memory.entry(name.to_owned()).or_default().push((now.as_secs_f64() / 60.0, mib));
    }

    /// The loops of each node, when all is quiet: one that lists none was not watched.
    pub(super) fn loops_are_seen(&self, stage: &Stage, nodes: &[Arc<Node>]) {
        for node in nodes {
            if !self.restarts.keys().any(|(of, _)| of == node.name()) {
                stage.verdict.wrong("a node that lists no loops", || node.name().to_owned());
            }
        }
    }

    /// Each node's memory.
    pub(super) fn memory(&self) -> Vec<Memory> {
        self.memory.iter().map(|(node, samples)| judge(node, samples)).collect()
    }

    /// All that was seen of it, as lines of `node,minute,MiB`.
    pub(super) fn table(&self) -> String {
        let lines = self.memory.iter().flat_map(|(node, samples)| {
            samples.iter().map(move |(minute, mib)| format!("{node},{minute:.3},{mib:.1}\n"))
        });
        std::iter::once("node,minute,mib\n".to_owned()).chain(lines).collect()
    }

    /// Connections that were open at a time, as a rule.
    pub(super) fn open(&self) -> [usize; 3] {
        self.open.clone().map(|mut seen| {
            seen.sort_unstable();
            seen.get(seen.len() / 2).copied().unwrap_or(0)
        })
    }
}

fn judge(node: &str, samples: &[Sample]) -> Memory {
    let quarter = (samples.len() / 4).max(1);
    let first = median(&samples[..quarter.min(samples.len())]);
    let last = median(&samples[samples.len().saturating_sub(quarter)..]);
    let most = samples.iter().map(|(_, mib)| *mib).fold(0.0, f64::max);
    let is_flat = last <= first * (1.0 + GROWTH_MAX) + GROWTH_MIB_MAX;
    Memory { node: node.to_owned(), first, last, most, slope: slope(samples) * 60.0, is_flat }
}

fn median(samples: &[Sample]) -> f64 {
    let mut mib: Vec<f64> = samples.iter().map(|(_, mib)| *mib).collect();
    mib.sort_by(f64::total_cmp);
    mib.get(mib.len() / 2).copied().unwrap_or(0.0)
}

/// By how much it grows a minute.
fn slope(samples: &[Sample]) -> f64 {
    let count = super::scale::ratio(samples.len(), 1);
    let mean = |of: fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (minute, mib) = (mean(|sample| sample.0), mean(|sample| sample.1));
    let (mut both, mut square) = (0.0, 0.0);
    for sample in samples {
        both += (sample.0 - minute) * (sample.1 - mib);
        square += (sample.0 - minute).powi(2);
    }
    if square > 0.0 { both / square } else { 0.0 }
}

/// What a process has in memory, in MiB.
#[expect(clippy::cast_precision_loss, reason = "no process has 2^52 bytes")]
fn resident(pid: u32) -> anyhow::Result<f64> {
    Ok(resident_bytes(pid)? as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(mib: impl Fn(f64) -> f64) -> Vec<Sample> {
        (0..180).map(|step| f64::from(step) / 6.0).map(|minute| (minute, mib(minute))).collect()
    }

    #[test]
    fn what_goes_up_and_down_is_flat_and_what_only_goes_up_is_not() {
        let waves = judge("n", &series(|minute| 200.0 + 30.0 * (minute * 3.0).sin()));
        assert!(waves.is_flat && waves.slope.abs() < 30.0, "{waves:?}");
        let leak = judge("n", &series(|minute| 200.0 + 2.5 * minute));
        assert!(!leak.is_flat, "{leak:?}");
        assert!((leak.slope - 150.0).abs() < 0.01, "{leak:?}");
        assert!(judge("n", &series(|minute| 200.0 + minute)).is_flat, "22 MiB of 36 that are allowed");
    }
}

//! Whatever happens in whichever order: no answer is older than the last invalidation that its node knows to be done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use onrush::cache::Kind;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::lab::{Lab, Node, Post};
use crate::support::names;
use crate::support::stores::eventually;

const BRIEF: Duration = Duration::from_millis(150);
const KINDS: [Kind<Post>; 3] = [
    Kind::new("all").fresh_for(BRIEF),
    Kind::new("all_costly").costly().fresh_for(BRIEF),
    Kind::new("own").personal().fresh_for(BRIEF),
];
/// The last of the nodes hears nothing.
const NODES: usize = 3;
const DEAF: usize = 2;

#[derive(Debug, Clone)]
enum Step {
    Read {
        node: usize,
        key: usize,
    },
    /// The source changes, and this node says so.
    Change {
        node: usize,
        key: usize,
    },
    /// The same, while two nodes read and load.
    Race {
        readers: [usize; 2],
        node: usize,
        key: usize,
        slowness: usize,
    },
    /// It is loaded anew, whatever is kept.
    Refresh {
        node: usize,
        key: usize,
    },
    /// What is kept ends.
    Expire,
    /// The node hears what has been said.
    Settle {
        node: usize,
        key: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (node, key) = (0..NODES, 0..KINDS.len());
    let both = (node.clone(), key.clone());
    prop_oneof![
        8 => both.clone().prop_map(|(node, key)| Step::Read { node, key }),
        4 => both.clone().prop_map(|(node, key)| Step::Change { node, key }),
        4 => ([node.clone(), node.clone()], node, key, 0..40_usize)
            .prop_map(|(readers, node, key, slowness)| Step::Race { readers, node, key, slowness }),
        1 => both.clone().prop_map(|(node, key)| Step::Refresh { node, key }),
        1 => Just(Step::Expire),
        2 => both.prop_map(|(node, key)| Step::Settle { node, key }),
    ]
}

/// One run: keys of its own, what the sources say, and what each node may not fall behind.
struct Run<'a> {
    nodes: &'a [Arc<Node>],
    keys: Vec<String>,
    sources: Vec<Arc<AtomicU64>>,
    least: Vec<Vec<u64>>,
}

impl Run<'_> {
    async fn read(node: &Node, key: usize, name: &str, source: &Arc<AtomicU64>, slowness: usize) -> u64 {
        let source = Arc::clone(source);
        let load = move || async move {
            let version = source.load(Ordering::SeqCst);
            for _ in 0..slowness {
                tokio::task::yield_now().await;
            }
            Ok::<_, String>(Some(Post { version, text: String::new() }))
        };
        node.cache.get(&KINDS[key], name, load).await.unwrap().value.unwrap().version
    }

    async fn read_now(&mut self, node: usize, key: usize) -> u64 {
        let version = Self::read(&self.nodes[node], key, &self.keys[key], &self.sources[key], 0).await;
        let least = &mut self.least[node][key];
        assert!(version >= *least, "node {node} answers {version} of key {key} after {least}");
        // Nor does it fall behind what it has said itself.
        *least = version;
        version
    }

    async fn change(&mut self, node: usize, key: usize) {
        let version = self.sources[key].fetch_add(1, Ordering::SeqCst) + 1;
        self.nodes[node].cache.invalidate(&KINDS[key], &self.keys[key..=key]).await.unwrap();
        // The deaf one cannot be told, and so trusts nothing.
        for knows in [node, DEAF] {
            self.least[knows][key] = self.least[knows][key].max(version);
        }
    }

    async fn race(&mut self, readers: [usize; 2], node: usize, key: usize, slowness: usize) {
        let reads: Vec<_> = (0..6)
            .map(|reader| {
                let (node, name) = (Arc::clone(&self.nodes[readers[reader % 2]]), self.keys[key].clone());
                let source = Arc::clone(&self.sources[key]);
                tokio::spawn(async move { Self::read(&node, key, &name, &source, slowness + reader).await })
            })
            .collect();
        for _ in 0..slowness / 2 {
            tokio::task::yield_now().await;
        }
        self.change(node, key).await;
        self.read_now(node, key).await;
        for read in join_all(reads).await {
            read.unwrap();
        }
        self.read_now(node, key).await;
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Read { node, key } => drop(self.read_now(node, key).await),
            Step::Change { node, key } => self.change(node, key).await,
            Step::Race { readers, node, key, slowness } => self.race(readers, node, key, slowness).await,
            Step::Refresh { node, key } => {
                let version = self.sources[key].load(Ordering::SeqCst);
                let load = move || async move { Ok::<_, String>(Some(Post { version, text: String::new() })) };
                self.nodes[node].cache.refresh(&KINDS[key], &self.keys[key], load).await.unwrap();
                self.least[node][key] = self.least[node][key].max(version);
            }
            Step::Expire => tokio::time::sleep(2 * BRIEF).await,
            Step::Settle { node, key } => {
                let newest = self.sources[key].load(Ordering::SeqCst);
                eventually("the node has heard", async || self.read_now(node, key).await == newest).await;
            }
        }
    }
}

#[test]
fn no_answer_is_older_than_what_its_node_knows_to_be_invalid() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (_lab, nodes) = runtime.block_on(async {
        let lab = Lab::with(|config| {
            config.cache.hot_min = 3;
            config.cache.local_ttl_ms = 60_000;
            config.cache.wait_ms_max = 60_000;
            // The deaf one hears of no fill, and looks when a lease ends.
            config.cache.lease_ms = 300;
        })
        .await;
        let nodes = [lab.node().await, lab.node().await, lab.deaf_node().await].map(Arc::new);
        (lab, nodes)
    });
    let config = Config { cases: 60, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let tried = TestRunner::new(config).run(&vec(step(), 1..30), |steps| {
        let mut run = Run {
            nodes: &nodes,
            keys: KINDS.iter().map(|_| names::unique("key")).collect(),
            sources: KINDS.iter().map(|_| Arc::new(AtomicU64::new(1))).collect(),
            least: vec![vec![0; KINDS.len()]; NODES],
        };
        runtime.block_on(async {
            for step in steps {
                run.step(step).await;
            }
        });
        Ok(())
    });
    tried.unwrap();
}

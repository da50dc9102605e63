//! What these tests share: one runtime, one Kafka and one PostgreSQL, and a rush of which every promise is checked.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use faults::evidence::evidence;
use faults::installation::{Installation, Node, Role, Store};
use faults::oracle::judge;
use faults::plan::{Plan, Scale};
use faults::rush::Rush;
use faults::stores::Stores;
use faults::storm::Notes;
use testkit::node::Setting;
use testkit::patience::Patience;
use testkit::redis::Fsync;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

/// Longer than any takeover: a worker that died counts as dead after six seconds.
const SETTLE_MAX: Duration = Duration::from_mins(1);

/// Runs a test on the runtime that the shared stores' proxies live on.
pub(crate) fn run(test: impl Future<Output = ()>) {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let start = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    RUNTIME.get_or_init(start).block_on(test);
}

pub(crate) async fn stores() -> Arc<Stores> {
    static STORES: OnceCell<Arc<Stores>> = OnceCell::const_new();
    faults::installation::check_binary().unwrap();
    Arc::clone(STORES.get_or_init(async || Arc::new(Stores::start().await.unwrap())).await)
}

/// Two nodes that serve and two that work, and a rush against them that goes on until it is over.
pub(crate) struct Scene {
    pub(crate) installation: Installation,
    pub(crate) servers: Vec<Node>,
    pub(crate) workers: Vec<Node>,
    pub(crate) rush: Rush,
    pub(crate) plan: Arc<Plan>,
    playing: Option<JoinHandle<anyhow::Result<()>>>,
}

/// What a scene is made of.
#[derive(Clone, Copy)]
pub(crate) struct Set {
    pub(crate) fsync: Fsync,
    /// It kills what other tests use.
    pub(crate) alone: bool,
    pub(crate) settings: &'static [(&'static str, &'static str)],
    pub(crate) rush: Duration,
    /// Units for all; otherwise for some.
    pub(crate) plenty: bool,
    pub(crate) limit: usize,
    /// The workers cannot reach Kafka until their proxies are cleared.
    pub(crate) without_kafka: bool,
}

pub(crate) const USUAL: Set = Set {
    fsync: Fsync::EverySecond,
    alone: false,
    settings: &[],
    rush: Duration::from_secs(3),
    plenty: false,
    limit: 2,
    without_kafka: false,
};

impl Scene {
    /// Sets it, and lets nobody in yet. `seed`: who comes and wants what.
    pub(crate) async fn set(name: &str, seed: u64, set: Set) -> Self {
        let stores = stores().await;
        let settings: Vec<Setting> = set.settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let installation = Installation::start(&stores, name, set.fsync, set.alone, &settings).await.unwrap();
        let (mut servers, mut workers) = (Vec::new(), Vec::new());
        for place in 0..2 {
            servers.push(installation.node(Role::Serve, &format!("server-{place}")).await.unwrap());
            workers.push(installation.node(Role::Work, &format!("worker-{place}")).await.unwrap());
        }
        if set.without_kafka {
            for worker in &workers {
                worker.proxy(Store::Kafka).refuse();
            }
        }
        let mut plan = Plan::new(seed, Scale { rush: set.rush, ..Scale::ALONE });
        plan.limit = set.limit;
        // Whoever hangs up has no answer, whatever the fault; here each answer that is missing is the fault's.
        for user in &mut plan.users {
            for intent in &mut user.intents {
                intent.hangs_up = None;
            }
        }
        plan.stock = if set.plenty { 100_000 } else { plan.stock };
        plan.raises.retain(|_| !set.plenty);
        let urls: Vec<_> = servers.iter().map(|server| server.url.clone()).collect();
        let rush = Rush::open("ALONE", plan.stock, plan.limit, &urls).await.unwrap();
        Self { installation, servers, workers, rush, plan: Arc::new(plan), playing: None }
    }

    /// Lets everybody in.
    pub(crate) fn begin(&mut self) {
        let (rush, plan) = (self.rush.clone(), Arc::clone(&self.plan));
        self.playing = Some(tokio::spawn(async move { rush.play(&plan).await }));
    }

    /// Waits until so many claims were given.
    pub(crate) async fn until_given(&self, count: usize) {
        let patience = Patience::new("the rush gets going", SETTLE_MAX);
        while self.rush.history.count(201) < count {
            patience.wait().await.unwrap();
        }
    }

    /// Waits for the last user.
    pub(crate) async fn finish(&mut self) {
        if let Some(playing) = self.playing.take() {
            playing.await.unwrap().unwrap();
        }
    }

    /// Everybody has had their say, everything arrives, and every promise was kept.
    pub(crate) async fn ends_well(mut self) {
        self.finish().await;
        let settled = self.installation.settle(Some(&self.rush.campaign), SETTLE_MAX).await.unwrap();
        let evidence = evidence(&self.installation, &self.rush, &self.plan, &Notes::default()).await.unwrap();
        let mut wrong: Vec<String> = evidence.iter().flat_map(judge).collect();
        wrong.extend(settled.err());
        let folder = self.installation.folder.clone();
        self.rush.history.write(&folder.join("clients.jsonl")).unwrap();
        assert!(wrong.is_empty(), "{}\nlogs: {}", wrong.join("\n"), folder.display());
        assert!(self.rush.history.count(201) >= 100, "that was no rush");
        drop((self.servers, self.workers));
        self.installation.clean_up().unwrap();
    }
}

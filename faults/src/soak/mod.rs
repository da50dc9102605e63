//! Does it last? Thousands of connections for a long time in mild weather; some never read, some send rubbish, and the
//! others have to be served as ever. Memory has to stay flat, loops have to go on, and no answer may be wrong.
//!
//! - Nothing is kept of a request but counts, and of a campaign only until it is compared with the database: a soak of an
//!   hour needs no more memory than one of a minute.
//! - An answer `unavailable` is right only while something that it needs is hurt, and for some seconds after that.
//!
//! `good` is who has to be served, `absent` and `rubbish` are who is not; `weather` is what goes wrong and `sky`
//! what that excuses; `operator` makes campaigns and compares each `ledger` with the rows; `health` watches the nodes.

mod absent;
mod board;
mod garbage;
mod good;
mod health;
mod ledger;
mod operator;
mod report;
mod rubbish;
mod scale;
mod sky;
mod stage;
mod verdict;
mod weather;
mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use testkit::node::Setting;
use testkit::open_files;
use testkit::redis::Fsync;
use tokio::task::JoinSet;

use crate::installation::{Installation, Node, Role};
use crate::stores::Stores;
use health::Health;
pub use health::Memory;
use operator::Operator;
pub use scale::Scale;
use stage::Stage;
pub use verdict::Wrong;

/// How long searches wait for their turn, and parts of the front page for what they are made of, in ms.
const PATIENCE_MS: u64 = 5_000;
/// How long everything may take to arrive at the end.
const SETTLE_MAX: Duration = Duration::from_mins(2);
/// Besides the clients' connections: the proxies', both ends of each, and what is beside them.
const OTHER_FILES: u64 = 1_500;
/// So many of a hundred well-behaved clients are connected, as a rule; else it was no soak.
const CONNECTED_PERCENT: usize = 95;

/// How it ended.
#[derive(Debug)]
pub struct Outcome {
    /// What was asked for.
    pub scale: Scale,
    /// What must not be, by its kind; nothing, if all is well.
    pub wrong: BTreeMap<String, Wrong>,
    /// Counts.
    pub counts: BTreeMap<String, u64>,
    /// The nodes' memory, and that of this program.
    pub memory: Vec<Memory>,
    /// Each look at it, as lines of `node,minute,mib`.
    pub samples: String,
    /// Connections that were open as a rule: of well-behaved clients, of who does not read, of who sends rubbish.
    pub open: [usize; 3],
    /// How long it took.
    pub took: Duration,
    /// Where logs are, if anything is wrong.
    pub folder: Option<PathBuf>,
}

impl Outcome {
    /// Whether everything was as it should be.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// May so many connections be open? Said before anything begins. The nodes inherit it.
pub fn raise_limit(connections: usize) -> anyhow::Result<()> {
    let raised = open_files::raise_to(connections as u64 + OTHER_FILES);
    raised.with_context(|| format!("{connections} connections are too many; use fewer --connections"))
}

/// Plays it.
pub async fn soak(stores: &Arc<Stores>, scale: Scale) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    let installation = Arc::new(Installation::start(stores, "soak", Fsync::Always, false, &settings(scale)).await?);
    let mut nodes = Vec::new();
    for (role, name) in
        [(Role::Serve, "server-0"), (Role::Serve, "server-1"), (Role::Work, "worker-0"), (Role::Work, "worker-1")]
    {
        nodes.push(Arc::new(installation.node(role, name).await?));
    }
    let urls: Vec<_> = nodes.iter().filter(|node| node.role.serves()).map(|node| node.url.clone()).collect();
    let addresses = urls.iter().map(|url| url.trim_start_matches("http://").parse()).collect::<Result<_, _>>()?;
    let start = tokio::time::Instant::now();
    let stage = Arc::new(Stage {
        scale,
        nodes: addresses,
        board: board::Board::default(),
        sky: sky::Sky::default(),
        verdict: verdict::Verdict::default(),
        open: stage::Open::default(),
        begin: start,
        end: start + scale.time,
    });
    let operator = Arc::new(Operator::new(&stage, &installation, &urls)?);
    operator.open(0).await?;

    let mut health = play(&stage, &installation, &nodes, &operator).await?;
    operator.finish().await?;
    health.look(&stage, &nodes).await?;
    health.loops_are_seen(&stage, &nodes);
    last_words(&stage, &installation).await?;

    let (memory, samples, open) = (health.memory(), health.table(), health.open());
    for memory in memory.iter().filter(|memory| !memory.is_flat && memory.node != health::DRIVER) {
        stage.verdict.wrong("memory is not flat", || format!("{memory:?}"));
    }
    if open[0] * 100 < scale.good() * CONNECTED_PERCENT {
        stage.verdict.wrong("not so many were connected", || format!("{} of {} as a rule", open[0], scale.good()));
    }
    let (wrong, counts) = (stage.verdict.wrongs(), stage.verdict.counts());
    let folder = (!wrong.is_empty()).then(|| installation.folder.clone());
    drop((operator, nodes));
    let installation = Arc::into_inner(installation).context("all tasks of the soak have ended")?;
    if folder.is_none() {
        installation.clean_up()?;
    }
    Ok(Outcome { scale, wrong, counts, memory, samples, open, took: began.elapsed(), folder })
}

fn settings(scale: Scale) -> Vec<Setting> {
    vec![
        // Half of them each, and room for those that come again before the node knows that they were gone.
        ("HTTP__CONNECTIONS_MAX", scale.connections.max(1_000).to_string()),
        ("HTTP__HEADER_TIMEOUT_MS", scale.idle().as_millis().to_string()),
        ("HTTP__WRITE_STALL_MS", scale.write_stall().as_millis().to_string()),
        // What is no part of a run of seconds: as it is by default.
        ("REDIS__COMMAND_TIMEOUT_MS", "2000".to_owned()),
        ("POSTGRES__CONNECTIONS_MAX", "8".to_owned()),
        ("POSTGRES__ACQUIRE_TIMEOUT_MS", "3000".to_owned()),
        // How fast a machine is that has to do all this besides is not what is looked at.
        ("SEARCH__WAIT_MS_MAX", PATIENCE_MS.to_string()),
        ("FEED__VIEW_PART_MS_MAX", PATIENCE_MS.to_string()),
    ]
}

/// Everybody, to the end.
async fn play(
    stage: &Arc<Stage>,
    installation: &Arc<Installation>,
    nodes: &[Arc<Node>],
    operator: &Arc<Operator>,
) -> anyhow::Result<Health> {
    let (mut good, mut strangers) = (JoinSet::new(), JoinSet::new());
    for user in 0..stage.scale.good() {
        good.spawn(good::play(Arc::clone(stage), user));
    }
    for place in 0..stage.scale.absent() {
        strangers.spawn(absent::play(Arc::clone(stage), place));
    }
    for place in 0..stage.scale.rubbish() {
        strangers.spawn(rubbish::play(Arc::clone(stage), place));
    }
    let mut health = Health::default();
    let people = async {
        while let Some(ended) = good.join_next().await {
            ended??;
        }
        while let Some(ended) = strangers.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(
        people,
        weather::blow(Arc::clone(stage), Arc::clone(installation), nodes.to_vec()),
        operator.work(),
        operator.compare(),
        health.watch(stage, nodes),
    )?;
    Ok(health)
}

/// When all is quiet: everything has arrived, nothing was set aside, and every audit says so.
async fn last_words(stage: &Stage, installation: &Installation) -> anyhow::Result<()> {
    if let Err(why) = installation.settle(None, SETTLE_MAX).await? {
        stage.verdict.wrong("audit: not everything arrives", || why);
    }
    let database = installation.stores.postgres.connect(&installation.name)?;
    for (kind, count) in [
        ("facts that contradict others", "SELECT count(*) FROM contradictions"),
        ("facts that could not be written", "SELECT count(*) FROM dead_letters WHERE state = 'waiting'"),
    ] {
        let count: i64 = sqlx::query_scalar(count).fetch_one(&database).await?;
        if count > 0 {
            stage.verdict.wrong(kind, || format!("{count} of them"));
        }
    }
    database.close().await;
    Ok(())
}

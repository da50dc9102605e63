//! What does a fault do? It waits for its moment, strikes, and is mended again.

mod how;
mod letters;
mod loss;
mod memory;
mod outbox;
mod rebuild;
mod weather;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use testkit::kafka::Ends;

use how::How;

use crate::installation::{Installation, Node, Role, Store};
use crate::oracle::Disturbed;
use crate::plan::{Fault, Step};
use crate::rush::Rush;

/// What a fault can reach.
#[derive(Clone)]
pub struct Storm {
    /// The installation.
    pub installation: Arc<Installation>,
    /// Its nodes.
    pub nodes: Vec<Arc<Node>>,
    /// Who asks.
    pub rush: Rush,
    notes: Arc<Mutex<Notes>>,
    /// One fault of Redis at a time.
    redis_turn: Arc<tokio::sync::Mutex<()>>,
}

/// What the storm knows of itself, for the oracle.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// When Redis lost something, and what was safe then.
    pub losses: Vec<Lost>,
    /// Nodes that could not do what they should.
    pub disturbed: Vec<Disturbed>,
    /// What a fault itself has seen to be wrong.
    pub wrong: Vec<String>,
    /// Rebuilds that were killed.
    pub killed_rebuilds: u32,
    /// Commands that rebuilt and succeeded.
    pub rebuilds: u32,
    /// Entries were put into an outbox that cannot be read.
    pub has_garbage: bool,
}

/// When Redis lost something.
#[derive(Debug, Clone)]
pub struct Lost {
    /// When it died.
    pub at: Duration,
    /// When it was there again.
    pub back_at: Duration,
    /// When the campaigns were rebuilt.
    pub rebuilt_at: Duration,
    /// Where Kafka ended when it died.
    pub acked: Ends,
}

impl Storm {
    /// Fair weather.
    #[must_use]
    pub fn new(installation: Arc<Installation>, nodes: Vec<Arc<Node>>, rush: Rush) -> Self {
        Self { installation, nodes, rush, notes: Arc::default(), redis_turn: Arc::default() }
    }

    /// What it knows so far.
    #[must_use]
    pub fn notes(&self) -> Notes {
        self.noted().clone()
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn complain(&self, what: String) {
        self.noted().wrong.push(what);
    }

    /// This node cannot do what it should while this goes on.
    async fn disturb<T>(&self, node: usize, fault: impl Future<Output = T>) -> T {
        let from = self.rush.history.now();
        let outcome = fault.await;
        let until = self.rush.history.now();
        // Those that serve are the ones that clients count.
        let place = self.nodes[..node].iter().filter(|node| node.role.serves()).count();
        if self.nodes[node].role.serves() {
            self.noted().disturbed.push(Disturbed { node: place, from, until });
        }
        outcome
    }

    fn workers(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.iter().filter(|node| node.role != Role::Serve)
    }

    /// Waits for the moment, strikes, and mends it again.
    pub async fn strike(self, step: Step) -> anyhow::Result<()> {
        tokio::time::sleep(step.at.saturating_sub(self.rush.history.now())).await;
        let installation = &self.installation;
        match step.fault {
            Fault::Kill { node, down } => self.disturb(node, self.kill(node, down)).await?,
            Fault::KillMidWrite { node, down } => {
                self.nodes[node].proxy(Store::Postgres).stall();
                self.disturb(node, self.kill_in(node, Store::Postgres, down)).await?;
            }
            Fault::KillBeforeCommit { node, down } => {
                self.nodes[node].proxy(Store::Kafka).hold_offset_commits();
                self.disturb(node, self.kill_in(node, Store::Kafka, down)).await?;
            }
            Fault::Pause { node, time } => self.disturb(node, self.nodes[node].pause(time)).await?,
            Fault::Cut { node, store } => self.disturb(node, async { self.nodes[node].proxy(store).cut() }).await,
            Fault::Stall { node, store, time } => {
                self.weather(node, store, time, crate::proxy::Proxy::stall).await;
            }
            Fault::Delay { node, store, by, time } => self.weather(node, store, time, |proxy| proxy.delay(by)).await,
            Fault::Refuse { node, store, time } => {
                self.weather(node, store, time, crate::proxy::Proxy::refuse).await;
            }
            Fault::LoseReplies { node, count } => self.nodes[node].proxy(Store::Redis).lose_replies(count),
            Fault::HideMessages { time } => self.hide_messages(time).await,
            Fault::FailAnnouncements { count } => self.fail_announcements(count),
            Fault::RestartRedis { down } => {
                let _turn = self.redis_turn.lock().await;
                installation.without_redis(down).await?;
            }
            Fault::ForgetScripts { times } => self.forget_scripts(times).await,
            Fault::FillMemory { time } => self.fill_memory(time).await?,
            Fault::BreakOutbox { kind } => self.break_outbox(kind).await?,
            Fault::RefuseFacts => self.refuse_facts().await?,
            Fault::KillKafka { down } => installation.without_kafka(down).await?,
            Fault::KillPostgres { down } => installation.without_postgres(down).await?,
            Fault::Rebalance { stays } => {
                // Redis is not replaced meanwhile: only the nodes of the plan are led to the new one.
                let _turn = self.redis_turn.lock().await;
                let worker = installation.node(Role::Work, "passer-by").await?;
                tokio::time::sleep(stays).await;
                worker.terminate().await?;
            }
            Fault::EmptyRedis { around } => self.lose(How::Empty, Duration::ZERO, around).await?,
            Fault::FlushRedis { around } => self.lose(How::Flush, Duration::ZERO, around).await?,
            Fault::SetRedisBack { by, around } => self.lose(How::SetBack, by, around).await?,
            Fault::PromoteReplica { by, around } => self.lose(How::Promote, by, around).await?,
        }
        Ok(())
    }
}

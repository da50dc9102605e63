//! One run: the rush, the faults in the midst of it, and the verdict.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use testkit::node::Setting;
use tokio::task::JoinSet;

use crate::crowd;
use crate::evidence::{end, evidence};
use crate::installation::{Installation, Node, Store};
use crate::oracle::judge;
use crate::oracle::operators::{End, judge_operators};
use crate::plan::{Fault, Plan};
use crate::rush::Rush;
use crate::stores::Stores;
use crate::storm::Storm;

/// Everything has arrived by then, or it is lost.
const SETTLE_MAX: Duration = Duration::from_secs(25);
/// Claims of the calm after the storm, and how often it is tried: a relay that is slow may lose its lease by itself.
const CALM_CLAIMS: u64 = 20;
const CALM_TRIES: u32 = 3;

/// How a run ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What contradicts the promises.
    pub wrong: Vec<String>,
    /// Claims, those answered 201, and requests without an answer.
    pub counts: (usize, usize, usize),
    /// How often Redis lost something, and rebuilds that succeeded.
    pub losses: (u64, u64),
    /// How long it took, and how long of it until all had arrived.
    pub took: Duration,
    /// After the rush.
    pub settled_in: Duration,
    /// Where logs and requests are, if anything is wrong.
    pub folder: Option<PathBuf>,
}

/// Plays a plan.
pub async fn play(stores: &Arc<Stores>, plan: &Plan) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    let name = format!("run_{}", plan.seed);
    let settings = [
        ("LEDGER__ROWS_PER_SECOND_MAX", plan.rows_per_second_max.to_string()),
        ("CAMPAIGN__OUTBOX_FACTS_MAX", plan.outbox_facts_max.to_string()),
    ];
    let installation = Arc::new(Installation::start(stores, &name, plan.fsync, plan.kills_stores(), &settings).await?);
    let nodes = start_nodes(&installation, plan).await?;
    let urls: Vec<_> = nodes.iter().filter(|node| node.role.serves()).map(|node| node.url.clone()).collect();
    let rush = Rush::open("RUSH", plan.stock, plan.limit, &urls).await?;
    let storm = Storm::new(Arc::clone(&installation), nodes.clone(), rush.clone());

    let (stop, mut strangers) = crowd::strangers(&rush, plan);
    strangers.spawn(storm.clone().watch_outbox(plan.outbox_facts_max, Arc::clone(&stop)));
    let mut steps = JoinSet::new();
    for step in &plan.steps {
        steps.spawn(storm.clone().strike(step.clone()));
    }
    let mut crowd = crowd::gather(&rush, plan)?;
    let people = async {
        rush.play(plan).await?;
        while let Some(ended) = crowd.join_next().await {
            ended?;
        }
        anyhow::Ok(())
    };
    let faults = async {
        while let Some(ended) = steps.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    };
    // Where a fault cannot be made, nobody is kept waiting for its end.
    tokio::try_join!(people, faults)?;
    for node in &nodes {
        for store in [Store::Redis, Store::Kafka, Store::Postgres] {
            node.proxy(store).clear();
        }
        installation.revive(node).await?;
    }
    let rushed = began.elapsed();

    let mut wrong = storm.mend(plan).await?;
    let settled_in = began.elapsed().saturating_sub(rushed);
    if wrong.is_empty() {
        wrong.extend(calm(&storm, &installation, &rush, plan).await?);
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = strangers.join_next().await {
        ended?;
    }
    let found = storm.notes();
    let end = end(&installation, &rush, plan, &found).await?;
    wrong.extend(claimable(&rush, &end).await?);
    wrong.extend(judge_operators(&end, &rush.history.events()));
    // What was claimed just now has to arrive, too.
    let settled = storm.settle(None, if wrong.is_empty() { SETTLE_MAX } else { SETTLE_MAX / 5 }).await?;
    wrong.extend(settled.err().filter(|_| wrong.is_empty()));
    for evidence in evidence(&installation, &rush, plan, &found).await? {
        wrong.extend(judge(&evidence));
    }
    wrong.extend(found.wrong.iter().cloned());

    let history = &rush.history;
    let folder = (!wrong.is_empty()).then(|| installation.folder.clone());
    if let Some(folder) = &folder {
        history.write(&folder.join("clients.jsonl"))?;
        std::fs::write(folder.join("verdict.txt"), format!("{plan}{}\n{found:#?}\n", wrong.join("\n")))?;
    }
    let (claims, yes) = history.claims();
    let counts = (claims, yes, history.count(0));
    drop((nodes, storm));
    let installation = Arc::into_inner(installation).context("all tasks of the run have ended")?;
    if folder.is_none() {
        installation.clean_up()?;
    }
    let losses = (found.losses.len() as u64, found.rebuilds.into());
    Ok(Outcome { wrong, counts, losses, took: began.elapsed(), settled_in, folder })
}

/// All at the same time.
async fn start_nodes(installation: &Arc<Installation>, plan: &Plan) -> anyhow::Result<Vec<Arc<Node>>> {
    let mut starting = JoinSet::new();
    for (place, role) in plan.roles.iter().copied().enumerate() {
        let installation = Arc::clone(installation);
        let ahead = plan.clocks_ahead.get(place).copied().unwrap_or(0);
        let settings: Vec<Setting> = if ahead != 0 && installation.knows_setting("clock_ahead_ms") {
            vec![("BENCH__CLOCK_AHEAD_MS", ahead.to_string())]
        } else {
            Vec::new()
        };
        starting.spawn(async move {
            let node = installation.node_with(role, &format!("node-{place}"), settings).await?;
            anyhow::Ok((place, Arc::new(node)))
        });
    }
    let mut nodes = Vec::new();
    while let Some(started) = starting.join_next().await {
        nodes.push(started??);
    }
    nodes.sort_by_key(|(place, _)| *place);
    Ok(nodes.into_iter().map(|(_, node)| node).collect())
}

impl Storm {
    /// What is left to be done when all faults are over: facts that wait as dead letters, campaigns that a node found lost
    /// later. Then everything arrives; or what does not.
    async fn mend(&self, plan: &Plan) -> anyhow::Result<Vec<String>> {
        if plan.steps.iter().any(|step| matches!(step.fault, Fault::RefuseFacts)) {
            self.accept_facts().await?;
        }
        if !self.notes().losses.is_empty() && !self.not_open().await?.is_empty() {
            self.bring_back_again().await?;
        }
        Ok(self.settle(None, SETTLE_MAX).await?.err().into_iter().collect())
    }

    /// Waits until everything has arrived; where it does not, an operator discards the letters of what was garbage, and sends all
    /// others again: some come late.
    async fn settle(&self, campaign: Option<&str>, patience: Duration) -> anyhow::Result<Result<(), String>> {
        let has_garbage = self.notes().has_garbage;
        let first = if has_garbage { patience / 3 } else { patience };
        let mut settled = self.installation.settle(campaign, first).await?;
        if settled.is_err() {
            if has_garbage {
                self.discard_garbage().await?;
            }
            self.replay_letters().await?;
            settled = self.installation.settle(campaign, patience / 2).await?;
        }
        Ok(settled)
    }
}

/// When all is well again, claims are given, and each fact is published once: one relay has the campaign.
async fn calm(storm: &Storm, installation: &Installation, rush: &Rush, plan: &Plan) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let mut stock = plan.raises.last().map_or(plan.stock, |(_, stock)| *stock);
    for round in 0..CALM_TRIES {
        let before = facts_and_records(installation).await?;
        stock += CALM_CLAIMS;
        if !rush.raise(stock).await {
            wrong.push("open again: the stock cannot be raised when all is well again".to_owned());
            return Ok(wrong);
        }
        for claim in 0..CALM_CLAIMS {
            let answer = rush.claim(&format!("calm-{round}-{claim}"), "calm").await?;
            if answer.as_ref().map(|answer| answer.status) != Some(201) {
                wrong.push(format!("open again: when all is well again a claim is answered {answer:?}"));
            }
        }
        if let Err(why) = storm.settle(Some(&rush.campaign), SETTLE_MAX).await? {
            wrong.push(format!("{why}; when all is well again"));
        }
        let after = facts_and_records(installation).await?;
        let (new_facts, new_records) = (after.0 - before.0, after.1 - before.1);
        if new_facts == new_records || !wrong.is_empty() {
            return Ok(wrong);
        }
        if round + 1 == CALM_TRIES {
            wrong.push(format!(
                "invariant 7: doubled: when all is well again {new_facts} facts are published in {new_records} records"
            ));
        }
    }
    Ok(wrong)
}

/// Every campaign that says that it is open is so, at every node.
async fn claimable(rush: &Rush, end: &End) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (id, views) in &end.views {
        let is_open = views.iter().all(|view| view.status == 200 && view.state == "open");
        if !is_open || *id == rush.campaign || id == crowd::ROOM {
            continue;
        }
        for node in 0..rush.clients.len() {
            // The length of the name says which node is asked first.
            let user = format!("{:l$}", "late-to-it", l = 10 + node);
            let answer = rush.of(id).claim(&user.replace(' ', "-"), "late").await?;
            let is_well = answer.as_ref().is_some_and(|answer| answer.status == 201 || answer.code() == "sold_out");
            if !is_well {
                wrong.push(format!("open again: {id} says that it is open, and a claim is answered {answer:?}"));
            }
        }
    }
    Ok(wrong)
}

/// Facts in the database, and records in Kafka.
async fn facts_and_records(installation: &Installation) -> anyhow::Result<(i64, i64)> {
    let database = installation.stores.postgres.connect(&installation.name)?;
    let facts = sqlx::query_scalar("SELECT count(*) FROM stock_history").fetch_one(&database).await?;
    database.close().await;
    Ok((facts, installation.stores.kafka.records(&installation.topic()).await?))
}

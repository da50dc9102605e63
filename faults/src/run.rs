//! One run: the rush, the faults in the midst of it, and the verdict.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use sqlx::Row as _;
use tokio::task::JoinSet;

use crate::client::{Request, token};
use crate::history::Asked;
use crate::installation::{Installation, Node, Role, Store};
use crate::oracle::{Evidence, Loss, Row, judge};
use crate::plan::{Fault, Plan, Step};
use crate::rush::Rush;
use crate::stores::Stores;

/// Everything has arrived by then, or it is lost.
const SETTLE_MAX: Duration = Duration::from_mins(1);
/// Claims of the calm after the storm, and how often it is tried: a relay that is slow may lose its lease by itself.
const CALM_CLAIMS: u64 = 20;
const CALM_TRIES: u32 = 3;

/// A worker that is to die in the middle of a batch has waited for its store so long: longer than from batch to batch.
const STUCK_FOR: Duration = Duration::from_millis(500);

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// What contradicts the promises.
    pub wrong: Vec<String>,
    /// Answers `201`, other answers, and requests without one.
    pub counts: (usize, usize, usize),
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
    let installation = Arc::new(Installation::start(stores, &name, plan.fsync, plan.kills_stores(), &[]).await?);
    let mut nodes = Vec::new();
    for (place, role) in plan.roles.iter().enumerate() {
        nodes.push(Arc::new(installation.node(*role, &format!("node-{place}")).await?));
    }
    let urls: Vec<_> = nodes.iter().filter(|node| node.role.serves()).map(|node| node.url.clone()).collect();
    let rush = Rush::open("RUSH", plan.stock, plan.limit, &urls).await?;

    let mut steps = JoinSet::new();
    for step in &plan.steps {
        let storm = Storm { installation: Arc::clone(&installation), nodes: nodes.clone(), rush: rush.clone() };
        steps.spawn(storm.strike(step.clone()));
    }
    rush.play(plan).await?;
    let mut loss = None;
    while let Some(ended) = steps.join_next().await {
        loss = ended??.or(loss);
    }
    for node in &nodes {
        installation.revive(node).await?;
    }
    let rushed = began.elapsed();

    let mut wrong = Vec::new();
    if let Err(why) = installation.settle("RUSH", SETTLE_MAX).await? {
        wrong.push(why);
    }
    let settled_in = began.elapsed().saturating_sub(rushed);
    wrong.extend(calm(&installation, &rush, plan).await?);
    wrong.extend(judge(&evidence(&installation, &rush, plan, loss).await?));

    let history = &rush.history;
    let all = history.events().len();
    let (yes, silent) = (history.count(201), history.count(0));
    let folder = (!wrong.is_empty()).then(|| installation.folder.clone());
    if let Some(folder) = &folder {
        history.write(&folder.join("clients.jsonl"))?;
    }
    drop(nodes);
    let installation = Arc::into_inner(installation).context("all tasks of the run have ended")?;
    if folder.is_none() {
        installation.clean_up()?;
    }
    Ok(Outcome { wrong, counts: (yes, all - yes - silent, silent), took: began.elapsed(), settled_in, folder })
}

/// When all is well again, claims are given, and each fact is published once: one relay has the campaign.
async fn calm(installation: &Installation, rush: &Rush, plan: &Plan) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let mut stock = plan.raises.last().map_or(plan.stock, |(_, stock)| *stock);
    for round in 0..CALM_TRIES {
        let before = facts_and_records(installation).await?;
        stock += CALM_CLAIMS;
        if !rush.raise(stock).await {
            wrong.push("the stock cannot be raised when all is well again".to_owned());
            return Ok(wrong);
        }
        for claim in 0..CALM_CLAIMS {
            let answer = rush.claim(&format!("calm-{round}-{claim}"), "calm").await?;
            if answer.as_ref().map(|answer| answer.status) != Some(201) {
                wrong.push(format!("when all is well again a claim is answered {answer:?}"));
            }
        }
        if let Err(why) = installation.settle("RUSH", SETTLE_MAX).await? {
            wrong.push(format!("when all is well again: {why}"));
        }
        let after = facts_and_records(installation).await?;
        let (new_facts, new_records) = (after.0 - before.0, after.1 - before.1);
        if new_facts == new_records || !wrong.is_empty() {
            return Ok(wrong);
        }
        if round + 1 == CALM_TRIES {
            wrong.push(format!("when all is well again {new_facts} facts are published in {new_records} records"));
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

/// What there is to judge by, now.
pub async fn evidence(
    installation: &Installation,
    rush: &Rush,
    plan: &Plan,
    loss: Option<Loss>,
) -> anyhow::Result<Evidence> {
    let database = installation.stores.postgres.connect(&installation.name)?;
    let set_aside = "SELECT (SELECT count(*) FROM contradictions) + (SELECT count(*) FROM dead_letters)";
    let set_aside = sqlx::query_scalar(set_aside).fetch_one(&database).await?;
    let stock: i64 = sqlx::query_scalar("SELECT stock FROM campaigns").fetch_one(&database).await?;
    let rows = rows(installation).await?;
    database.close().await;
    let events = rush.history.events();
    let stock_at_last = stock.unsigned_abs();
    Ok(Evidence { limit: plan.limit, stock: plan.stock, events, rows, stock_at_last, set_aside, loss })
}

/// All claims of the database.
pub async fn rows(installation: &Installation) -> anyhow::Result<Vec<Row>> {
    let database = installation.stores.postgres.connect(&installation.name)?;
    let all = "SELECT generation, number, user_id, attempt, claimed_at IS NOT NULL, given_back_at IS NOT NULL, \
               redeemed_at IS NOT NULL FROM claims";
    let found = sqlx::query(all).fetch_all(&database).await?;
    database.close().await;
    let row = |row: &sqlx::postgres::PgRow| Row {
        generation: row.get::<i32, _>(0).unsigned_abs().into(),
        number: row.get::<i64, _>(1).unsigned_abs(),
        user: row.get(2),
        attempt: row.get(3),
        is_claimed: row.get(4),
        is_given_back: row.get(5),
        is_redeemed: row.get(6),
    };
    Ok(found.iter().map(row).collect())
}

/// What a fault can reach.
struct Storm {
    installation: Arc<Installation>,
    nodes: Vec<Arc<Node>>,
    rush: Rush,
}

impl Storm {
    /// Waits for the moment, strikes, and mends it again.
    async fn strike(self, step: Step) -> anyhow::Result<Option<Loss>> {
        tokio::time::sleep(step.at.saturating_sub(self.rush.history.now())).await;
        let installation = &self.installation;
        match step.fault {
            Fault::Kill { node, down } => {
                self.nodes[node].kill().await;
                tokio::time::sleep(down).await;
                installation.revive(&self.nodes[node]).await?;
            }
            Fault::KillMidWrite { node, down } => {
                self.nodes[node].proxy(Store::Postgres).stall();
                self.kill_in(&self.nodes[node], Store::Postgres, down).await?;
            }
            Fault::KillBeforeCommit { node, down } => {
                self.nodes[node].proxy(Store::Kafka).hold_offset_commits();
                self.kill_in(&self.nodes[node], Store::Kafka, down).await?;
            }
            Fault::Pause { node, time } => self.nodes[node].pause(time).await?,
            Fault::Cut { node, store } => self.nodes[node].proxy(store).cut(),
            Fault::Stall { node, store, time } => {
                let proxy = self.nodes[node].proxy(store);
                proxy.stall();
                tokio::time::sleep(time).await;
                proxy.clear();
            }
            Fault::Delay { node, store, by, time } => {
                let proxy = self.nodes[node].proxy(store);
                proxy.delay(by);
                tokio::time::sleep(time).await;
                proxy.clear();
            }
            Fault::Refuse { node, store, time } => {
                let proxy = self.nodes[node].proxy(store);
                proxy.refuse();
                tokio::time::sleep(time).await;
                proxy.clear();
            }
            Fault::LoseReplies { node, count } => {
                self.nodes[node].proxy(Store::Redis).lose_replies(count);
            }
            Fault::RestartRedis { down } => installation.without_redis(down).await?,
            Fault::ForgetScripts => {
                // It may be down at the moment: then it forgets without us.
                let _down = installation.redis.forget_scripts().await;
            }
            Fault::KillKafka { down } => installation.without_kafka(down).await?,
            Fault::KillPostgres { down } => installation.without_postgres(down).await?,
            Fault::Rebalance { stays } => {
                let worker = installation.node(Role::Work, "passer-by").await?;
                tokio::time::sleep(stays).await;
                worker.terminate().await?;
            }
            Fault::EmptyRedis => return self.lose(None).await.map(Some),
            Fault::SetRedisBack { by } => return self.lose(Some(by)).await.map(Some),
        }
        Ok(None)
    }

    /// Kills a node that has been waiting for a store for some time, so that what it had sent does not get through, and
    /// starts it again.
    async fn kill_in(&self, node: &Node, store: Store, down: Duration) -> anyhow::Result<()> {
        tokio::time::sleep(STUCK_FOR).await;
        node.kill().await;
        node.proxy(store).cut();
        node.proxy(store).clear();
        tokio::time::sleep(down).await;
        self.installation.revive(node).await
    }

    /// Redis forgets, all or what was after this long ago; claims are refused until the campaign has been rebuilt.
    async fn lose(&self, set_back_by: Option<Duration>) -> anyhow::Result<Loss> {
        let installation = &self.installation;
        let aside = set_back_by.map(|_| installation.redis.put_log_aside()).transpose()?;
        if let Some(by) = set_back_by {
            tokio::time::sleep(by).await;
        }
        let rows: BTreeSet<_> = rows(installation).await?.iter().map(|row| (row.generation, row.number)).collect();
        match &aside {
            None => installation.redis.empty().await?,
            Some(log) => installation.redis.set_back(log).await?,
        }
        let at = self.rush.history.now();
        self.is_refused().await?;
        let deadline = Instant::now() + SETTLE_MAX;
        while installation.command(&["rebuild", &self.rush.campaign], SETTLE_MAX).await? != Some(0) {
            ensure!(Instant::now() < deadline, "the campaign cannot be rebuilt");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(Loss { at, rebuilt_at: self.rush.history.now(), rows })
    }

    /// Once a node has noticed, no node gives a unit.
    async fn is_refused(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut refused_in_turn = 0;
        for attempt in 0_u32.. {
            let user = format!("prober-{attempt}");
            let asked = Asked::Claim { key: Some("probe".into()) };
            let request = Request { token: token(&user)?, user, asked };
            let answer = self.rush.ask(attempt as usize, &request).await;
            let is_refused = answer.as_ref().is_some_and(|answer| answer.code() == "unavailable");
            refused_in_turn = if is_refused { refused_in_turn + 1 } else { 0 };
            if refused_in_turn >= 10 {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("Redis has forgotten, and a claim is answered {answer:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

//! What does the operator do? Makes campaigns again and again, closes those that are off the board, and compares them with
//! the database when everybody has had their answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::{Value, json};
use testkit::client::{Answer, Client, Method};

use super::board::Set;
use super::ledger::Ledger;
use super::scale::ANSWER_MAX;
use super::stage::Stage;
use crate::evidence::rows;
use crate::installation::Installation;

/// For how long a request is repeated until it is answered, and how soon.
const PATIENCE: Duration = Duration::from_secs(40);
const AGAIN: Duration = Duration::from_millis(200);
/// Who asked for something when a campaign went off the board has an answer by then, twice over.
const HEARD_BY_ALL: Duration = ANSWER_MAX.saturating_mul(2).saturating_add(Duration::from_secs(5));
/// How long everything may take to arrive.
const SETTLE_MAX: Duration = Duration::from_mins(1);

/// Units that a user may hold of a campaign with plenty.
const LIMIT: usize = 2;

/// The operator.
pub(super) struct Operator {
    stage: Arc<Stage>,
    installation: Arc<Installation>,
    clients: Vec<Client>,
    /// Campaigns that were closed, and when.
    closed: Mutex<VecDeque<(Instant, Set)>>,
}

impl Operator {
    pub(super) fn new(stage: &Arc<Stage>, installation: &Arc<Installation>, urls: &[String]) -> anyhow::Result<Self> {
        let clients = urls.iter().map(|url| Client::new(url)).collect::<anyhow::Result<_>>()?;
        let (stage, installation) = (Arc::clone(stage), Arc::clone(installation));
        Ok(Self { stage, installation, clients, closed: Mutex::default() })
    }

    fn closed(&self) -> std::sync::MutexGuard<'_, VecDeque<(Instant, Set)>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts campaigns on the board, again and again.
    pub(super) async fn work(&self) -> anyhow::Result<()> {
        let mut serial = 1;
        loop {
            self.stage.sleep(self.stage.scale.campaigns_every()).await;
            if !self.stage.goes_on() {
                return Ok(());
            }
            self.open(serial).await?;
            serial += 1;
        }
    }

    /// Makes a set of campaigns, and closes the one that is off the board by that.
    pub(super) async fn open(&self, serial: u64) -> anyhow::Result<()> {
        let people = self.stage.scale.connections as u64;
        let make = async |name: &str, stock: u64, limit: usize, room: Option<Value>| {
            let ledger = Ledger::new(format!("{name}-{serial}"), stock, limit, room.is_some());
            let body =
                json!({"id": ledger.id, "name": "A soak", "stock": stock, "per_user_limit": limit, "waiting": room});
            let answer = self.until_known(async |client: &Client| client.create(&body).await).await?;
            if !matches!(answer.status, 200 | 201) {
                bail!("{} cannot be made: {answer:?}", ledger.id);
            }
            self.stage.verdict.count("campaigns made");
            anyhow::Ok(Arc::new(ledger))
        };
        let room = json!({"admit": (people / 1_000).max(2), "every_ms": 1_000, "active_max": (people / 20).max(5),
            "pass_ttl_s": 300, "claim_pass_within_s": 120});
        let set = Set {
            plenty: make("PLENTY", people * 4, LIMIT, None).await?,
            scarce: make("SCARCE", (people / 40).max(5), 1, None).await?,
            room: make("ROOM", (people / 10).max(10), 1, Some(room)).await?,
        };
        // Every node knows of it before anybody asks.
        for ledger in set.all() {
            for client in &self.clients {
                let look = async |client: &Client| client.operate(Method::GET, &path(ledger, ""), None).await;
                let deadline = Instant::now() + PATIENCE;
                while look(client).await.is_none_or(|answer| answer.status != 200) {
                    anyhow::ensure!(Instant::now() < deadline, "{} is not seen by every node", ledger.id);
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
        if let Some(old) = self.stage.board.show(set) {
            self.close(old).await?;
        }
        Ok(())
    }

    async fn close(&self, set: Set) -> anyhow::Result<()> {
        for ledger in set.all() {
            ledger.is_about_to_close();
            ledger.end();
            let close = async |client: &Client| client.operate(Method::POST, &path(ledger, "/close"), None).await;
            let answer = self.until_known(close).await?;
            if answer.status != 200 {
                self.stage.verdict.wrong("operator: a campaign is not closed", || format!("{}: {answer:?}", ledger.id));
            }
        }
        self.closed().push_back((Instant::now(), set));
        Ok(())
    }

    /// At the nodes in turn, until there is an answer that says something.
    async fn until_known(&self, ask: impl AsyncFn(&Client) -> Option<Answer>) -> anyhow::Result<Answer> {
        let deadline = Instant::now() + PATIENCE;
        for client in self.clients.iter().cycle() {
            match ask(client).await {
                Some(answer) if answer.status < 500 => return Ok(answer),
                Some(answer) if answer.status != 503 => {
                    self.stage.verdict.wrong("5xx", || format!("an operator is answered {answer:?}"));
                }
                Some(_) | None => {}
            }
            if Instant::now() > deadline {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
        bail!("no node answers an operator for {PATIENCE:?}")
    }

    /// Compares with the database what has been closed for long enough, to the end of the soak.
    pub(super) async fn compare(&self) -> anyhow::Result<()> {
        while self.stage.goes_on() {
            self.stage.sleep(Duration::from_secs(1)).await;
            let is_ripe = |(closed, _): &mut (Instant, Set)| closed.elapsed() > HEARD_BY_ALL;
            let ripe = self.closed().pop_front_if(is_ripe);
            if let Some((_, set)) = ripe {
                self.judge(&set).await?;
            }
        }
        Ok(())
    }

    /// Closes and compares all that is left, when nobody asks any more.
    pub(super) async fn finish(&self) -> anyhow::Result<()> {
        for set in self.stage.board.clear() {
            self.close(set).await?;
        }
        loop {
            let next = self.closed().pop_front();
            let Some((_, set)) = next else { return Ok(()) };
            self.judge(&set).await?;
        }
    }

    async fn judge(&self, set: &Set) -> anyhow::Result<()> {
        let verdict = &self.stage.verdict;
        for ledger in set.all() {
            if let Err(why) = self.installation.settle(Some(&ledger.id), SETTLE_MAX).await? {
                verdict.wrong("audit: not everything arrives", || why);
            }
            let rows = rows(&self.installation, &ledger.id).await?;
            verdict.count("campaigns compared with their rows");
            verdict.add("claims promised", ledger.promised() as u64);
            verdict.add("rows", rows.len() as u64);
            for (kind, what) in ledger.judge(&rows) {
                verdict.wrong(kind, || what);
            }
        }
        Ok(())
    }
}

fn path(ledger: &Ledger, rest: &str) -> String {
    format!("/v1/campaigns/{}{rest}", ledger.id)
}

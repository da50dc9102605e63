//! An operator brings back what was lost. Some rebuilds die in the middle; the next one makes up for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::Storm;
use crate::plan::{Around, Ledger};
use crate::proxy::{Protocol, Proxy};
use crate::request::Asked;
use crate::rush::operators;

/// One rebuild may take so long, and all attempts together.
const REBUILD_MAX: Duration = Duration::from_secs(20);
const TRIED_MAX: Duration = Duration::from_secs(25);
const AGAIN: Duration = Duration::from_millis(100);
/// A rebuild that is to be killed talks to Redis so slowly that its moments can be told apart.
const SLOW_BY: Duration = Duration::from_millis(30);
const KILLED_WITHIN: Duration = Duration::from_secs(10);

impl Storm {
    /// Again and again, until every campaign is open at every node.
    pub(super) async fn bring_back(&self, around: Around) -> anyhow::Result<()> {
        let began = self.rush.history.now();
        for _ in 0..around.killed_rebuilds {
            self.kill_a_rebuild().await?;
        }
        loop {
            let done = self.rebuild_everything(around.at_once).await?;
            let closed = self.not_open().await?;
            if closed.is_empty() {
                return Ok(());
            }
            if self.rush.history.now() > began + TRIED_MAX {
                let (said, first) = (self.installation.last_said(), &closed[0]);
                self.complain(format!(
                    "open again: {} of the campaigns are not after a rebuild that said {said:?}: {first}",
                    closed.len()
                ));
                return Ok(());
            }
            if !done {
                // Letters that nobody can read may be what it waits for, or facts that wait as dead letters. In this order: what
                // is sent again is on its way for a while.
                self.discard_garbage().await?;
                // Only if it does not succeed otherwise: what waits as a dead letter has to be there when it is rebuilt.
                if self.rush.history.now() > began + TRIED_MAX / 2 {
                    self.accept_facts().await?;
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// The same where nothing is hurt any more.
    pub async fn bring_back_again(&self) -> anyhow::Result<()> {
        let fair = Around {
            stale: None,
            others_away: false,
            reboots: false,
            ledger: Ledger::There,
            lasts: Duration::ZERO,
            killed_rebuilds: 0,
            at_once: true,
        };
        self.bring_back(fair).await
    }

    /// Whether all of it succeeded.
    async fn rebuild_everything(&self, at_once: bool) -> anyhow::Result<bool> {
        let installation = &self.installation;
        if at_once && can_rebuild_all(installation).await? {
            let done = installation.command(&["rebuild", "--all"], REBUILD_MAX).await? == Some(0);
            self.noted().rebuilds += u32::from(done);
            return Ok(done);
        }
        let mut tasks = JoinSet::new();
        for campaign in self.campaigns().await? {
            let installation = Arc::clone(installation);
            tasks.spawn(async move { installation.command(&["rebuild", &campaign], REBUILD_MAX).await });
        }
        let mut all_done = true;
        while let Some(ended) = tasks.join_next().await {
            let done = ended?.is_ok_and(|status| status == Some(0));
            self.noted().rebuilds += u32::from(done);
            all_done &= done;
        }
        Ok(all_done)
    }

    /// Campaigns that nodes do not answer for, and how.
    pub async fn not_open(&self) -> anyhow::Result<Vec<String>> {
        let mut closed = Vec::new();
        for campaign in self.campaigns().await? {
            for (place, client) in self.rush.clients.iter().enumerate() {
                let answer = client.send(&operators(Asked::View).http(&campaign)).await;
                if answer.as_ref().is_none_or(|answer| answer.status != 200 || answer.text("state") == "unavailable") {
                    let said =
                        answer.map(|answer| (answer.status, answer.code().to_owned(), answer.text("state").to_owned()));
                    closed.push(format!("node {place} answers for {campaign} {said:?}"));
                }
            }
        }
        Ok(closed)
    }

    /// Every campaign that the database knows.
    async fn campaigns(&self) -> anyhow::Result<Vec<String>> {
        let database = self.installation.stores.postgres.connect(&self.installation.name)?;
        let ids = sqlx::query_scalar("SELECT id FROM campaigns ORDER BY id").fetch_all(&database).await?;
        database.close().await;
        Ok(ids)
    }

    /// Kills a rebuild once it has taken a generation, or after a while.
    async fn kill_a_rebuild(&self) -> anyhow::Result<()> {
        let installation = &self.installation;
        let slow = Proxy::start(Protocol::Any, installation.redis().address()).await?;
        slow.delay(SLOW_BY);
        let database = installation.stores.postgres.connect(&installation.name)?;
        let generation = async || {
            let ask = sqlx::query_scalar::<_, i32>("SELECT generation FROM campaigns WHERE id = $1");
            anyhow::Ok(ask.bind(&self.rush.campaign).fetch_one(&database).await?)
        };
        let before = generation().await?;
        let settings = [("REDIS__URL", format!("redis://{}", slow.address())), ("TELEMETRY__LOG", "warn".into())];
        let program = installation.onrush("rebuild", &settings, None)?.args([&self.rush.campaign]);
        let mut process = program.start(&installation.folder.join("killed.log"))?;
        let began = self.rush.history.now();
        while process.is_alive() && generation().await? == before && self.rush.history.now() < began + KILLED_WITHIN {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        process.kill();
        database.close().await;
        self.noted().killed_rebuilds += 1;
        Ok(())
    }
}

/// Whether the program can rebuild all campaigns by one command.
async fn can_rebuild_all(installation: &crate::installation::Installation) -> anyhow::Result<bool> {
    static CAN: OnceCell<bool> = OnceCell::const_new();
    let ask = async || {
        let log = installation.folder.join("help.log");
        installation.onrush("rebuild", &[], None)?.args(["--help"]).run(&log, REBUILD_MAX).await?;
        anyhow::Ok(std::fs::read_to_string(log)?.contains("--all"))
    };
    CAN.get_or_try_init(ask).await.copied()
}

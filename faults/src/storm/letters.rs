//! The database refuses facts for themselves; an operator mends that, and sends them again.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::Method;

use super::Storm;

/// Users whose claims the database refuses.
const REFUSED: usize = 4;
/// How long the database is asked for it.
const TRIES: u32 = 50;
const AGAIN: Duration = Duration::from_millis(100);

const REFUSE: &str = "CREATE OR REPLACE FUNCTION refuse_some() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'refused by the faults' USING ERRCODE = '22000'; END $$;
    CREATE OR REPLACE TRIGGER refuses_some BEFORE INSERT ON claims FOR EACH ROW WHEN (NEW.user_id LIKE 'refused-%')
    EXECUTE FUNCTION refuse_some()";
const ACCEPT: &str = "DROP TRIGGER IF EXISTS refuses_some ON claims";

impl Storm {
    /// Some users claim whose facts the database will not have.
    pub(super) async fn refuse_facts(&self) -> anyhow::Result<()> {
        self.alter(REFUSE).await?;
        for user in 0..REFUSED {
            self.rush.claim(&format!("refused-{user}"), "refused").await?;
        }
        Ok(())
    }

    /// The database has them from now on, and those that wait are sent again.
    pub async fn accept_facts(&self) -> anyhow::Result<()> {
        self.alter(ACCEPT).await?;
        self.replay_letters().await
    }

    /// An operator sends again what waits.
    pub async fn replay_letters(&self) -> anyhow::Result<()> {
        let path = "/v1/ops/dead-letters/replay";
        for client in &self.rush.clients {
            let answer = client.operate(Method::POST, path, Some(&json!({"all": true}))).await;
            if answer.is_some_and(|answer| answer.status == 200) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// An operator reads what waits, and throws away what nobody can read.
    pub async fn discard_garbage(&self) -> anyhow::Result<()> {
        let path = "/v1/ops/dead-letters";
        for client in &self.rush.clients {
            let Some(listed) = client.operate(Method::GET, &format!("{path}?limit=100"), None).await else { continue };
            let items = listed.body["items"].as_array().cloned().unwrap_or_default();
            // What is a fact has to become a row.
            let is_garbage = |item: &&Value| item["state"] == "waiting" && !item["record"]["outbox_entry"].is_null();
            let ids: Vec<Value> = items.iter().filter(is_garbage).map(|item| item["id"].clone()).collect();
            let body = json!({"ids": ids, "reason": "an entry that the faults made"});
            let discarded = client.operate(Method::POST, &format!("{path}/discard"), Some(&body)).await;
            if discarded.is_some_and(|answer| answer.status == 200) {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn alter(&self, statement: &'static str) -> anyhow::Result<()> {
        let database = self.installation.stores.postgres.connect(&self.installation.name)?;
        let mut tries = 0;
        while let Err(error) = sqlx::raw_sql(statement).execute(&database).await {
            tries += 1;
            anyhow::ensure!(tries < TRIES, "the database does not let itself be altered: {error}");
            tokio::time::sleep(AGAIN).await;
        }
        database.close().await;
        Ok(())
    }
}

//! The stock is a row, and a claim is a row: read, check, write, in one transaction. What differs is what protects it.

use std::time::Duration;

use anyhow::bail;
use onrush::database::Database;
use onrush::ids::UserId;
use sqlx::{PgConnection, Row};

use super::Way;
use crate::judge::{Decision, Sale};

/// How often the optimistic one tries, and how long it rests in between.
const TRIES_MAX: u32 = 1_000;
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// The tables. The version is only looked at by the optimistic one.
pub(crate) const TABLES: [&str; 2] = [
    "CREATE TABLE units (sale text PRIMARY KEY, stock bigint NOT NULL, free bigint NOT NULL, version bigint NOT NULL)",
    "CREATE TABLE sales (sale text NOT NULL, user_id text NOT NULL, number bigint NOT NULL, \
     sold_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (sale, user_id))",
];

/// What protects the stock between its being read and its being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locking {
    /// Nothing.
    None,
    /// The row is locked when it is read.
    Pessimistic,
    /// It is written only if its version still is the one that was read.
    Optimistic,
}

/// A stock in PostgreSQL.
pub struct InRows {
    database: Database,
    sale: String,
    locking: Locking,
}

/// What a transaction came to.
enum Tried {
    Decision(Decision),
    /// Another was faster.
    Overtaken,
}

impl InRows {
    /// Puts a stock up for sale.
    pub async fn new(database: Database, sale: &str, stock: u64, locking: Locking) -> anyhow::Result<Self> {
        sqlx::query("INSERT INTO units (sale, stock, free, version) VALUES ($1, $2, $2, 0)")
            .bind(sale)
            .bind(i64::try_from(stock)?)
            .execute(&database)
            .await?;
        Ok(Self { database, sale: sale.to_owned(), locking })
    }

    /// One transaction.
    async fn sell(&self, user: &str) -> anyhow::Result<Tried> {
        let mut transaction = self.database.begin().await?;
        let tried = self.sell_in(&mut transaction, user).await?;
        match tried {
            Tried::Decision(_) => transaction.commit().await?,
            Tried::Overtaken => transaction.rollback().await?,
        }
        Ok(tried)
    }

    async fn sell_in(&self, connection: &mut PgConnection, user: &str) -> anyhow::Result<Tried> {
        let read = match self.locking {
            Locking::None | Locking::Optimistic => {
                "SELECT stock, free, version, (SELECT number FROM sales WHERE sale = $1 AND user_id = $2) AS held \
                 FROM units WHERE sale = $1"
            }
            Locking::Pessimistic => {
                "SELECT stock, free, version, (SELECT number FROM sales WHERE sale = $1 AND user_id = $2) AS held \
                 FROM units WHERE sale = $1 FOR UPDATE"
            }
        };
        let row = sqlx::query(read).bind(&self.sale).bind(user).fetch_one(&mut *connection).await?;
        let (stock, free, version): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if let Some(number) = row.try_get::<Option<i64>, _>(3)? {
            return Ok(Tried::Decision(Decision::Number(u64::try_from(number)?)));
        }
        if free <= 0 {
            return Ok(Tried::Decision(Decision::SoldOut));
        }
        let written = match self.locking {
            Locking::None | Locking::Pessimistic => {
                sqlx::query("UPDATE units SET free = $2 WHERE sale = $1").bind(&self.sale).bind(free - 1)
            }
            Locking::Optimistic => {
                sqlx::query("UPDATE units SET free = $2, version = version + 1 WHERE sale = $1 AND version = $3")
                    .bind(&self.sale)
                    .bind(free - 1)
                    .bind(version)
            }
        };
        if written.execute(&mut *connection).await?.rows_affected() == 0 {
            return Ok(Tried::Overtaken);
        }
        let number = stock - free + 1;
        sqlx::query("INSERT INTO sales (sale, user_id, number) VALUES ($1, $2, $3)")
            .bind(&self.sale)
            .bind(user)
            .bind(number)
            .execute(connection)
            .await?;
        Ok(Tried::Decision(Decision::Number(u64::try_from(number)?)))
    }
}

impl Way for InRows {
    fn name(&self) -> &'static str {
        match self.locking {
            Locking::None => "plain read-then-write",
            Locking::Pessimistic => "pessimistic row lock",
            Locking::Optimistic => "optimistic lock with retry",
        }
    }

    fn is_correct(&self) -> bool {
        self.locking != Locking::None
    }

    fn note(&self) -> String {
        match self.locking {
            Locking::None => "one transaction; nothing protects the stock between SELECT and UPDATE".into(),
            Locking::Pessimistic => "SELECT ... FOR UPDATE in one transaction".into(),
            Locking::Optimistic => {
                format!("version column; up to {TRIES_MAX} tries, {} ms apart", TRY_AGAIN.as_millis())
            }
        }
    }

    async fn ask(&self, user: UserId) -> anyhow::Result<Decision> {
        for _ in 0..TRIES_MAX {
            match self.sell(user.as_str()).await? {
                Tried::Decision(told) => return Ok(told),
                Tried::Overtaken => tokio::time::sleep(TRY_AGAIN).await,
            }
        }
        bail!("overtaken {TRIES_MAX} times")
    }

    async fn sales(&self) -> anyhow::Result<Vec<Sale>> {
        let rows = sqlx::query("SELECT user_id, number FROM sales WHERE sale = $1")
            .bind(&self.sale)
            .fetch_all(&self.database)
            .await?;
        rows.iter()
            .map(|row| Ok(Sale { user: row.try_get(0)?, number: u64::try_from(row.try_get::<i64, _>(1)?)? }))
            .collect()
    }
}

//! The stock is a counter in Redis: look whether it is above 0, then take one off. Each command is atomic; both together
//! are not.

use fred::clients::Client;
use fred::prelude::{HashesInterface, KeysInterface};
use onrush::ids::UserId;

use super::Way;
use crate::judge::{Decision, Sale};

/// A counter, and who has what.
pub struct GetThenDecr {
    client: Client,
    stock: i64,
    free: String,
    holders: String,
}

impl GetThenDecr {
    /// Puts a stock up for sale, below this key.
    pub async fn new(client: Client, key: &str, stock: u64) -> anyhow::Result<Self> {
        let sale = Self {
            client,
            stock: i64::try_from(stock)?,
            free: format!("{key}:free"),
            holders: format!("{key}:holders"),
        };
        let () = sale.client.set(&sale.free, sale.stock, None, None, false).await?;
        Ok(sale)
    }
}

impl Way for GetThenDecr {
    fn name(&self) -> &'static str {
        "GET-then-DECR"
    }

    fn is_correct(&self) -> bool {
        false
    }

    fn note(&self) -> String {
        "two commands, no script; the claims are in Redis only".into()
    }

    async fn ask(&self, user: UserId) -> anyhow::Result<Decision> {
        if let Some(number) = self.client.hget::<Option<u64>, _, _>(&self.holders, user.as_str()).await? {
            return Ok(Decision::Number(number));
        }
        let free: i64 = self.client.get(&self.free).await?;
        if free <= 0 {
            return Ok(Decision::SoldOut);
        }
        let left: i64 = self.client.decr(&self.free).await?;
        let number = u64::try_from(self.stock - left)?;
        let () = self.client.hset(&self.holders, (user.as_str(), number.to_string())).await?;
        Ok(Decision::Number(number))
    }

    async fn sales(&self) -> anyhow::Result<Vec<Sale>> {
        let holders: std::collections::HashMap<String, u64> = self.client.hgetall(&self.holders).await?;
        Ok(holders.into_iter().map(|(user, number)| Sale { user, number }).collect())
    }
}

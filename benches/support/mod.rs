//! What the benches share: stores with names of their own, and nothing left of them.

#![allow(dead_code, reason = "each bench is a program of its own, and uses what it needs")]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use fred::clients::Client;
use fred::prelude::{ClientLike, KeysInterface};
use futures::StreamExt;
use onrush::campaign::{Campaign, Campaigns, Spec};
use onrush::claim::{Claims, Coupons};
use onrush::config::Config;
use onrush::database::{self, Database};
use onrush::ids::CampaignId;
use onrush::redis::Redis;
use onrush::waiting::WaitingRooms;
use sqlx::{AssertSqlSafe, Executor};
use tokio::runtime::Runtime;

/// The configured Redis and PostgreSQL, with a prefix and a schema of this bench's own.
pub(crate) struct Stores {
    pub(crate) runtime: Runtime,
    pub(crate) config: Config,
    pub(crate) redis: Arc<Redis>,
    pub(crate) database: Database,
}

impl Stores {
    pub(crate) fn make() -> Self {
        let runtime = Runtime::new().expect("a runtime can be built");
        let mut config = Config::load(None).expect("the settings are well-formed");
        let name = format!("bench_{:016x}", rand::random::<u64>());
        config.redis.key_prefix = format!("{name}:");
        config.postgres.schema = name;
        let (redis, database) = runtime.block_on(async {
            let redis = Redis::connect(&config.redis).await.expect("Redis is there: dev/services up");
            let database = database::open(&config.postgres).expect("the address is well-formed");
            database::migrate(&database, &config.postgres).await.expect("PostgreSQL is there: dev/services up");
            (Arc::new(redis), database)
        });
        Self { runtime, config, redis, database }
    }

    pub(crate) fn wait_for<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    fn campaigns(&self) -> Arc<Campaigns> {
        let (redis, database) = (Arc::clone(&self.redis), self.database.clone());
        Arc::new(Campaigns::new(redis, database, self.config.campaign.clone()))
    }

    /// What a node has for claims. Nobody waits.
    pub(crate) fn claims(&self) -> Claims {
        let waiting = WaitingRooms::new(Arc::clone(&self.redis), self.campaigns(), self.config.waiting.clone());
        let coupons = Coupons::new(1, &[7; 32]);
        Claims::new(Arc::clone(&self.redis), &self.config.claim, coupons, Arc::new(waiting))
    }

    /// A campaign that is open and has more units than anyone claims.
    pub(crate) async fn campaign(&self) -> Arc<Campaign> {
        let campaigns = self.campaigns();
        let id = format!("c{:016x}", rand::random::<u64>()).parse().expect("letters and digits");
        let draft = Spec { listed: false, ..Spec::new(id, "A bench", 100_000_000) };
        let (_, campaign) = campaigns.create(draft).await.expect("the stores are there");
        campaign.expect("it is new")
    }

    /// Takes a campaign's keys away: claims of many seconds would fill Redis.
    pub(crate) async fn forget(&self, campaign: &CampaignId) {
        let keys = self.redis.keys().of(campaign);
        let client = self.client().await;
        let all = vec![keys.campaign(), keys.holders(), keys.claims(), keys.outbox()];
        let () = client.unlink(all).await.expect("Redis is there");
        client.quit().await.expect("Redis is there");
    }

    async fn client(&self) -> Client {
        let config = fred::types::config::Config::from_url(&self.config.redis.url).expect("it was connected to before");
        let client = Client::new(config, None, None, None);
        client.init().await.expect("Redis is there");
        client
    }

    /// Takes all of it away.
    pub(crate) fn remove(self) {
        self.wait_for(async {
            let client = self.client().await;
            let mut keys =
                Box::pin(client.scan_buffered(format!("{}*", self.config.redis.key_prefix), Some(1_000), None));
            while let Some(key) = keys.next().await {
                let () = client.unlink(key.expect("Redis is there")).await.expect("Redis is there");
            }
            client.quit().await.expect("Redis is there");
            let drop = format!("DROP SCHEMA {} CASCADE", self.config.postgres.schema);
            self.database.execute(AssertSqlSafe(drop)).await.expect("PostgreSQL is there");
            self.database.close().await;
            self.redis.close().await;
        });
    }
}

/// Measured for a few seconds: what waits for a store varies more than longer looks would mend.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .sample_size(20)
        .configure_from_args()
}

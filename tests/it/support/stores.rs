//! Stores of a test's own: a prefix in Redis, a topic and a group in Kafka, a schema in PostgreSQL.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fred::clients::Client;
use fred::prelude::{ClientLike, HashesInterface, KeysInterface, StreamsInterface};
use onrush::config::Config;
use onrush::database::{self, Database};
use onrush::dead_letters::Ingester;
use onrush::facts::{Fact, FactClaim, Kind, SCHEMA_VERSION};
use onrush::ids::{AttemptId, CampaignId};
use onrush::kafka::{Producer, ensure_topic};
use onrush::ledger::{Auditor, Relay, Writer};
use onrush::redis::{CampaignKeys, Keys, Redis, Reply, Script, Value};
use onrush::script;
use sqlx::Row;

use super::{leftovers, names};

static PUT: Script<2> = script!(prelude + "campaign/put");
static ISSUE: Script<6> = script!(prelude + "claim/issue");
static GIVE_BACK: Script<4> = script!(allow_oom prelude + "claim/give_back");
static ANNOUNCE: Script<1> = script!("campaign/announce");

/// How long anything may take that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Stores {
    pub(crate) config: Config,
    pub(crate) redis: Arc<Redis>,
    pub(crate) database: Database,
    pub(crate) producer: Arc<Producer>,
}

impl Stores {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings than the defaults.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = names::config();
        leftovers::sweep(&config).await;
        change(&mut config);
        let database = database::open(&config.postgres).unwrap();
        database::migrate(&database, &config.postgres).await.unwrap();
        ensure_topic(&config.kafka).await.unwrap();
        let redis = Arc::new(Redis::connect(&config.redis).await.unwrap());
        let producer = Arc::new(Producer::new(&config.kafka).unwrap());
        Self { config, redis, database, producer }
    }

    pub(crate) fn relay(&self) -> Relay {
        Relay::new(self.redis.clone(), self.producer.clone(), &self.config)
    }

    pub(crate) fn writer(&self) -> Writer {
        Writer::new(self.database.clone(), self.producer.clone(), &self.config)
    }

    /// Copies dead letters into their table until so many are there.
    pub(crate) async fn copy_letters(&self, count: i64) {
        let mut ingester = Ingester::new(self.database.clone(), self.producer.clone(), &self.config);
        eventually("the dead letters are in their table", async || {
            ingester.tick().await.unwrap();
            self.count("SELECT count(*) FROM dead_letters").await >= count
        })
        .await;
        ingester.close().await;
    }

    pub(crate) fn auditor(&self) -> Auditor {
        Auditor::new(self.redis.clone(), self.database.clone(), &self.config).unwrap()
    }

    /// Arms a campaign that is open at once.
    pub(crate) async fn put(&self, id: &str, stock: u64) -> CampaignId {
        let campaign: CampaignId = id.parse().unwrap();
        let keys = self.redis.keys().of(&campaign);
        for (put_before, code) in [("0", "created"), ("1", "unchanged")] {
            let stock = stock.to_string();
            let args = ["", "0", "0", put_before, "1", &stock, "1", "20", "0", "0", "0", "0", "1000000", "{}", ""];
            let reply = self.redis.call(&PUT, &campaign, [keys.campaign(), keys.outbox()], values(&args)).await;
            assert_eq!(Reply::parse(reply.unwrap()).unwrap().code, code);
        }
        let keys = [self.redis.keys().directory()];
        self.redis.call(&ANNOUNCE, &campaign, keys, values(&[id, "nobody"])).await.unwrap();
        campaign
    }

    /// Claims for these users, one script call.
    pub(crate) async fn issue(&self, campaign: &CampaignId, users: &[String]) {
        let keys = self.redis.keys().of(campaign).issue();
        let mut args = values(&["", "0", "0", "", ""]);
        for user in users {
            args.extend(values(&[AttemptId::random().as_str(), user]));
        }
        let reply = Reply::parse(self.redis.call(&ISSUE, campaign, keys, args).await.unwrap()).unwrap();
        assert_eq!((reply.code.as_str(), reply.rest.len()), ("ok", users.len()));
    }

    pub(crate) async fn give_back(&self, campaign: &CampaignId, number: u64) {
        let keys = self.redis.keys().of(campaign);
        let keys = [keys.campaign(), keys.holders(), keys.claims(), keys.outbox()];
        let args = values(&["", "0", "0", &number.to_string(), "1", ""]);
        let reply = Reply::parse(self.redis.call(&GIVE_BACK, campaign, keys, args).await.unwrap()).unwrap();
        assert_eq!(reply.code, "ok");
    }

    /// A field of the campaign's hash.
    pub(crate) async fn field(&self, campaign: &CampaignId, name: &str) -> String {
        let key = self.redis.keys().of(campaign).campaign();
        self.redis.fields(campaign, &key, vec![name.into()]).await.unwrap()[0].clone().unwrap_or_default()
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.database).await.unwrap()
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        assert_eq!(sqlx::query(sql).execute(&self.database).await.unwrap().rows_affected(), 1);
    }

    /// Publishes facts in this order, without a relay.
    pub(crate) async fn publish(&self, facts: &[Fact]) {
        let published = self.producer.publish(facts).await;
        assert_eq!(published.acknowledged, facts.len(), "{:?}", published.failure);
    }
}

fn values(texts: &[&str]) -> Vec<Value> {
    texts.iter().map(|text| Value::from(*text)).collect()
}

pub(crate) fn users(from: u64, to: u64) -> Vec<String> {
    (from..=to).map(|user| format!("user-{user}")).collect()
}

/// A fact about a claim.
pub(crate) fn fact(campaign: &str, fact_no: u64, kind: Kind, number: u64) -> Fact {
    Fact {
        v: SCHEMA_VERSION,
        campaign: campaign.into(),
        generation: 1,
        fact_no,
        kind,
        change: match kind {
            Kind::Claimed => -1,
            Kind::GivenBack => 1,
            _ => 0,
        },
        at: 1_700_000_000_123 + i64::try_from(fact_no).unwrap(),
        claim: Some(FactClaim {
            number,
            generation: 1,
            user: format!("user-{number}"),
            attempt: format!("attempt-{number}"),
        }),
        reason: None,
    }
}

/// Looks again and again until it is so.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !is_so().await {
        assert!(begin.elapsed() < PATIENCE, "still not so: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A client of Redis past our own door, to do to it what should not happen.
async fn saboteur(config: &Config) -> Client {
    let client = Client::new(fred::types::config::Config::from_url(&config.redis.url).unwrap(), None, None, None);
    client.init().await.unwrap();
    client
}

fn keys_of(config: &Config, campaign: &str) -> CampaignKeys {
    Keys::new(&config.redis.key_prefix).of(&campaign.parse().unwrap())
}

async fn delete(config: &Config, keys: Vec<String>) {
    let client = saboteur(config).await;
    let deleted: u32 = client.del(keys).await.unwrap();
    assert!(deleted > 0, "there was nothing to take away");
    client.quit().await.unwrap();
}

/// Takes a campaign's keys away, as a Redis that was emptied would.
pub(crate) async fn delete_campaign(config: &Config, campaign: &str) {
    let keys = keys_of(config, campaign);
    let all = [keys.campaign(), keys.holders(), keys.claims(), keys.outbox(), keys.relay(), keys.fence()];
    delete(config, all.to_vec()).await;
}

/// Takes away who has what and what was to be told of it.
pub(crate) async fn delete_outbox_and_claims(config: &Config, campaign: &str) {
    let keys = keys_of(config, campaign);
    delete(config, vec![keys.holders(), keys.claims(), keys.outbox()]).await;
}

/// Marks a campaign as a script that found less than was known would.
pub(crate) async fn set_lost(config: &Config, campaign: &str) {
    let client = saboteur(config).await;
    let _: u32 = client.hset(keys_of(config, campaign).campaign(), ("lost", "1")).await.unwrap();
    client.quit().await.unwrap();
}

/// A campaign's keys as they are now: name and Redis' own serialisation, `None` where there is no such key.
pub(crate) async fn dump_campaign(config: &Config, campaign: &str) -> Vec<(String, Option<Bytes>)> {
    let (client, keys) = (saboteur(config).await, keys_of(config, campaign));
    let mut dumped = Vec::new();
    for key in [keys.campaign(), keys.holders(), keys.claims(), keys.outbox()] {
        let value: Option<Bytes> = client.dump(&key).await.unwrap();
        dumped.push((key, value));
    }
    client.quit().await.unwrap();
    dumped
}

/// The fields of each entry in a campaign's outbox, by name, as Redis has them.
pub(crate) async fn outbox_entries(config: &Config, campaign: &str) -> Vec<HashMap<String, String>> {
    let client = saboteur(config).await;
    let outbox = keys_of(config, campaign).outbox();
    let entries: Vec<(String, HashMap<String, String>)> = client.xrange_values(outbox, "-", "+", None).await.unwrap();
    client.quit().await.unwrap();
    entries.into_iter().map(|(_, fields)| fields).collect()
}

/// Sets a campaign back to what it was, as a Redis that came back with an older log would.
pub(crate) async fn restore_campaign(config: &Config, dumped: &[(String, Option<Bytes>)]) {
    let client = saboteur(config).await;
    for (key, value) in dumped {
        let _: u32 = client.del(key).await.unwrap();
        if let Some(value) = value {
            let () = client.restore(key, 0, value.clone().into(), true, false, None, None).await.unwrap();
        }
    }
    client.quit().await.unwrap();
}

/// Number and user of each row of the campaign's claims.
pub(crate) async fn claim_rows(config: &Config, campaign: &str) -> Vec<(u64, String)> {
    let database = database::open(&config.postgres).unwrap();
    let rows = sqlx::query("SELECT number, user_id FROM claims WHERE campaign_id = $1")
        .bind(campaign)
        .fetch_all(&database)
        .await
        .unwrap();
    rows.iter().map(|row| (row.get::<i64, _>(0).unsigned_abs(), row.get(1))).collect()
}

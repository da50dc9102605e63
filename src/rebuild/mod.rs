//! How does a lost campaign come back? From what the database and Kafka have, into its next generation.
//!
//! - Only what is lost is rebuilt: a campaign whose Redis knows as much as the database is left alone.
//! - Everything that is on its way arrives first: the outbox as far as it is left, then Kafka.
//! - Until the end the campaign is refused to everyone, and a rebuild that dies in the middle leaves it so.
//! - Numbers go on above the highest that was ever seen; what Kafka had acknowledged is kept.

mod recorded;

use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::campaign::{Definition, definition_args, find_definition};
use crate::config::{self, Config};
use crate::database::Database;
use crate::ids::CampaignId;
use crate::kafka::{KafkaError, Offsets};
use crate::redis::{Channel, Redis, RedisError, Reply, Script, Value, read_outbox};
use crate::script;
use recorded::Recorded;

static BEGIN: Script<1> = script!("rebuild/begin");
static LOAD: Script<3> = script!("rebuild/load");
static FINISH: Script<2> = script!(prelude + "rebuild/finish");

/// Claims and holders that one call brings back.
const PART: usize = 1_000;
/// Pause between looks at what is still on its way.
const AGAIN: Duration = Duration::from_millis(100);
/// What a coupon code has room for.
const GENERATION_MAX: u32 = 31;

/// Why a campaign could not be rebuilt. It stays refused, and the rebuild may be run again.
#[derive(Debug, Error)]
pub enum RebuildError {
    /// Redis is away.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Kafka is away.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The database is away.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// Facts did not arrive in time: a worker must run.
    #[error("{0} did not arrive within {1:?}; is a worker running?")]
    StillOnTheWay(&'static str, Duration),
    /// Another rebuild of the same campaign began later.
    #[error("another rebuild of this campaign has taken over")]
    Overtaken,
    /// Codes have no room for another generation.
    #[error("the campaign has had {GENERATION_MAX} generations, the most that a coupon code has room for")]
    GenerationsExhausted,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuilt {
    /// Nothing was lost, and nothing was done.
    Healthy,
    /// The campaign lives again.
    Done {
        /// Its new generation.
        generation: u32,
        /// Live claims.
        live: u64,
        /// The highest number that was ever seen.
        highest: u64,
        /// Numbers up to it that have no claim: what was decided and never reached Kafka.
        lost_numbers: u64,
    },
}

/// Rebuilds campaigns.
pub struct Rebuilder {
    redis: Arc<Redis>,
    database: Database,
    offsets: Offsets,
    limits: config::Campaign,
    delivery_timeout: Duration,
}

impl Rebuilder {
    /// Connects to nothing yet.
    pub fn new(redis: Arc<Redis>, database: Database, config: &Config) -> Result<Self, KafkaError> {
        Ok(Self {
            redis,
            database,
            offsets: Offsets::new(&config.kafka)?,
            limits: config.campaign.clone(),
            delivery_timeout: Duration::from_millis(config.kafka.delivery_timeout_ms),
        })
    }

    /// Rebuilds the campaign, if it is lost. `None`: the database knows no such campaign. Facts on their way are waited
    /// for as long as `wait_max`.
    pub async fn rebuild(&self, id: &CampaignId, wait_max: Duration) -> Result<Option<Rebuilt>, RebuildError> {
        let Some(definition) = find_definition(&self.database, id).await? else { return Ok(None) };
        let token = format!("{:032x}", rand::random::<u128>());
        let (generation, fact_no) = recorded::highest_fact(&self.database, id).await?;
        let args = vec![token.clone().into(), generation.to_string().into(), fact_no.to_string().into()];
        let keys = [self.redis.keys().of(id).campaign()];
        let begun = Reply::parse(self.redis.call(&BEGIN, id, keys, args).await?)?;
        if begun.code == "healthy" {
            return Ok(Some(Rebuilt::Healthy));
        }
        let here: Vec<u64> = begun.rest.iter().filter_map(Value::as_u64).collect();
        let [generation_here, highest_here] = here[..] else { return Err(begun.unknown_code().into()) };
        tracing::warn!(campaign = %id, "rebuilding: claims are refused until it is done");

        self.until_all_has_arrived(id, wait_max).await?;
        let generation = recorded::next_generation(&self.database, id, generation_here).await?;
        if generation > GENERATION_MAX {
            return Err(RebuildError::GenerationsExhausted);
        }
        let recorded = Recorded::read(&self.database, id, highest_here).await?;
        self.load(id, &token, &recorded).await?;
        self.finish(id, &token, generation, &recorded, &definition).await?;
        Ok(Some(Rebuilt::Done {
            generation,
            live: recorded.live,
            highest: recorded.highest,
            lost_numbers: recorded.lost_numbers(),
        }))
    }

    /// The relays empty the outbox, what they have in hand reaches Kafka or expires, and the writers write it down.
    async fn until_all_has_arrived(&self, id: &CampaignId, wait_max: Duration) -> Result<(), RebuildError> {
        let until = Instant::now() + wait_max + self.delivery_timeout;
        let late = |what| RebuildError::StillOnTheWay(what, wait_max);
        while !read_outbox(&self.redis, id, None, 1).await?.is_empty() {
            if Instant::now() > until {
                return Err(late("facts in the outbox"));
            }
            self.redis.publish(Channel::Outbox, id.as_str()).await?;
            tokio::time::sleep(AGAIN).await;
        }
        // A relay may have read facts from an outbox that is gone since. After this long they are in Kafka, or never.
        tokio::time::sleep(self.delivery_timeout).await;
        let ends = self.offsets.ends().await?;
        while self.offsets.lag(&ends).await? > 0 {
            if Instant::now() > until {
                return Err(late("facts in Kafka"));
            }
            tokio::time::sleep(AGAIN).await;
        }
        Ok(())
    }

    async fn load(&self, id: &CampaignId, token: &str, recorded: &Recorded) -> Result<(), RebuildError> {
        let mut first = true;
        let mut claims = recorded.claims.chunks(PART);
        let mut holders = recorded.holders.chunks(PART);
        loop {
            let (claims, holders) = (claims.next().unwrap_or_default(), holders.next().unwrap_or_default());
            if claims.is_empty() && holders.is_empty() && !first {
                return Ok(());
            }
            let mut args: Vec<Value> =
                vec![token.into(), i64::from(first).into(), (claims.len() * 2).to_string().into()];
            args.extend(claims.iter().flat_map(|(number, record)| [number.to_string().into(), record.as_str().into()]));
            args.extend(holders.iter().flat_map(|(user, record)| [user.as_str().into(), record.as_str().into()]));
            let keys = self.redis.keys().of(id);
            let keys = [keys.campaign(), keys.holders(), keys.claims()];
            expect_ok(&Reply::parse(self.redis.call(&LOAD, id, keys, args).await?)?)?;
            first = false;
        }
    }

    async fn finish(
        &self,
        id: &CampaignId,
        token: &str,
        generation: u32,
        recorded: &Recorded,
        definition: &Definition,
    ) -> Result<(), RebuildError> {
        let numbers =
            [u64::from(generation), recorded.highest, recorded.given_back, recorded.lost_numbers(), recorded.live];
        let mut args: Vec<Value> = vec![token.into()];
        args.extend(numbers.map(|number| number.to_string().into()));
        args.push(recorded.stock_change.to_string().into());
        args.extend(definition_args(definition, &self.limits));
        let keys = self.redis.keys().of(id);
        let keys = [keys.campaign(), keys.outbox()];
        expect_ok(&Reply::parse(self.redis.call(&FINISH, id, keys, args).await?)?)?;
        crate::campaign::announce(&self.redis, id).await?;
        Ok(self.redis.publish(Channel::Outbox, id.as_str()).await?)
    }
}

fn expect_ok(reply: &Reply) -> Result<(), RebuildError> {
    match reply.code.as_str() {
        "ok" => Ok(()),
        "overtaken" => Err(RebuildError::Overtaken),
        _ => Err(reply.unknown_code().into()),
    }
}

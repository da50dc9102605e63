//! One run of a rebuild, from the look at what is lost to the life of the next generation.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;

use super::begun::Begun;
use super::dead_letters::{self, Letters};
use super::error::{RebuildError, expect_ok};
use super::generation;
use super::load::Load;
use super::recorded::{self, Claims, Sums};
use crate::campaign::{call_unmarked, definition_args, find_definition, was_stopped};
use crate::config::{self, Config};
use crate::database::Database;
use crate::ids::CampaignId;
use crate::kafka::{KafkaError, Offsets};
use crate::redis::{Channel, Redis, Script, Value};
use crate::script;

static BEGIN: Script<1> = script!("rebuild/begin");
static FINISH: Script<11> = script!(prelude + "rebuild/finish");

/// Campaigns whose state is asked for at the same time.
const BEGUN_AT_ONCE: usize = 32;
/// Claims between two lines that say how far it is.
const SAY_EVERY: u64 = 100_000;

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

/// What became of each campaign of a run.
pub type Outcomes = Vec<(CampaignId, Result<Rebuilt, RebuildError>)>;

/// Rebuilds campaigns.
pub struct Rebuilder {
    pub(super) redis: Arc<Redis>,
    database: Database,
    pub(super) offsets: Offsets,
    pub(super) letter_offsets: Offsets,
    limits: config::Campaign,
    settings: config::Rebuild,
    pub(super) letter_tries_max: u32,
    pub(super) delivery_timeout: Duration,
    without_unreadable: bool,
    say: fn(&str),
}

impl Rebuilder {
    /// Connects to nothing yet.
    pub fn new(redis: Arc<Redis>, database: Database, config: &Config) -> Result<Self, KafkaError> {
        let letters_group = format!("{}-dead", config.kafka.ledger_group);
        Ok(Self {
            redis,
            database,
            offsets: Offsets::new(&config.kafka)?,
            letter_offsets: Offsets::of(&config.kafka, &config.kafka.dead_letters_topic(), &letters_group)?,
            limits: config.campaign.clone(),
            settings: config.rebuild.clone(),
            letter_tries_max: config.dead_letters.dead_retries_max,
            delivery_timeout: Duration::from_millis(config.kafka.delivery_timeout_ms),
            without_unreadable: false,
            say: |_| {},
        })
    }

    /// Goes on without dead letters that cannot be read. If they hold claims, their units are sold again.
    #[must_use]
    pub fn without_unreadable(mut self, is_so: bool) -> Self {
        self.without_unreadable = is_so;
        self
    }

    /// Says how far it is.
    #[must_use]
    pub fn saying(mut self, say: fn(&str)) -> Self {
        self.say = say;
        self
    }

    /// Rebuilds the campaign, if it is lost. `None`: the database knows no such campaign. Facts on their way are waited
    /// for as long as `wait_max`.
    pub async fn rebuild(&self, id: &CampaignId, wait_max: Duration) -> Result<Option<Rebuilt>, RebuildError> {
        if find_definition(&self.database, id).await?.is_none() {
            return Ok(None);
        }
        let outcomes = self.run(vec![id.clone()], wait_max).await?;
        outcomes.into_iter().next().map(|(_, outcome)| outcome).transpose()
    }

    /// Rebuilds all campaigns that are lost. One that cannot be rebuilt holds no other up.
    pub async fn rebuild_all(&self, wait_max: Duration) -> Result<Outcomes, RebuildError> {
        let rows: Vec<(String, bool)> =
            sqlx::query_as("SELECT id, ever_put FROM campaigns ORDER BY id").fetch_all(&self.database).await?;
        let rows = rows.into_iter().filter_map(|(id, ever_put)| Some((id.parse().ok()?, ever_put)));
        let (put, new): (Vec<_>, Vec<_>) = rows.partition(|(_, ever_put)| *ever_put);
        let mut ids: Vec<CampaignId> = put.into_iter().map(|(id, _)| id).collect();
        for (id, _) in new {
            // Redis may have lost one before its row knew that it was there. One that is just being made is left alone.
            let lost = self.redis.fields(&id, &self.redis.keys().of(&id).campaign(), vec!["lost".into()]).await?;
            ids.extend(lost.first().is_some_and(Option::is_some).then_some(id));
        }
        self.run(ids, wait_max).await
    }

    async fn run(&self, ids: Vec<CampaignId>, wait_max: Duration) -> Result<Outcomes, RebuildError> {
        let known = dead_letters::read(&self.database, &ids, self.settings.letters_max).await?;
        let (mut lost, mut outcomes) = (Vec::new(), Outcomes::new());
        let looked = futures::stream::iter(ids).map(async |id| {
            let highest = known.get(&id).map_or((0, 0), |letters| letters.highest);
            let begun = self.begin(&id, highest).await;
            (id, begun)
        });
        let looked: Vec<_> = looked.buffer_unordered(BEGUN_AT_ONCE).collect().await;
        for (id, begun) in looked {
            match begun {
                Ok(Some(begun)) => lost.push(begun),
                Ok(None) => outcomes.push((id, Ok(Rebuilt::Healthy))),
                Err(error) => outcomes.push((id, Err(error))),
            }
        }
        if !lost.is_empty() {
            self.say(format!("{} campaigns are lost, {} are not", lost.len(), outcomes.len()));
            outcomes.extend(self.restore_all(lost, wait_max).await?);
        }
        outcomes.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(outcomes)
    }

    async fn restore_all(&self, lost: Vec<Begun>, wait_max: Duration) -> Result<Outcomes, RebuildError> {
        let ids: Vec<CampaignId> = lost.iter().map(|begun| begun.id.clone()).collect();
        let mut left_out = self.until_all_has_arrived(&ids, wait_max).await?;
        // Read anew: what was on its way may have become a letter.
        let mut letters = dead_letters::read(&self.database, &ids, self.settings.letters_max).await?;
        let mut outcomes = Outcomes::new();
        let mut work = Vec::new();
        for begun in lost {
            match left_out.remove(&begun.id) {
                Some(error) => outcomes.push((begun.id, Err(error))),
                None => work.push((letters.remove(&begun.id).unwrap_or_default(), begun)),
            }
        }
        let (all, mut done) = (work.len(), 0);
        let mut restored = futures::stream::iter(work)
            .map(async |(letters, begun)| {
                let outcome = self.restore(&begun, &letters).await;
                (begun.id, outcome)
            })
            .buffer_unordered(self.settings.campaigns_at_once_max);
        while let Some((id, outcome)) = restored.next().await {
            done += 1;
            match &outcome {
                Ok(_) => self.say(format!("{id} lives again ({done} of {all})")),
                Err(error) => self.say(format!("{id} is still lost ({done} of {all}): {error}")),
            }
            outcomes.push((id, outcome));
        }
        Ok(outcomes)
    }

    /// Refuses the campaign to everyone; `None`: it is not lost. `lettered`: the highest fact that a letter names.
    async fn begin(&self, id: &CampaignId, lettered: (u32, u64)) -> Result<Option<Begun>, RebuildError> {
        let token = format!("{:032x}", rand::random::<u128>());
        let (generation, fact_no) = recorded::highest_fact(&self.database, id).await?.max(lettered);
        let args = vec![token.clone().into(), generation.to_string().into(), fact_no.to_string().into()];
        let keys = [self.redis.keys().of(id).campaign()];
        let begun = call_unmarked(&self.redis, id, &BEGIN, keys, args).await?;
        if begun.code == "healthy" {
            // A rebuild may have finished without having heard so.
            if generation::confirm(&self.database, id).await? {
                self.tell(id).await?;
            }
            return Ok(None);
        }
        let here: Vec<u64> = begun.rest.iter().map_while(Value::as_u64).collect();
        let server = begun.rest.get(2).and_then(Value::as_string);
        let ([generation_here, highest_here], Some(server)) = (&here[..], server) else {
            return Err(begun.unknown_code().into());
        };
        tracing::warn!(campaign = %id, "rebuilding: claims are refused until it is done");
        Ok(Some(Begun {
            id: id.clone(),
            token,
            server,
            generation_here: *generation_here,
            highest_here: *highest_here,
        }))
    }

    async fn restore(&self, begun: &Begun, letters: &Letters) -> Result<Rebuilt, RebuildError> {
        let Begun { id, .. } = begun;
        if !letters.unreadable.is_empty() {
            if !self.without_unreadable {
                return Err(RebuildError::UnreadableLetters(letters.unreadable.clone()));
            }
            tracing::warn!(campaign = %id, letters = ?letters.unreadable, "rebuilding without what cannot be read");
        }
        let mut sums = Sums { highest: begun.highest_here, stock_change: letters.stock_change(), ..Sums::default() };
        let mut load = Load::begin(&self.redis, begun).await?;
        let from = (&self.database, id);
        let mut claims = Claims::begin(from, letters, self.settings.claims_at_once_max).await?;
        let mut page = claims.next(&mut sums).await?;
        while let Some(loading) = page {
            let (loaded, highest) = (sums.claims, sums.highest);
            // The database reads the next page while Redis loads this one.
            let ((), next) = tokio::try_join!(load.page(&loading), claims.next(&mut sums))?;
            page = next;
            let before = loaded - loading.claims.len() as u64;
            if before / SAY_EVERY < loaded / SAY_EVERY {
                self.say(format!("{id}: {loaded} claims are loaded, up to number {highest}"));
            }
        }
        recorded::read_history(from, &mut sums, async |attempts| load.cancelled(&attempts).await).await?;
        load.cancelled(&letters.cancelled()).await?;
        self.finish(begun, &sums, letters).await
    }

    /// Takes the generation, and lets the campaign live in it.
    async fn finish(&self, begun: &Begun, sums: &Sums, letters: &Letters) -> Result<Rebuilt, RebuildError> {
        let Begun { id, token, server, .. } = begun;
        let Some(definition) = find_definition(&self.database, id).await? else {
            return Err(sqlx::Error::RowNotFound.into());
        };
        let stopped = was_stopped(&self.database, id).await?;
        // One that was overtaken takes no generation.
        let lost = self.redis.fields(id, &self.redis.keys().of(id).campaign(), vec!["lost".into()]).await?;
        match lost.into_iter().next().flatten().as_deref().and_then(|by| by.strip_prefix("rebuild:")) {
            Some(by) if by == token => {}
            Some(_) => return Err(RebuildError::Overtaken),
            None => return Err(RebuildError::Restarted),
        }
        let seen = (begun.generation_here, letters.highest.0);
        let generation = generation::take(&self.database, id, server, seen).await?;
        let mut args: Vec<Value> = vec![token.as_str().into(), server.as_str().into()];
        let numbers = [
            sums.claims,
            u64::from(stopped),
            u64::from(generation),
            sums.highest,
            sums.given_back,
            sums.lost_numbers(),
            sums.live,
        ];
        args.extend(numbers.map(|number| number.to_string().into()));
        args.push(sums.stock_change.to_string().into());
        args.extend(definition_args(&definition, &self.limits));
        let keys = self.redis.keys().of(id);
        let [campaign, room, places, inside, passes, departures, pace, arrivals, waits] = keys.waiting_room();
        let keys =
            [campaign, keys.outbox(), keys.claims(), room, places, inside, passes, departures, pace, arrivals, waits];
        expect_ok(&call_unmarked(&self.redis, id, &FINISH, keys, args).await?)?;
        generation::confirm(&self.database, id).await?;
        self.tell(id).await?;
        Ok(Rebuilt::Done { generation, live: sums.live, highest: sums.highest, lost_numbers: sums.lost_numbers() })
    }

    /// Tells nodes and relays of it.
    async fn tell(&self, id: &CampaignId) -> Result<(), RebuildError> {
        crate::campaign::announce(&self.redis, id).await?;
        Ok(self.redis.publish(Channel::Outbox, id.as_str()).await?)
    }

    #[expect(clippy::needless_pass_by_value, reason = "what is said is made for it")]
    pub(super) fn say(&self, what: String) {
        (self.say)(&what);
    }
}

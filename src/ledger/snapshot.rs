//! The database's word of a campaign, in one snapshot, read in parts: none takes longer than a statement may.

use sqlx::{FromRow, PgConnection};

use super::error::LedgerError;
use super::evidence::{Counters, Outbox};
use crate::database::Database;
use crate::facts::{Fact, Kind};
use crate::ids::CampaignId;

/// Discarded letters that are looked at.
const DISCARDED_MAX: i64 = 1_000;

/// The database's word, in one snapshot.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Facts up to the mark; of these in the outbox, too; by kind.
    pub(super) facts: u64,
    pub(super) in_outbox: u64,
    pub(super) claimed: u64,
    pub(super) claimed_in_outbox: u64,
    pub(super) given_back: u64,
    pub(super) given_back_in_outbox: u64,
    /// The sum of what they changed in stock.
    pub(super) change: i128,
    pub(super) facts_ever: u64,
    pub(super) generation: u32,
    pub(super) highest: u64,
    /// Claims up to the mark's number, in any state.
    pub(super) numbers: u64,
    /// Claims that were live at the mark.
    pub(super) live: u64,
    pub(super) live_ever: u64,
    pub(super) doubled: u64,
    /// Units that users hold beyond what one may hold.
    pub(super) above_limit: u64,
    /// Contradictions of the campaign's present generation, and the units among them that were promised to somebody else.
    pub(super) contradictions: u64,
    pub(super) sold_twice: u64,
    pub(super) dead_letters: u64,
    /// Facts that an operator has given up.
    pub(super) discarded: Discarded,
    pub(super) claims_differ_from_history: bool,
}

/// Facts up to the mark that are no rows and never will be, as an operator has discarded them.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Discarded {
    pub(super) facts: u64,
    pub(super) claimed: u64,
    pub(super) given_back: u64,
    pub(super) change: i128,
}

#[derive(FromRow)]
struct FactCounts {
    facts: i64,
    in_outbox: i64,
    claimed: i64,
    claimed_in_outbox: i64,
    given_back: i64,
    given_back_in_outbox: i64,
    change: i64,
    given_back_since: i64,
    live_by_history: i64,
    facts_ever: i64,
    highest: i64,
}

#[derive(FromRow)]
struct ClaimCounts {
    numbers: i64,
    live: i64,
    live_ever: i64,
    live_by_claims: i64,
    doubled: i64,
}

/// Reads one campaign within one transaction.
struct Reader<'a> {
    snapshot: &'a mut PgConnection,
    campaign: &'a CampaignId,
    at_once: i64,
    rows: Rows,
    live_by_history: i64,
    live_by_claims: i64,
}

impl Rows {
    pub(super) async fn read(
        database: &Database,
        campaign: &CampaignId,
        (counters, outbox): (&Counters, &Outbox),
        at_once: i64,
    ) -> Result<Self, LedgerError> {
        let mut transaction = database.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *transaction).await?;
        let snapshot = &mut *transaction;
        let mut reader =
            Reader { snapshot, campaign, at_once, rows: Self::default(), live_by_history: 0, live_by_claims: 0 };
        reader.facts(counters, outbox).await?;
        reader.claims(counters).await?;
        reader.users().await?;
        reader.contradictions(counters).await?;
        reader.letters(counters).await?;
        let mut rows = reader.rows;
        rows.claims_differ_from_history = reader.live_by_claims != reader.live_by_history;
        transaction.rollback().await?;
        Ok(rows)
    }

    /// The campaign's stock, and whether it was ever put into Redis, by its row.
    pub(super) async fn definition(
        database: &Database,
        campaign: &CampaignId,
    ) -> Result<Option<(u64, bool)>, LedgerError> {
        let row: Option<(i64, bool)> = sqlx::query_as("SELECT stock, ever_put FROM campaigns WHERE id = $1")
            .bind(campaign.as_str())
            .fetch_optional(database)
            .await?;
        Ok(row.map(|(stock, ever_put)| (u64::try_from(stock).unwrap_or(0), ever_put)))
    }

    /// Whether the database knows facts that Redis, asked afterwards, does not: then Redis went back in time.
    pub(super) fn is_ahead_of(&self, counters: &Counters) -> bool {
        self.generation > counters.generation
            || (self.generation == counters.generation && self.highest > counters.fact_no)
    }
}

impl Reader<'_> {
    async fn facts(&mut self, counters: &Counters, outbox: &Outbox) -> Result<(), LedgerError> {
        let generation_now = i32::try_from(counters.generation).unwrap_or(i32::MAX);
        let mut given_back_since = 0;
        for generation in generations(self.snapshot, self.campaign, FACT_GENERATION).await? {
            let mut after = -1;
            let next = "SELECT fact_no FROM stock_history WHERE campaign_id = $1 AND generation = $2 AND fact_no > $3
                        ORDER BY fact_no LIMIT 1";
            while let Some(first) = sqlx::query_scalar::<_, i64>(next)
                .bind(self.campaign.as_str())
                .bind(generation)
                .bind(after)
                .fetch_optional(&mut *self.snapshot)
                .await?
            {
                let end = first.saturating_add(self.at_once);
                let part: FactCounts = sqlx::query_as(include_str!("audit_facts.sql"))
                    .bind(self.campaign.as_str())
                    .bind(generation_now)
                    .bind(bound(counters.fact_no))
                    .bind(bound(counters.next))
                    .bind(bound(outbox.first.unwrap_or(0)))
                    .bind(bound(outbox.last))
                    .bind(generation)
                    .bind(first)
                    .bind(end)
                    .fetch_one(&mut *self.snapshot)
                    .await?;
                let rows = &mut self.rows;
                rows.facts += count(part.facts);
                rows.in_outbox += count(part.in_outbox);
                rows.claimed += count(part.claimed);
                rows.claimed_in_outbox += count(part.claimed_in_outbox);
                rows.given_back += count(part.given_back);
                rows.given_back_in_outbox += count(part.given_back_in_outbox);
                rows.change += i128::from(part.change);
                rows.facts_ever += count(part.facts_ever);
                // Generations ascend, and so do facts.
                (rows.generation, rows.highest) = (generation.unsigned_abs(), count(part.highest));
                self.live_by_history += part.live_by_history;
                given_back_since += part.given_back_since;
                tracing::debug!(campaign = %self.campaign, generation, facts = rows.facts_ever, "auditing the history");
                after = end - 1;
            }
        }
        self.rows.live += count(given_back_since);
        Ok(())
    }

    async fn claims(&mut self, counters: &Counters) -> Result<(), LedgerError> {
        let generations = generations(self.snapshot, self.campaign, CLAIM_GENERATION).await?;
        let next = "SELECT min(n.number) FROM unnest($2::integer[]) AS g (generation) CROSS JOIN LATERAL (
                        SELECT number FROM claims WHERE campaign_id = $1 AND generation = g.generation AND number > $3
                        ORDER BY number LIMIT 1) n";
        let mut after = -1;
        while let Some(first) = sqlx::query_scalar::<_, Option<i64>>(next)
            .bind(self.campaign.as_str())
            .bind(&generations)
            .bind(after)
            .fetch_one(&mut *self.snapshot)
            .await?
        {
            let end = first.saturating_add(self.at_once);
            let part: ClaimCounts = sqlx::query_as(include_str!("audit_claims.sql"))
                .bind(self.campaign.as_str())
                .bind(&generations)
                .bind(bound(counters.next))
                .bind(first)
                .bind(end)
                .fetch_one(&mut *self.snapshot)
                .await?;
            let rows = &mut self.rows;
            rows.numbers += count(part.numbers);
            rows.live += count(part.live);
            rows.live_ever += count(part.live_ever);
            rows.doubled += count(part.doubled);
            self.live_by_claims += part.live_by_claims;
            tracing::debug!(campaign = %self.campaign, up_to = end, live = rows.live_ever, "auditing the claims");
            after = end - 1;
        }
        Ok(())
    }

    /// What single users hold.
    async fn users(&mut self) -> Result<(), LedgerError> {
        let limit: Option<i32> = sqlx::query_scalar("SELECT per_user_limit FROM campaigns WHERE id = $1")
            .bind(self.campaign.as_str())
            .fetch_optional(&mut *self.snapshot)
            .await?;
        let mut after = String::new();
        loop {
            let last: Option<String> = sqlx::query_scalar(
                "SELECT user_id FROM claims WHERE campaign_id = $1 AND user_id > $2 ORDER BY user_id OFFSET $3 LIMIT 1",
            )
            .bind(self.campaign.as_str())
            .bind(&after)
            .bind(self.at_once)
            .fetch_optional(&mut *self.snapshot)
            .await?;
            let (above_limit, doubled): (i64, i64) = sqlx::query_as(include_str!("audit_users.sql"))
                .bind(self.campaign.as_str())
                .bind(&after)
                .bind(&last)
                .bind(i64::from(limit.unwrap_or(i32::MAX)))
                .fetch_one(&mut *self.snapshot)
                .await?;
            self.rows.above_limit += count(above_limit);
            self.rows.doubled += count(doubled);
            let Some(last) = last else { return Ok(()) };
            after = last;
        }
    }

    async fn contradictions(&mut self, counters: &Counters) -> Result<(), LedgerError> {
        let generation = counters.generation.max(self.rows.generation);
        let (contradictions, sold_twice, refused): (i64, i64, i64) =
            sqlx::query_as(include_str!("audit_contradictions.sql"))
                .bind(self.campaign.as_str())
                .bind(i32::try_from(generation).unwrap_or(i32::MAX))
                .fetch_one(&mut *self.snapshot)
                .await?;
        self.rows.contradictions = count(contradictions);
        self.rows.sold_twice = count(sold_twice);
        self.live_by_history -= refused;
        Ok(())
    }

    async fn letters(&mut self, counters: &Counters) -> Result<(), LedgerError> {
        let waiting: i64 =
            sqlx::query_scalar("SELECT count(*) FROM dead_letters WHERE campaign_id = $1 AND state = 'waiting'")
                .bind(self.campaign.as_str())
                .fetch_one(&mut *self.snapshot)
                .await?;
        self.rows.dead_letters = count(waiting);
        let records: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT record FROM dead_letters WHERE campaign_id = $1 AND state = 'discarded' AND lane IS NULL
             ORDER BY position LIMIT $2",
        )
        .bind(self.campaign.as_str())
        .bind(DISCARDED_MAX)
        .fetch_all(&mut *self.snapshot)
        .await?;
        let mut facts: Vec<Fact> =
            records.iter().filter_map(|record| Fact::all_from_json(record).ok()).flatten().collect();
        facts.retain(|fact| fact.generation == counters.generation && fact.fact_no <= counters.fact_no);
        facts.sort_by_key(|fact| fact.fact_no);
        facts.dedup_by_key(|fact| fact.fact_no);
        let are_rows: Vec<i64> = sqlx::query_scalar(
            "SELECT fact_no FROM stock_history WHERE campaign_id = $1 AND generation = $2 AND fact_no = ANY ($3)",
        )
        .bind(self.campaign.as_str())
        .bind(i32::try_from(counters.generation).unwrap_or(i32::MAX))
        .bind(facts.iter().map(|fact| bound(fact.fact_no)).collect::<Vec<_>>())
        .fetch_all(&mut *self.snapshot)
        .await?;
        facts.retain(|fact| !are_rows.contains(&bound(fact.fact_no)));
        let of = |kind: Kind| facts.iter().filter(|fact| fact.kind == kind).count() as u64;
        self.rows.discarded = Discarded {
            facts: facts.len() as u64,
            claimed: of(Kind::Claimed),
            given_back: of(Kind::GivenBack),
            change: facts.iter().map(|fact| i128::from(fact.change)).sum(),
        };
        Ok(())
    }
}

const FACT_GENERATION: &str = "SELECT min(generation) FROM stock_history WHERE campaign_id = $1 AND generation > $2";
const CLAIM_GENERATION: &str = "SELECT min(generation) FROM claims WHERE campaign_id = $1 AND generation > $2";

/// The generations that there are rows of, few as they are: one look into the index for each.
pub(super) async fn generations(
    connection: &mut PgConnection,
    campaign: &CampaignId,
    next: &'static str,
) -> Result<Vec<i32>, sqlx::Error> {
    let (mut found, mut after) = (Vec::new(), -1);
    while let Some(generation) = sqlx::query_scalar::<_, Option<i32>>(next)
        .bind(campaign.as_str())
        .bind(after)
        .fetch_one(&mut *connection)
        .await?
    {
        found.push(generation);
        after = generation;
    }
    Ok(found)
}

fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

//! Who may know more of a campaign than Redis does? The ledger, the dead letters, and what Kafka has acknowledged and
//! the ledger has not passed.

use std::sync::Arc;

use super::error::FenceError;
use crate::campaign::{Campaigns, Recorded};
use crate::config;
use crate::database::Database;
use crate::facts::Fact;
use crate::ids::CampaignId;
use crate::kafka::read_tails;
use crate::redis::{Marks, Redis};

/// Dead letters that are read at a time.
const LETTERS_PAGE: i64 = 1_000;

/// Raises every mark to the highest that anyone knows. Answers the campaigns that were ever in Redis.
///
/// Kafka first: what the ledger passes meanwhile is in the database when that is asked.
pub(super) async fn ask(
    redis: &Redis,
    database: &Database,
    campaigns: &Campaigns,
    kafka: &config::Kafka,
) -> Result<Vec<Recorded>, FenceError> {
    let group = &kafka.ledger_group;
    let reads = vec![(kafka.facts_topic.clone(), group.clone()), (kafka.dead_letters_topic(), format!("{group}-dead"))];
    let marks = Arc::clone(redis.marks());
    let records = read_tails(kafka, reads, move |record| learn(&marks, record)).await?;
    if records > 0 {
        tracing::info!(records, "facts that are not in the database yet were read from Kafka");
    }
    // All of them, whatever became of them: one that is replayed just now is behind the end that was read.
    let mut after = 0_i64;
    loop {
        let letters: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT position, record FROM dead_letters
             WHERE lane IS NULL AND position > $1 ORDER BY position LIMIT $2",
        )
        .bind(after)
        .bind(LETTERS_PAGE)
        .fetch_all(database)
        .await?;
        let Some((last, _)) = letters.last() else { break };
        after = *last;
        for (_, record) in &letters {
            learn(redis.marks(), record);
        }
    }
    Ok(campaigns.recorded().await?)
}

/// What is no fact is no mark either.
fn learn(marks: &Marks, record: &[u8]) {
    for fact in Fact::all_from_json(record).unwrap_or_default() {
        if let Ok(campaign) = fact.campaign.parse::<CampaignId>() {
            marks.of(&campaign).raise(fact.generation, fact.fact_no);
        }
    }
}

/// Campaigns whose facts contradict each other, with the generation of the last contradiction: they take no claims until they
/// are rebuilt, whatever Redis remembers of it.
pub(super) async fn contradicted(database: &Database) -> Result<Vec<(CampaignId, i32)>, sqlx::Error> {
    let rows: Vec<(String, i32)> = sqlx::query_as("SELECT campaign_id, max(generation) FROM contradictions GROUP BY 1")
        .fetch_all(database)
        .await?;
    Ok(rows.into_iter().filter_map(|(id, generation)| Some((id.parse().ok()?, generation))).collect())
}

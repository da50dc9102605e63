//! Records that cannot become rows. Their neighbours do; they wait here for an operator.

use serde::Deserialize;

use crate::database::Database;
use crate::kafka::Record;

/// A record and why it was set aside.
pub(super) struct DeadLetter<'a> {
    pub(super) record: &'a Record,
    pub(super) reason: String,
}

/// Sets them aside, each once.
pub(super) async fn set_aside(database: &Database, topic: &str, letters: &[DeadLetter<'_>]) -> Result<(), sqlx::Error> {
    if letters.is_empty() {
        return Ok(());
    }
    for DeadLetter { record, reason } in letters {
        metrics::counter!("onrush_ledger_dead_letters_total").increment(1);
        tracing::error!(topic, record.partition, record.offset, reason, "a record is set aside");
    }
    sqlx::query(
        "INSERT INTO dead_letters (topic, partition, record_offset, reason, record, record_key, campaign_id)
         SELECT $1, * FROM unnest($2::integer[], $3::bigint[], $4::text[], $5::bytea[], $6::bytea[], $7::text[])
         ON CONFLICT DO NOTHING",
    )
    .bind(topic)
    .bind(letters.iter().map(|letter| letter.record.partition).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.record.offset).collect::<Vec<_>>())
    // A text in the database has no U+0000, and the reason may quote what is wrong.
    .bind(letters.iter().map(|letter| letter.reason.replace('\0', "\u{fffd}")).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.record.value.as_slice()).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.record.key.as_slice()).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| campaign_of(letter.record)).collect::<Vec<_>>())
    .execute(database)
    .await?;
    Ok(())
}

/// The campaign that a record names, as far as it can be read.
fn campaign_of(record: &Record) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        campaign: String,
    }
    let named: Named = serde_json::from_slice(&record.value).ok()?;
    named.campaign.parse::<crate::ids::CampaignId>().ok().map(|id| id.as_str().to_owned())
}

//! Letters become rows, for operators to see.

use super::record::{Headers, campaign_of};
use crate::database::Database;
use crate::kafka::Record;

/// Writes the dead letters of a topic of dead letters down, whose lanes have given them up. What is there already stays as it
/// is: whoever dies after it may call it again.
pub async fn keep(database: &Database, topic: &str, letters: &[(Headers, &Record)]) -> Result<(), sqlx::Error> {
    let headers = || letters.iter().map(|(headers, _)| headers);
    let records = || letters.iter().map(|(_, record)| *record);
    let ids = letters.iter().map(|(headers, record)| match &headers.lane {
        // Several topics of dead letters count from 0.
        Some(lane) => format!("{lane}-{}-{}", record.partition, record.offset),
        None => format!("{}-{}", record.partition, record.offset),
    });
    sqlx::query(
        // A topic of dead letters that was made anew counts from 0 again: an id that is another dead letter's gets a suffix.
        "INSERT INTO dead_letters (id, attempts, topic, partition, record_offset, reason, record, record_key, campaign_id,
                                   lane, replay_topic)
         SELECT CASE WHEN EXISTS (SELECT FROM dead_letters d WHERE d.id = l.id AND d.record <> l.record)
                     THEN l.id || '-' || substr(encode(sha256(l.record), 'hex'), 1, 8) ELSE l.id END,
                attempts, topic, partition, record_offset, reason, record, record_key, campaign_id,
                lane, CASE WHEN lane IS NOT NULL THEN $11 END
         FROM unnest($1::text[], $2::integer[], $3::text[], $4::integer[], $5::bigint[], $6::text[], $7::bytea[],
                     $8::bytea[], $9::text[], $10::text[])
             WITH ORDINALITY AS l (id, attempts, topic, partition, record_offset, reason, record, record_key,
                                   campaign_id, lane, place)
         ORDER BY place
         ON CONFLICT DO NOTHING",
    )
    .bind(ids.collect::<Vec<_>>())
    .bind(headers().map(|headers| headers.attempts).collect::<Vec<_>>())
    .bind(headers().map(|headers| headers.topic.as_str()).collect::<Vec<_>>())
    .bind(headers().map(|headers| headers.partition).collect::<Vec<_>>())
    .bind(headers().map(|headers| headers.offset).collect::<Vec<_>>())
    .bind(headers().map(|headers| headers.reason.as_str()).collect::<Vec<_>>())
    .bind(records().map(|record| record.value.as_slice()).collect::<Vec<_>>())
    .bind(records().map(|record| record.key.as_slice()).collect::<Vec<_>>())
    .bind(letters.iter().map(|(headers, record)| campaign_of(headers, record)).collect::<Vec<_>>())
    .bind(headers().map(|headers| headers.lane.as_deref()).collect::<Vec<_>>())
    .bind(topic)
    .execute(database)
    .await?;
    Ok(())
}

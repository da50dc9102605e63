//! The table `campaigns`: definitions, kept for good.

use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{Row, query, query_as};

use super::definition::{Definition, Durability, Spec, Waiting};
use crate::clock::Millis;
use crate::database::Database;
use crate::ids::CampaignId;

/// A definition, and how far Redis is known to have followed.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub definition: Definition,
    pub first_content: Spec,
    pub ever_put: bool,
    pub published_version: u64,
}

const FIND: &str = "SELECT *, floor(extract(epoch FROM created_at) * 1000)::bigint AS created_at_ms
                    FROM campaigns WHERE id = $1";
const ALL: &str = "SELECT *, floor(extract(epoch FROM created_at) * 1000)::bigint AS created_at_ms
                   FROM campaigns WHERE NOT $1 OR published_version < version ORDER BY id";

/// Makes the row; `None` if the id is taken. A serial is taken for good even where no row comes of it, and there are 2^20 of
/// them: so the id is looked for in the same statement, before a serial is. Only a race for one id can waste one.
pub(super) async fn insert(
    database: &Database,
    draft: &Spec,
    draw_seed: Option<&str>,
) -> Result<Option<Stored>, sqlx::Error> {
    let inserted = query(
        "INSERT INTO campaigns (id, first_content, name, stock, per_user_limit, opens_at_ms, closes_at_ms, durability,
                                listed, waiting, draw_seed)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
         WHERE NOT EXISTS (SELECT FROM campaigns WHERE id = $1) ON CONFLICT (id) DO NOTHING",
    )
    .bind(draft.id.as_str())
    .bind(Json(draft))
    .bind(&draft.name)
    .bind(signed(draft.stock))
    .bind(i32::try_from(draft.per_user_limit).unwrap_or(i32::MAX))
    .bind(draft.opens_at.map(|at| at.0))
    .bind(draft.closes_at.map(|at| at.0))
    .bind(draft.durability.as_str())
    .bind(draft.listed)
    .bind(draft.waiting.as_ref().map(Json))
    .bind(draw_seed)
    .execute(database)
    .await?;
    if inserted.rows_affected() == 0 { Ok(None) } else { find(database, &draft.id).await }
}

/// The campaign's row.
pub(super) async fn find(database: &Database, id: &CampaignId) -> Result<Option<Stored>, sqlx::Error> {
    let row = query(FIND).bind(id.as_str()).fetch_optional(database).await?;
    row.map(|row| stored(&row)).transpose()
}

/// All rows, or only those that Redis may not have.
pub(super) async fn all(database: &Database, only_unpublished: bool) -> Result<Vec<Stored>, sqlx::Error> {
    let rows = query(ALL).bind(only_unpublished).fetch_all(database).await?;
    rows.iter().map(stored).collect()
}

/// The highest generation and fact of each campaign that the ledger has.
pub(super) async fn highest_facts(database: &Database) -> Result<Vec<(CampaignId, u32, u64)>, sqlx::Error> {
    let rows: Vec<(String, i32, i64)> = query_as(
        "SELECT c.id, h.generation, h.fact_no FROM campaigns c CROSS JOIN LATERAL (
             SELECT generation, fact_no FROM stock_history WHERE campaign_id = c.id
             ORDER BY generation DESC, fact_no DESC LIMIT 1) h",
    )
    .fetch_all(database)
    .await?;
    let parsed = rows.into_iter().filter_map(|(id, generation, fact_no)| {
        Some((id.parse().ok()?, generation.unsigned_abs(), fact_no.unsigned_abs()))
    });
    Ok(parsed.collect())
}

/// How many campaigns there are.
pub(super) async fn count(database: &Database) -> Result<u64, sqlx::Error> {
    let count: i64 = query("SELECT count(*) FROM campaigns").fetch_one(database).await?.try_get(0)?;
    Ok(count.unsigned_abs())
}

/// Writes a changed definition over the version before it; `false` if somebody else was faster.
pub(super) async fn replace(database: &Database, changed: &Definition) -> Result<bool, sqlx::Error> {
    let spec = &changed.spec;
    let done = query(
        "UPDATE campaigns SET version = $2, name = $3, stock = $4, per_user_limit = $5, opens_at_ms = $6,
                              closes_at_ms = $7, listed = $8, paused = $9, closed = $10,
                              waiting = $11, draw_seed = $12
         WHERE id = $1 AND version = $2 - 1",
    )
    .bind(spec.id.as_str())
    .bind(signed(changed.version))
    .bind(&spec.name)
    .bind(signed(spec.stock))
    .bind(i32::try_from(spec.per_user_limit).unwrap_or(i32::MAX))
    .bind(spec.opens_at.map(|at| at.0))
    .bind(spec.closes_at.map(|at| at.0))
    .bind(spec.listed)
    .bind(changed.paused)
    .bind(changed.closed)
    .bind(spec.waiting.as_ref().map(Json))
    .bind(changed.draw_seed.as_deref())
    .execute(database)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Remembers that the campaign was put into Redis, before it is armed there.
pub(super) async fn mark_put(database: &Database, id: &CampaignId) -> Result<(), sqlx::Error> {
    query("UPDATE campaigns SET ever_put = true WHERE id = $1 AND NOT ever_put")
        .bind(id.as_str())
        .execute(database)
        .await
        .map(drop)
}

/// Remembers that Redis has this version.
pub(super) async fn mark_published(database: &Database, id: &CampaignId, version: u64) -> Result<(), sqlx::Error> {
    query("UPDATE campaigns SET published_version = greatest(published_version, $2) WHERE id = $1")
        .bind(id.as_str())
        .bind(signed(version))
        .execute(database)
        .await
        .map(drop)
}

fn stored(row: &PgRow) -> Result<Stored, sqlx::Error> {
    let corrupt = |what: &str| sqlx::Error::Decode(format!("campaigns.{what} holds what was never written").into());
    let id: String = row.try_get("id")?;
    let durability: String = row.try_get("durability")?;
    let first_content: Json<Spec> = row.try_get("first_content")?;
    let opens_at: Option<i64> = row.try_get("opens_at_ms")?;
    let closes_at: Option<i64> = row.try_get("closes_at_ms")?;
    let waiting: Option<Json<Waiting>> = row.try_get("waiting")?;
    Ok(Stored {
        definition: Definition {
            spec: Spec {
                id: id.parse().map_err(|_| corrupt("id"))?,
                name: row.try_get("name")?,
                stock: row.try_get::<i64, _>("stock")?.unsigned_abs(),
                per_user_limit: row.try_get::<i32, _>("per_user_limit")?.unsigned_abs(),
                opens_at: opens_at.map(Millis),
                closes_at: closes_at.map(Millis),
                durability: Durability::of(&durability).ok_or_else(|| corrupt("durability"))?,
                listed: row.try_get("listed")?,
                waiting: waiting.map(|waiting| waiting.0),
            },
            serial: row.try_get::<i32, _>("serial")?.unsigned_abs(),
            version: row.try_get::<i64, _>("version")?.unsigned_abs(),
            paused: row.try_get("paused")?,
            closed: row.try_get("closed")?,
            created_at: Millis(row.try_get("created_at_ms")?),
            draw_seed: row.try_get("draw_seed")?,
        },
        first_content: first_content.0,
        ever_put: row.try_get("ever_put")?,
        published_version: row.try_get::<i64, _>("published_version")?.unsigned_abs(),
    })
}

/// PostgreSQL's numbers are signed; ours were checked at the edge to be far below the half.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

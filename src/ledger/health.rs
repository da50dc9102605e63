//! How is the ledger? The figures of the database that somebody has to be told of when they are too high.

use std::time::Duration;

use crate::database::Database;

/// Campaigns that are named.
const NAMED_MAX: i64 = 5;

/// Things that somebody has to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many there are.
    pub count: u64,
    /// What names the newest of them, and grows; 0: there is none.
    pub newest: u64,
    /// Campaigns that they are of, a few of them.
    pub campaigns: Vec<String>,
}

/// The figures now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerHealth {
    /// Dead letters that wait for an operator, by their positions.
    pub dead_letters: Waiting,
    /// Contradictions recorded lately, by when they were.
    pub contradictions: Waiting,
    /// Campaigns of which the stores do not agree, by since when.
    pub audits_broken: Waiting,
}

type Counted = (i64, i64, Vec<String>);

impl LedgerHealth {
    /// As they are now; contradictions of this last while.
    pub async fn read(database: &Database, lately: Duration) -> Result<Self, sqlx::Error> {
        let letters: Counted = sqlx::query_as(
            "SELECT count(*), coalesce(max(position), 0), ARRAY[]::text[] FROM dead_letters WHERE state = 'waiting'",
        )
        .fetch_one(database)
        .await?;
        let contradictions: Counted = sqlx::query_as(
            "SELECT count(*), coalesce(floor(extract(epoch FROM max(noticed_at)) * 1000), 0)::bigint,
                    coalesce((array_agg(DISTINCT campaign_id))[1:$2], ARRAY[]::text[])
             FROM contradictions WHERE noticed_at > clock_timestamp() - $1 * interval '1 millisecond'",
        )
        .bind(i64::try_from(lately.as_millis()).unwrap_or(i64::MAX))
        .bind(NAMED_MAX)
        .fetch_one(database)
        .await?;
        let audits: Counted = sqlx::query_as(
            "SELECT count(*), coalesce(floor(extract(epoch FROM max(since)) * 1000), 0)::bigint,
                    coalesce((array_agg(campaign_id ORDER BY since DESC))[1:$1], ARRAY[]::text[])
             FROM broken_audits",
        )
        .bind(NAMED_MAX)
        .fetch_one(database)
        .await?;
        let waiting = |(count, newest, campaigns): Counted| Waiting {
            count: count.unsigned_abs(),
            newest: newest.unsigned_abs(),
            campaigns,
        };
        Ok(Self {
            dead_letters: waiting(letters),
            contradictions: waiting(contradictions),
            audits_broken: waiting(audits),
        })
    }
}

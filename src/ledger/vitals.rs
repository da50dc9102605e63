//! How is the ledger? The figures that somebody has to be told of when they are too high.

use std::time::Duration;

use super::figure::Figure;
use super::relay::Relay;
use super::writer::Writer;
use crate::config::Config;
use crate::database::Database;

/// The figures now. `None`: the store that knows is away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Dead letters that wait for an operator.
    pub dead_letters_waiting: Option<u64>,
    /// The position of the newest of them; 0: there is none.
    pub newest_dead_letter: u64,
    /// Contradictions recorded lately.
    pub contradictions: Option<u64>,
    /// When the newest of them was recorded, in ms since 1970; 0: there is none.
    pub newest_contradiction: u64,
    /// The fullest outbox of a campaign, in percent of what it may hold.
    pub outbox_percent: Option<u64>,
    /// Records in Kafka that are not in the database.
    pub lag_records: Option<u64>,
    /// Campaigns of which the stores do not agree.
    pub audits_broken: Option<u64>,
    /// Since when the newest of them is, in ms since 1970; 0: there is none.
    pub newest_broken_audit: u64,
}

/// Reads them, on a node that works.
pub struct VitalsReader {
    database: Database,
    fullest_outbox: Figure,
    outbox_facts_max: u64,
    lag: Figure,
    lately: Duration,
}

impl VitalsReader {
    /// What these loops see, and what the database knows.
    #[must_use]
    pub fn new(database: Database, relay: &Relay, writer: &Writer, config: &Config) -> Self {
        Self {
            database,
            fullest_outbox: relay.fullest_outbox.clone(),
            outbox_facts_max: config.campaign.outbox_facts_max,
            lag: writer.lag.clone(),
            lately: Duration::from_millis(config.alarm.window_ms),
        }
    }

    /// The figures now.
    pub async fn read(&self) -> Vitals {
        let percent = |facts: u64| facts.saturating_mul(100) / self.outbox_facts_max;
        let mut vitals = Vitals {
            outbox_percent: self.fullest_outbox.get().map(percent),
            lag_records: self.lag.get(),
            ..Vitals::default()
        };
        let counted: Result<[i64; 6], sqlx::Error> = sqlx::query_as::<_, (i64, i64, i64, i64, i64, i64)>(
            "SELECT d.count, d.newest, c.count, c.newest, b.count, b.newest
             FROM (SELECT count(*), coalesce(max(position), 0) AS newest FROM dead_letters WHERE state = 'waiting') d,
                  (SELECT count(*), coalesce(floor(extract(epoch FROM max(noticed_at)) * 1000), 0)::bigint AS newest
                   FROM contradictions WHERE noticed_at > clock_timestamp() - $1 * interval '1 millisecond') c,
                  (SELECT count(*), coalesce(floor(extract(epoch FROM max(since)) * 1000), 0)::bigint AS newest
                   FROM broken_audits) b",
        )
        .bind(i64::try_from(self.lately.as_millis()).unwrap_or(i64::MAX))
        .fetch_one(&self.database)
        .await
        .map(|(a, b, c, d, e, f)| [a, b, c, d, e, f]);
        match counted {
            Ok(numbers) => {
                let [letters, letter, contradictions, contradiction, audits, audit] = numbers.map(i64::unsigned_abs);
                (vitals.dead_letters_waiting, vitals.newest_dead_letter) = (Some(letters), letter);
                (vitals.contradictions, vitals.newest_contradiction) = (Some(contradictions), contradiction);
                (vitals.audits_broken, vitals.newest_broken_audit) = (Some(audits), audit);
            }
            // What the outbox and the lag say goes on being watched.
            Err(error) => tracing::debug!(%error, "the database does not say how the ledger is"),
        }
        vitals
    }
}

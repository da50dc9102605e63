//! How near does the ledger's own statement come to COPY, which does nothing but append?
//!
//! Ours is what the writer itself calls for a batch: it folds, and each fact becomes a row of the history and one of the
//! claims, unless it or another one of that number is there. COPY, in its binary form, is given the same claims for an
//! identical table, with the same indexes, a batch a transaction: half of the rows. And besides, all of them, history and
//! claims. The rounds alternate.

use std::time::{Duration, Instant};

use anyhow::ensure;
use onrush::database::Database;
use onrush::facts::{Fact, FactClaim, Kind, SCHEMA_VERSION};
use onrush::ids::AttemptId;
use onrush::ledger::{FactAt, write_facts};
use sqlx::{Executor, PgConnection};

use crate::findings::LedgerRound;

/// Facts in a batch, and batches that each writes in a round.
const BATCH: usize = 2_000;
const BATCHES: usize = 20;
/// From PostgreSQL's epoch, 2000, back to the one of everybody else, in us.
const EPOCH_US: i64 = 946_684_800_000_000;
/// The moment of the first claim, in ms.
const FIRST_AT: i64 = 1_700_000_000_000;

const COPIES: &str = "CREATE TABLE IF NOT EXISTS claims_copy (LIKE claims INCLUDING ALL);
    CREATE TABLE IF NOT EXISTS claims_copy_2 (LIKE claims INCLUDING ALL);
    CREATE TABLE IF NOT EXISTS stock_history_copy (LIKE stock_history INCLUDING ALL)";
const COPY_CLAIMS: &str = "COPY claims_copy (campaign_id, generation, number, user_id, attempt, claimed_at) \
     FROM STDIN (FORMAT binary)";
const COPY_CLAIMS_OF_HISTORY: &str = "COPY claims_copy_2 (campaign_id, generation, number, user_id, attempt, claimed_at) \
     FROM STDIN (FORMAT binary)";
const COPY_HISTORY: &str = "COPY stock_history_copy (campaign_id, generation, fact_no, kind, change, number, \
     claim_generation, user_id, attempt, decided_at) FROM STDIN (FORMAT binary)";

/// Adds a row in COPY's binary form.
type WriteRow = fn(&mut Vec<u8>, &Fact, &FactClaim);

/// So many rounds of all.
pub async fn compare(
    database: &Database,
    rounds: usize,
    mut done: impl FnMut(&LedgerRound),
) -> anyhow::Result<Vec<LedgerRound>> {
    database.execute(COPIES).await?;
    let (mut next, mut all) = (1, Vec::with_capacity(rounds));
    // One more, which is not counted: the tables have their first pages, the connections their types.
    for round in 0..=rounds {
        let facts: Vec<Vec<Fact>> = (0..BATCHES).map(|_| claims(&mut next)).collect();
        let measured = LedgerRound {
            ours: ours(database, &facts).await?,
            copy: copy(database, &facts).await?,
            copy_with_history: copy_with_history(database, &facts).await?,
        };
        if round > 0 {
            done(&measured);
            all.push(measured);
        }
    }
    Ok(all)
}

/// A batch of facts that the ledger has not seen.
fn claims(next: &mut u64) -> Vec<Fact> {
    let numbers = *next..*next + BATCH as u64;
    *next = numbers.end;
    let fact = |number: u64| Fact {
        v: SCHEMA_VERSION,
        campaign: "ledger".into(),
        generation: 1,
        fact_no: number,
        kind: Kind::Claimed,
        change: -1,
        at: FIRST_AT + number.cast_signed(),
        claim: Some(FactClaim {
            number,
            generation: 1,
            // Users do not come in the order of their names.
            user: format!("user-{:08x}", number.cast_signed().wrapping_mul(0x9e37_79b9) & 0xffff_ffff),
            attempt: AttemptId::random().as_str().to_owned(),
        }),
        reason: None,
    };
    numbers.map(fact).collect()
}

async fn ours(database: &Database, batches: &[Vec<Fact>]) -> anyhow::Result<f64> {
    let mut took = Duration::ZERO;
    for facts in batches {
        let placed = facts.iter().cloned().enumerate().map(|(place, fact)| FactAt { place, fact }).collect();
        let began = Instant::now();
        let written = write_facts(database, placed).await?;
        took += began.elapsed();
        ensure!(written.new == facts.len() as u64, "{} of {} facts are new", written.new, facts.len());
    }
    Ok(rate(batches, took))
}

/// The claims alone: a batch is one COPY, and commits itself.
async fn copy(database: &Database, batches: &[Vec<Fact>]) -> anyhow::Result<f64> {
    let mut took = Duration::ZERO;
    let mut connection = database.acquire().await?;
    for facts in batches {
        let began = Instant::now();
        send(&mut connection, COPY_CLAIMS, facts, claims_row).await?;
        took += began.elapsed();
    }
    Ok(rate(batches, took))
}

/// What ours writes, all of it.
async fn copy_with_history(database: &Database, batches: &[Vec<Fact>]) -> anyhow::Result<f64> {
    let mut took = Duration::ZERO;
    for facts in batches {
        let began = Instant::now();
        let mut transaction = database.begin().await?;
        send(&mut transaction, COPY_HISTORY, facts, history_row).await?;
        send(&mut transaction, COPY_CLAIMS_OF_HISTORY, facts, claims_row).await?;
        transaction.commit().await?;
        took += began.elapsed();
    }
    Ok(rate(batches, took))
}

async fn send(connection: &mut PgConnection, statement: &str, facts: &[Fact], row: WriteRow) -> anyhow::Result<()> {
    let mut copy = connection.copy_in_raw(statement).await?;
    copy.send(binary(facts, row)).await?;
    let count = copy.finish().await?;
    ensure!(count == facts.len() as u64, "{count} of {} rows are copied", facts.len());
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "rows of a round are far below 2^53")]
fn rate(batches: &[Vec<Fact>], took: Duration) -> f64 {
    batches.iter().map(Vec::len).sum::<usize>() as f64 / took.as_secs_f64()
}

/// The rows in COPY's binary form.
fn binary(facts: &[Fact], row: WriteRow) -> Vec<u8> {
    let mut bytes = b"PGCOPY\n\xff\r\n\0".to_vec();
    // No flags, no extension of the header.
    bytes.extend([0; 8]);
    for fact in facts {
        let claim = fact.claim.as_ref().expect("these facts are all about claims");
        row(&mut bytes, fact, claim);
    }
    bytes.extend((-1_i16).to_be_bytes());
    bytes
}

fn claims_row(bytes: &mut Vec<u8>, fact: &Fact, claim: &FactClaim) {
    bytes.extend(6_i16.to_be_bytes());
    field(bytes, fact.campaign.as_bytes());
    field(bytes, &claim.generation.to_be_bytes());
    field(bytes, &claim.number.to_be_bytes());
    field(bytes, claim.user.as_bytes());
    field(bytes, claim.attempt.as_bytes());
    field(bytes, &(fact.at * 1000 - EPOCH_US).to_be_bytes());
}

fn history_row(bytes: &mut Vec<u8>, fact: &Fact, claim: &FactClaim) {
    bytes.extend(10_i16.to_be_bytes());
    field(bytes, fact.campaign.as_bytes());
    field(bytes, &fact.generation.to_be_bytes());
    field(bytes, &fact.fact_no.to_be_bytes());
    field(bytes, fact.kind.as_str().as_bytes());
    field(bytes, &fact.change.to_be_bytes());
    field(bytes, &claim.number.to_be_bytes());
    field(bytes, &claim.generation.to_be_bytes());
    field(bytes, claim.user.as_bytes());
    field(bytes, claim.attempt.as_bytes());
    field(bytes, &(fact.at * 1000 - EPOCH_US).to_be_bytes());
}

fn field(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend(i32::try_from(value.len()).expect("ids are short").to_be_bytes());
    bytes.extend(value);
}

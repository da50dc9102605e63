//! Facts become rows.

use std::collections::HashSet;

use sqlx::error::DatabaseError;

use super::fold::{FactAt, fold};
use crate::database::Database;
use crate::facts::{FactClaim, Kind};

/// For all facts.
const INSERT_FACTS: &str = include_str!("insert_facts.sql");
/// For facts of claims that are not recorded yet: what a rush consists of, at half the price.
const INSERT_CLAIMED: &str = include_str!("insert_claimed.sql");

/// How often facts that another writer was inserting are asked for again before the batch counts as failed.
const ASK_AGAIN_MAX: u32 = 20;

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Written {
    /// Facts that are new rows.
    pub new: u64,
    /// Facts that were there already.
    pub doubles: u64,
    /// Facts that say something else than what is recorded.
    pub contradictions: u64,
    /// Facts that the database refuses whatever one does, with its reason.
    pub refused: Vec<(FactAt, String)>,
}

/// Writes all of them, but those that the database refuses as data. Any other error is returned: part of the batch may
/// be written, and all of it may be written again.
pub async fn write(database: &Database, facts: Vec<FactAt>) -> Result<Written, sqlx::Error> {
    let mut written = Written::default();
    let mut left = facts;
    let mut unseen_rounds = 0;
    while !left.is_empty() {
        let folded = fold(left);
        written.doubles += folded.doubles;
        left = folded.rest;
        let unseen = write_layer(database, folded.layer, &mut written).await?;
        if !unseen.is_empty() {
            unseen_rounds += 1;
            if unseen_rounds > ASK_AGAIN_MAX {
                return Err(sqlx::Error::Protocol("facts are neither inserted nor there".into()));
            }
            left.extend(unseen);
        }
    }
    Ok(written)
}

/// Halves the layer wherever the database refuses data, until only the bad facts are left out. Answers the facts that
/// another writer was inserting at the same moment.
async fn write_layer(
    database: &Database,
    layer: Vec<FactAt>,
    written: &mut Written,
) -> Result<Vec<FactAt>, sqlx::Error> {
    let (claimed, others): (Vec<_>, Vec<_>) = layer.into_iter().partition(|placed| placed.fact.kind == Kind::Claimed);
    let mut parts: Vec<Vec<FactAt>> = [others, claimed].into_iter().filter(|part| !part.is_empty()).collect();
    let mut unseen = Vec::new();
    while let Some(mut part) = parts.pop() {
        match insert(database, &part).await {
            Ok(verdicts) => unseen.extend(sort_out(part, &verdicts, written)),
            Err(error) if !is_about_data(&error) => return Err(error),
            Err(error) if part.len() == 1 => {
                written.refused.extend(part.pop().map(|placed| (placed, error.to_string())));
            }
            Err(_) => {
                let second = part.split_off(part.len() / 2);
                parts.push(second);
                parts.push(part);
            }
        }
    }
    Ok(unseen)
}

fn sort_out(part: Vec<FactAt>, verdicts: &[(i64, String)], written: &mut Written) -> Vec<FactAt> {
    let mut unseen_places = HashSet::new();
    for (place, verdict) in verdicts {
        // WITH ORDINALITY counts from 1.
        let index = usize::try_from(place - 1).unwrap_or(usize::MAX);
        match verdict.as_str() {
            "double" => written.doubles += 1,
            "unseen" => {
                unseen_places.insert(index);
            }
            _ => {
                written.contradictions += 1;
                let fact = part.get(index).map(|placed| &placed.fact);
                tracing::error!(?fact, "a fact contradicts what is recorded; it is noted and not applied");
            }
        }
    }
    written.new += (part.len() - verdicts.len()) as u64;
    part.into_iter().enumerate().filter(|(index, _)| unseen_places.contains(index)).map(|(_, placed)| placed).collect()
}

/// Whether no retry helps: data exceptions and violated constraints.
fn is_about_data(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

/// One statement, or a second one where the first finds what is recorded already and does nothing. Answers the place
/// (from 1) and the verdict of each fact that is not simply new.
async fn insert(database: &Database, part: &[FactAt]) -> Result<Vec<(i64, String)>, sqlx::Error> {
    // All facts of a part are 'claimed', or none is.
    let claims: Option<Vec<(&FactAt, &FactClaim)>> = part
        .iter()
        .map(|placed| Some((placed, placed.fact.claim.as_ref().filter(|_| placed.fact.kind == Kind::Claimed)?)))
        .collect();
    if let Some(claims) = claims {
        match insert_claimed(database, &claims).await {
            Err(error) if error.as_database_error().is_some_and(DatabaseError::is_unique_violation) => {}
            outcome => return outcome.map(|()| Vec::new()),
        }
    }
    insert_facts(database, part).await
}

/// Fails with a unique violation where any of them is recorded already.
async fn insert_claimed(database: &Database, claimed: &[(&FactAt, &FactClaim)]) -> Result<(), sqlx::Error> {
    let facts = || claimed.iter().map(|(placed, _)| &placed.fact);
    let claims = || claimed.iter().map(|(_, claim)| claim);
    sqlx::query(INSERT_CLAIMED)
        .bind(facts().map(|fact| fact.campaign.as_str()).collect::<Vec<_>>())
        .bind(facts().map(|fact| signed(fact.generation)).collect::<Vec<i32>>())
        .bind(facts().map(|fact| signed(fact.fact_no)).collect::<Vec<i64>>())
        .bind(facts().map(|fact| fact.change).collect::<Vec<_>>())
        .bind(claims().map(|claim| signed(claim.number)).collect::<Vec<i64>>())
        .bind(claims().map(|claim| signed(claim.generation)).collect::<Vec<i32>>())
        .bind(claims().map(|claim| claim.user.as_str()).collect::<Vec<_>>())
        .bind(claims().map(|claim| claim.attempt.as_str()).collect::<Vec<_>>())
        .bind(facts().map(|fact| fact.at).collect::<Vec<_>>())
        .execute(database)
        .await
        .map(drop)
}

async fn insert_facts(database: &Database, part: &[FactAt]) -> Result<Vec<(i64, String)>, sqlx::Error> {
    let facts = || part.iter().map(|placed| &placed.fact);
    let claims = || facts().map(|fact| fact.claim.as_ref());
    // An attempt that never claims has a user and no number.
    let numbered = || claims().map(|claim| claim.filter(|claim| claim.number > 0));
    sqlx::query_as(INSERT_FACTS)
        .bind(facts().map(|fact| fact.campaign.as_str()).collect::<Vec<_>>())
        .bind(facts().map(|fact| signed(fact.generation)).collect::<Vec<i32>>())
        .bind(facts().map(|fact| signed(fact.fact_no)).collect::<Vec<i64>>())
        .bind(facts().map(|fact| fact.kind.as_str()).collect::<Vec<_>>())
        .bind(facts().map(|fact| fact.change).collect::<Vec<_>>())
        .bind(numbered().map(|claim| claim.map(|claim| signed(claim.number))).collect::<Vec<Option<i64>>>())
        .bind(numbered().map(|claim| claim.map(|claim| signed(claim.generation))).collect::<Vec<Option<i32>>>())
        .bind(claims().map(|claim| claim.map(|claim| claim.user.as_str())).collect::<Vec<_>>())
        .bind(claims().map(|claim| claim.map(|claim| claim.attempt.as_str())).collect::<Vec<_>>())
        .bind(facts().map(|fact| fact.at).collect::<Vec<_>>())
        .bind(facts().map(|fact| fact.reason.as_deref()).collect::<Vec<_>>())
        // Planned anew each time: a plan for arrays of unknown length joins them row by row.
        .persistent(false)
        .fetch_all(database)
        .await
}

/// For numbers that `unfit` has passed.
fn signed<U, S: TryFrom<U, Error: std::fmt::Debug>>(number: U) -> S {
    S::try_from(number).expect("numbers beyond the columns were set aside before")
}

/// Why a fact cannot become rows: numbers that the columns have no room for.
pub(super) fn unfit(fact: &crate::facts::Fact) -> Option<&'static str> {
    let claim = fact.claim.as_ref();
    if i32::try_from(fact.generation).is_err() || claim.is_some_and(|claim| i32::try_from(claim.generation).is_err()) {
        return Some("a generation beyond integer");
    }
    if i64::try_from(fact.fact_no).is_err() || claim.is_some_and(|claim| i64::try_from(claim.number).is_err()) {
        return Some("a number beyond bigint");
    }
    None
}

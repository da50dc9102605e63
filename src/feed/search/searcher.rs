//! Who looks for posts: one statement a search, a few searches at a time.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::postgres::PgRow;
use thiserror::Error;
use tokio::sync::Semaphore;

use super::highlight;
use super::question::Question;
use crate::cache::{Cache, CacheError, Kind};
use crate::clock::Millis;
use crate::config;
use crate::database::Database;
use crate::feed::post::{Inspection, Post, PostId};

/// Whole answers, everyone's: what many look for at once is looked for once.
static ANSWERS: Kind<Page> = Kind::new("search").fresh_for(Duration::from_secs(1));

const SEARCH: &str = include_str!("search.sql");

/// The planner takes reading a document for nothing: left alone it reads all of them where most posts have the token. And
/// compiling the statement takes longer than running it, and a search is worth one of the database's processors.
const PLAN: &str = "SET LOCAL enable_seqscan = off; SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0";

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The post.
    pub post: Post,
    /// How well it matches.
    pub score: f32,
    /// Where it does.
    pub highlights: Highlights,
}

/// Where a post matches, as HTML with `<mark>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Highlights {
    /// The title.
    pub title: String,
    /// The part of the body that says most of it.
    pub body: String,
}

/// A page of what was found, best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Those on it.
    pub hits: Vec<Hit>,
    /// Where it ends, if more follow.
    pub next: Option<Cursor>,
}

/// Where a page of a search ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    score: f32,
    post: PostId,
    newest: PostId,
}

/// A text that is no cursor of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is no cursor of this list")]
pub struct InvalidCursor;

/// Why nothing can be said. All of it is worth another try.
#[derive(Debug, Error)]
pub enum SearchError {
    /// The database is away, or took too long.
    #[error("the database did not answer a search: {0}")]
    Database(#[from] sqlx::Error),
    /// As many are at it as may be.
    #[error("too many searches are under way")]
    TooManyInFlight,
    /// Hits could not be shown, because the process stops.
    #[error("the search was given up: {0}")]
    GivenUp(#[from] tokio::task::JoinError),
    /// Neither the cache nor the database answered.
    #[error("{0}")]
    Cache(#[from] CacheError),
}

/// Looks for posts. Clones are the same one.
#[derive(Clone)]
pub struct Searcher {
    database: Database,
    cache: Cache,
    settings: config::Search,
    in_flight: Arc<Semaphore>,
}

impl Searcher {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(database: Database, cache: Cache, settings: &config::Search) -> Self {
        let in_flight = Arc::new(Semaphore::new(settings.in_flight_max));
        Self { database, cache, settings: settings.clone(), in_flight }
    }

    /// A page of what matches, at most a second old.
    pub async fn answer(&self, question: &str, after: Option<Cursor>, limit: usize) -> Result<Arc<Page>, SearchError> {
        let end = after.map(|cursor| cursor.to_string()).unwrap_or_default();
        let key = format!("{limit}:{end}:{question}");
        let (searcher, question) = (self.clone(), question.to_owned());
        let load = async move || searcher.search(&question, after, limit).await.map(Some);
        let found = self.cache.get(&ANSWERS, &key, load).await?;
        Ok(found.value.unwrap_or_else(|| Arc::new(Page { hits: Vec::new(), next: None })))
    }

    /// A page of what matches now.
    pub async fn search(&self, question: &str, after: Option<Cursor>, limit: usize) -> Result<Page, SearchError> {
        let Some(question) = Question::parse(question, self.settings.words_max) else {
            return Ok(Page { hits: Vec::new(), next: None });
        };
        let rows = self.rows(&question, after, limit + 1).await?;
        let (has_more, characters_max) = (rows.len() > limit, self.settings.snippet_characters);
        // Long bodies take milliseconds, and requests wait on this thread.
        let hits = tokio::task::spawn_blocking(move || {
            rows.iter().take(limit).map(|row| hit(row, &question, characters_max)).collect::<Result<Vec<_>, _>>()
        });
        let hits = hits.await??;
        let next = hits.last().filter(|_| has_more).map(|(last, newest)| Cursor {
            score: last.score,
            post: last.post.post_id,
            newest: *newest,
        });
        Ok(Page { hits: hits.into_iter().map(|(hit, _)| hit).collect(), next })
    }

    #[tracing::instrument(name = "search", skip_all)]
    async fn rows(&self, question: &Question, after: Option<Cursor>, limit: usize) -> Result<Vec<PgRow>, SearchError> {
        let wait = Duration::from_millis(self.settings.wait_ms_max);
        let Ok(Ok(_permit)) = tokio::time::timeout(wait, self.in_flight.acquire()).await else {
            metrics::counter!("onrush_search_refused_total").increment(1);
            return Err(SearchError::TooManyInFlight);
        };
        let begin = std::time::Instant::now();
        let rows = self.ask(question, after, limit).await;
        metrics::histogram!("onrush_search_seconds").record(begin.elapsed().as_secs_f64());
        if rows.is_err() {
            metrics::counter!("onrush_search_failures_total").increment(1);
        }
        Ok(rows?)
    }

    async fn ask(&self, question: &Question, after: Option<Cursor>, limit: usize) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut transaction = self.database.begin().await?;
        sqlx::raw_sql(PLAN).execute(&mut *transaction).await?;
        let rows = sqlx::query(SEARCH)
            .bind(question.holds())
            .bind(question.matches())
            .bind(question.is_without_phrases())
            .bind(question.ranks())
            .bind(after.map(|cursor| cursor.newest.0))
            .bind(after.map(|cursor| cursor.score))
            .bind(after.map(|cursor| cursor.post.0))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .bind(i64::from(self.settings.candidates_max))
            .bind(i64::from(self.settings.looked_at_max))
            // Planned anew each time, for these tokens.
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await?;
        transaction.rollback().await?;
        Ok(rows)
    }
}

/// A row as a hit, and the newest post that matched.
fn hit(row: &PgRow, question: &Question, characters_max: usize) -> Result<(Hit, PostId), sqlx::Error> {
    let (title, body): (String, String) = (row.try_get("title")?, row.try_get("body")?);
    let highlights = Highlights {
        title: highlight::marked(&title, question),
        body: highlight::excerpt(&body, question, characters_max),
    };
    let post = Post {
        post_id: PostId(row.try_get("post_id")?),
        author_id: row.try_get("author_id")?,
        title,
        body,
        category: row.try_get("category")?,
        tags: row.try_get("tags")?,
        inspection: Inspection::Passed,
        reason: None,
        revision: row.try_get("revision")?,
        published_at: Millis(row.try_get("published_at_ms")?),
    };
    Ok((Hit { post, score: row.try_get("score")?, highlights }, PostId(row.try_get("newest")?)))
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}.{}.{}", self.score.to_bits(), self.post, self.newest)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let mut parts = text.split('.');
        let (Some(score), Some(post), Some(newest), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidCursor);
        };
        let score = f32::from_bits(u32::from_str_radix(score, 16).map_err(|_| InvalidCursor)?);
        let parse = |id: &str| id.parse().map_err(|_| InvalidCursor);
        Some(Self { score, post: parse(post)?, newest: parse(newest)? })
            .filter(|cursor| cursor.score.is_finite())
            .ok_or(InvalidCursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_what_it_writes_and_nothing_else() {
        let cursor = Cursor { score: 0.607_927_1, post: PostId(7), newest: PostId(i64::MAX) };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for bad in ["", "1", "1.2", "1.2.3.4", "x.1.2", "7fc00000.1.2", "0.-1.2", "0.1.", "000000000.1.2x"] {
            assert_eq!(bad.parse::<Cursor>(), Err(InvalidCursor), "{bad}");
        }
    }
}

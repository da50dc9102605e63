//! Looking for posts.

use std::fmt;
use std::str::FromStr;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::feed::PostView;
use crate::feed::search::{self, Hit, SearchError};
use crate::http::contract::input::Input;
use crate::http::contract::paging::Cursor;
use crate::http::contract::problem::{Code, Problem};
use crate::http::contract::response::cacheable;
use crate::http::state::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(find))
}

const QUESTION_CHARACTERS_MAX: usize = 200;

/// A page of posts that were found, best first; of equals the newest first.
#[derive(Serialize, ToSchema)]
struct HitPage<'a> {
    items: Vec<HitView<'a>>,
    /// Send it as `after` for the next page; null at the end.
    next: Option<String>,
}

/// A post that was found.
#[derive(Serialize, ToSchema)]
struct HitView<'a> {
    #[serde(flatten)]
    post: PostView<'a>,
    highlights: HighlightsView<'a>,
}

/// Where the question is met: HTML, escaped, with `<mark>` around what was looked for.
#[derive(Serialize, ToSchema)]
struct HighlightsView<'a> {
    #[schema(example = "선착순 할인<mark>쿠폰</mark>")]
    title: &'a str,
    /// The part of the body in which most of it is.
    body: &'a str,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query in the OpenAPI document; `Input` reads it")]
struct Asked {
    /// Each word has to be met; what is in quotation marks, in one piece. Particles, endings and spaces within Korean words
    /// do not matter.
    #[param(min_length = 1, max_length = 200, example = "할인쿠폰")]
    q: String,
    /// 1 to 100, 20 if absent.
    limit: Option<u8>,
    /// `next` of the page before.
    after: Option<String>,
}

/// Search posts.
///
/// In titles, tags and bodies of the posts that have passed inspection. At most a second old.
#[utoipa::path(get, path = "/v1/search", tag = "feed", params(Asked),
    responses((status = 200, body = HitPage, headers(("ETag" = String))), (status = 304)))]
async fn find(State(app): State<App>, input: Input) -> Result<Response, Problem> {
    input.allow_query(&["q", "limit", "after"])?;
    let asked = input.query::<Question>("q")?.ok_or_else(|| Problem::field("query/q", "is required"))?;
    let (limit, after) = (input.limit()?, input.query::<Cursor>("after")?);
    let after = after.map(|cursor| cursor.0.parse::<search::Cursor>()).transpose();
    let after = after.map_err(|error| Problem::field("query/after", error.to_string()))?;
    let page = app.feed.search.answer(&asked.0, after, limit).await?;
    let next = page.next.map(|cursor| Cursor(cursor.to_string()).to_string());
    Ok(cacheable(&input, &HitPage { items: page.hits.iter().map(view).collect(), next }))
}

fn view(hit: &Hit) -> HitView<'_> {
    let highlights = HighlightsView { title: &hit.highlights.title, body: &hit.highlights.body };
    HitView { post: PostView::public(&hit.post), highlights }
}

/// What somebody looks for.
struct Question(String);

/// A text that is too long or too short to be looked for.
struct NoQuestion;

impl fmt::Display for NoQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must have 1 to {QUESTION_CHARACTERS_MAX} characters")
    }
}

impl FromStr for Question {
    type Err = NoQuestion;

    fn from_str(text: &str) -> Result<Self, NoQuestion> {
        let has_right_length = (1..=QUESTION_CHARACTERS_MAX).contains(&text.chars().count());
        if has_right_length { Ok(Self(text.to_owned())) } else { Err(NoQuestion) }
    }
}

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Database(ref cause) => Self::away("the database", cause),
            SearchError::TooManyInFlight => Self::new(Code::Unavailable, error.to_string()),
            // What lies behind it goes into the log, not to clients.
            SearchError::Cache(_) | SearchError::GivenUp(_) => {
                tracing::warn!(%error, "a search was not answered");
                Self::new(Code::Unavailable, "search does not answer at the moment")
            }
        }
    }
}

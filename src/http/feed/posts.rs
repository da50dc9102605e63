//! Routes of posts.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use utoipa::openapi::Object;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cache::CacheError;
use crate::feed::{Edit, FeedError, Inspection, Post, PostId, PostView, ReadyPost, Text};
use crate::http::auth::caller::{Caller, User};
use crate::http::contract::etag::{Keep, mark_stale, tagged};
use crate::http::contract::input::{self, Input};
use crate::http::contract::problem::{Code, Problem};
use crate::http::contract::response::done;
use crate::http::contract::schemas::{self, Body, body};
use crate::http::state::App;
use crate::text::Lines;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(read, change, delete))
}

const TITLE_CHARACTERS_MAX: usize = 200;
const BODY_CHARACTERS_MAX: usize = 20_000;

body! {
    /// What a POST of a post says.
    NewPost = Body::new().needs("title", title_schema()).needs("body", body_schema()).build()
}

body! {
    /// What a PATCH of a post may say. What is absent stays as it is.
    PostChange = Body::new().takes("title", title_schema()).takes("body", body_schema()).build()
}

fn title_schema() -> Object {
    schemas::such_as(schemas::text(TITLE_CHARACTERS_MAX, Lines::One), "Opening day")
}

fn body_schema() -> Object {
    schemas::text(BODY_CHARACTERS_MAX, Lines::Many)
}

impl From<CacheError> for Problem {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::Refused(why) => Self::new(Code::Unavailable, why),
            CacheError::Source(_) => Self::away("the database", &error),
        }
    }
}

impl From<FeedError> for Problem {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Database(ref cause) => Self::away("the database", cause),
            FeedError::Cache(error) => error.into(),
        }
    }
}

fn no_post() -> Problem {
    Problem::not_found("post")
}

/// Publish a post. Others see it once it has passed inspection.
#[utoipa::path(post, path = "/v1/posts", tag = "feed", security(("user" = [])), request_body = NewPost,
    responses((status = 201, body = PostView<'static>, headers(("Location" = String)))))]
async fn create(State(app): State<App>, User(user): User, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let mut members = input.members().await?;
    let title = members.require("title", input::text(TITLE_CHARACTERS_MAX, Lines::One));
    let body = members.require("body", input::text(BODY_CHARACTERS_MAX, Lines::Many));
    members.finish()?;
    let (Some(title), Some(body)) = (title, body) else {
        return Err(Problem::field("", "lacks a member that is required"));
    };
    let post = app.feed.posts.create(&user, Text { title, body }).await?;
    let location = app.url(format_args!("/v1/posts/{}", post.post_id));
    let mut response = authors(post);
    *response.status_mut() = StatusCode::CREATED;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// A post.
///
/// Its author and operators see it at once, everybody else when it has passed inspection.
#[utoipa::path(get, path = "/v1/posts/{id}", tag = "feed", security((), ("user" = []), ("operator" = [])),
    params(("id" = String, Path), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, body = PostView<'static>, headers(("ETag" = String), ("Onrush-Stale" = String))),
        (status = 304)))]
async fn read(State(app): State<App>, caller: Option<Caller>, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let id = input.path("id")?;
    show(&app, caller.as_ref(), id, input.headers()).await
}

/// What asking for a post does, whichever way it came.
pub(crate) async fn show(
    app: &App,
    caller: Option<&Caller>,
    id: PostId,
    asked: &HeaderMap,
) -> Result<Response, Problem> {
    let found = app.feed.posts.find(id).await?;
    let post = found.value.ok_or_else(no_post)?;
    let is_known_whole = match caller {
        Some(Caller::Operator) => true,
        Some(Caller::User(user)) => user.as_str() == post.author_id,
        None => false,
    };
    if !is_known_whole && post.inspection != Inspection::Passed {
        return Err(no_post());
    }
    let (form, keep) = if is_known_whole { (post.authors(), Keep::Nothing) } else { (post.public(), Keep::Public) };
    let mut response = tagged(asked, form.body.clone(), &form.etag, keep);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Authorization"));
    mark_stale(&mut response, found.is_stale);
    Ok(response)
}

/// Change a post. It has to pass inspection again before others see it.
#[utoipa::path(patch, path = "/v1/posts/{id}", tag = "feed", params(("id" = String, Path)), security(("user" = [])),
    request_body = PostChange,
    responses((status = 200, body = PostView<'static>)))]
async fn change(State(app): State<App>, User(user): User, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let id = input.path("id")?;
    let mut members = input.members().await?;
    let title = members.take("title", input::text(TITLE_CHARACTERS_MAX, Lines::One));
    let body = members.take("body", input::text(BODY_CHARACTERS_MAX, Lines::Many));
    members.finish()?;
    let post = app.feed.posts.edit(&user, id, Edit { title, body }).await?.ok_or_else(no_post)?;
    Ok(authors(post))
}

/// Delete a post.
#[utoipa::path(delete, path = "/v1/posts/{id}", tag = "feed", params(("id" = String, Path)), security(("user" = [])),
    responses((status = 204)))]
async fn delete(State(app): State<App>, User(user): User, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let id = input.path("id")?;
    input.no_body().await?;
    if app.feed.posts.delete(&user, id).await? { Ok(done()) } else { Err(no_post()) }
}

/// A post just written, to its author.
fn authors(post: Post) -> Response {
    let ready = ReadyPost::from(post);
    let form = ready.authors();
    tagged(&HeaderMap::new(), form.body.clone(), &form.etag, Keep::Nothing)
}
